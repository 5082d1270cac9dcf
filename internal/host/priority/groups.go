package priority

import (
	"fmt"
	"runtime"
	"sync"
)

// Groups are the processor groups over which Windows divides the CPUs of a machine
// that has more than 64. The zero value, as everywhere else, is a machine without.
//
// A thread runs in one group, and up to Windows 10 and Server 2019 all threads of a
// process run in the same one unless they ask for another. From Windows 11 and Server
// 2022 on a process may use all groups, and the system chooses one for each thread; to
// ask for one then makes sure that the workers are spread evenly. The Go runtime
// (1.26) knows of no groups: it counts the CPUs of one, and starts threads wherever
// the system puts them.
//
// A process that was given some of the CPUs of its group only (start /affinity) is
// left where it is.
type Groups struct {
	sizes []int // CPUs of each group; nil if there is one group, or the process is to stay in one

	mu      sync.Mutex
	threads []int // how many were moved into each
}

// NewGroups returns the processor groups of this machine. It is to be called before
// threads are moved.
func NewGroups() *Groups { return newGroups(processorGroups()) }

// newGroups returns groups with so many CPUs each.
func newGroups(sizes []int) *Groups {
	if len(sizes) < 2 {
		return new(Groups)
	}
	return &Groups{sizes: sizes, threads: make([]int, len(sizes))}
}

// CPUs returns how many CPUs the process may use.
func (g *Groups) CPUs() (n int) {
	for _, size := range g.sizes {
		n += size
	}
	if n == 0 {
		return runtime.NumCPU()
	}
	return n
}

// Enter does what the function [Enter] does, and moves the thread of the calling
// goroutine into the group that has the fewest threads for its CPUs, for good. If that
// fails the thread stays in the group where it is. On a machine without groups it is
// the function alone.
func (g *Groups) Enter(class Class, cpus CPUSet) error {
	return both(Enter(class, cpus), g.move())
}

// move moves the calling thread into a group.
func (g *Groups) move() error {
	if len(g.sizes) == 0 {
		return nil
	}
	group := g.next()
	runtime.LockOSThread()
	if err := enterGroup(group, g.sizes[group]); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("a thread stays in its processor group instead of going to group %d: %w", group, err)
	}
	return nil
}

// next returns the group of the next thread: where (threads + 1) / CPUs is least,
// the first of those that are alike.
func (g *Groups) next() (group int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.sizes {
		if (g.threads[i]+1)*g.sizes[group] < (g.threads[group]+1)*g.sizes[i] {
			group = i
		}
	}
	g.threads[group]++
	return group
}
