package priority

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// thread is how the operating system treats a thread. Its fields have capitals so
// that a set is shown as a list.
type thread struct {
	Policy uint32
	Nice   int
	CPUs   CPUSet
}

// calling returns how the calling thread is treated.
func calling(t *testing.T) thread {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Error(err)
		return thread{}
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Error(err)
	}
	cpus, err := usableCPUs()
	if err != nil {
		t.Error(err)
	}
	return thread{attr.Policy, 20 - raw, cpus}
}

// locked reports whether the calling goroutine is locked to its thread, which is
// to be seen in the first line of its trace.
func locked() bool {
	trace := make([]byte, 100)
	trace = trace[:runtime.Stack(trace, false)]
	line, _, _ := strings.Cut(string(trace), "\n")
	return strings.Contains(line, "locked to thread")
}

// oneCPU returns a set with one of the CPUs of a set.
func oneCPU(of CPUSet) (one CPUSet) {
	for cpu := range maxCPU + 1 {
		if of.has(cpu) {
			one.add(cpu)
			break
		}
	}
	return one
}

// absent returns a set with a CPU that no machine has which runs tests.
func absent() (s CPUSet) {
	s.add(maxCPU)
	return s
}

// entered has a goroutine of its own call Enter, and looks at its thread, at
// threads that are started while it runs, some of them by that goroutine, and at
// those that are there when it is gone. Each is held until all have been seen, so
// that they are different ones.
func entered(t *testing.T, class Class, cpus CPUSet, check func(error), want thread, wantLocked bool) {
	t.Helper()
	before := calling(t)
	others := func() {
		var seen, running sync.WaitGroup
		seen.Add(8)
		for range 8 {
			running.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				if got := calling(t); got != before {
					t.Errorf("another thread is %v, want %v", got, before)
				}
				seen.Done()
				seen.Wait()
			})
		}
		running.Wait()
	}
	var running sync.WaitGroup
	running.Go(func() {
		check(Enter(class, cpus))
		isLocked, id := locked(), unix.Gettid()
		if isLocked != wantLocked {
			t.Errorf("the goroutine is locked to its thread: %t, want %t", isLocked, wantLocked)
		}
		others()
		if got := calling(t); got != want {
			t.Errorf("the thread is %v, want %v", got, want)
		}
		if isLocked && unix.Gettid() != id {
			t.Error("the goroutine has left its thread")
		}
	})
	running.Wait()
	others()
}

func TestEnter(t *testing.T) {
	before := calling(t)
	classes := map[Class]thread{
		Low:    {before.Policy, min(before.Nice+less, 19), before.CPUs},
		Idle:   {unix.SCHED_IDLE, before.Nice, before.CPUs},
		Normal: before,
	}
	for class, want := range classes {
		for _, cpus := range []CPUSet{{}, oneCPU(before.CPUs)} {
			t.Run(fmt.Sprintf("%v,%d", class, cpus.Len()), func(t *testing.T) {
				want := want
				if cpus != (CPUSet{}) {
					want.CPUs = cpus
				}
				succeeds := func(err error) {
					if err != nil {
						t.Error(err)
					}
				}
				entered(t, class, cpus, succeeds, want, class != Normal || cpus != CPUSet{})
			})
		}
	}
}

// TestEnterFails has one part fail, or both: the class as there is no such, the
// CPUs as this machine has none of them.
func TestEnterFails(t *testing.T) {
	before := calling(t)
	low, pinned := before, before
	low.Nice = min(before.Nice+less, 19)
	pinned.CPUs = oneCPU(before.CPUs)
	const none = Normal + 1
	for _, test := range []struct {
		name                  string
		class                 Class
		cpus                  CPUSet
		want                  thread
		locked                bool
		classFails, cpusFails bool
	}{
		{"CPUs", Low, absent(), low, true, false, true},
		{"CPUs alone", Normal, absent(), before, false, false, true},
		{"class", none, pinned.CPUs, pinned, true, true, false},
		{"class alone", none, CPUSet{}, before, false, true, false},
		{"both", none, absent(), before, false, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			fails := func(err error) {
				text := fmt.Sprint(err)
				if strings.Contains(text, "keeps the priority of the process instead of Class(3)") != test.classFails ||
					strings.Contains(text, "runs on every CPU of the process instead of 1023") != test.cpusFails ||
					errors.Is(err, unix.EINVAL) != test.cpusFails || strings.Contains(text, "\n") {
					t.Errorf("the error is %q; it is the class: %t, the CPUs: %t", text, test.classFails, test.cpusFails)
				}
			}
			entered(t, test.class, test.cpus, fails, test.want, test.locked)
		})
	}
}

func TestCheck(t *testing.T) {
	usable := calling(t).CPUs
	for _, s := range []CPUSet{{}, usable, oneCPU(usable)} {
		if err := s.Check(); err != nil {
			t.Errorf("%q is refused: %v", s, err)
		}
	}
	partly := oneCPU(usable)
	partly.add(maxCPU)
	for _, s := range []CPUSet{absent(), partly} {
		want := fmt.Sprintf("must be CPUs that this process may use: %v, and not 1023", usable)
		if err := s.Check(); err == nil || err.Error() != want {
			t.Errorf("the error of %q is %v, want %s", s, err, want)
		}
	}
}
