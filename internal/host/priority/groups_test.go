package priority

import (
	"runtime"
	"slices"
	"testing"
)

// TestGroups looks at which groups threads go to, one after the other.
func TestGroups(t *testing.T) {
	for _, c := range []struct {
		sizes   []int
		cpus    int
		threads int
		want    []int // threads in each group
	}{
		{nil, runtime.NumCPU(), 5, nil},
		{[]int{12}, runtime.NumCPU(), 5, nil}, // which is no reason to move
		{[]int{64, 64}, 128, 128, []int{64, 64}},
		{[]int{64, 64}, 128, 1, []int{1, 0}},
		{[]int{64, 64}, 128, 2, []int{1, 1}},
		{[]int{64, 64}, 128, 9, []int{5, 4}},
		{[]int{64, 16}, 80, 80, []int{64, 16}},
		{[]int{64, 16}, 80, 40, []int{32, 8}},
		{[]int{16, 64}, 80, 5, []int{1, 4}},
		{[]int{64, 64, 64, 64}, 256, 256, []int{64, 64, 64, 64}},
		{[]int{64, 1}, 65, 65, []int{64, 1}},
		{[]int{48, 48}, 96, 192, []int{96, 96}}, // two threads a CPU
	} {
		g := newGroups(c.sizes)
		if got := g.CPUs(); got != c.cpus {
			t.Errorf("%v: %d CPUs, want %d", c.sizes, got, c.cpus)
		}
		for range c.threads {
			if len(g.sizes) == 0 {
				if err := g.move(); err != nil {
					t.Errorf("%v: %v", c.sizes, err)
				}
				continue
			}
			g.next()
		}
		if !slices.Equal(g.threads, c.want) {
			t.Errorf("%v: %d threads are spread %v, want %v", c.sizes, c.threads, g.threads, c.want)
		}
	}
}

// TestThisMachine asks this machine, and has a thread enter, which goes to a group where
// the system has several.
func TestThisMachine(t *testing.T) {
	g := NewGroups()
	if g.CPUs() < runtime.NumCPU() {
		t.Errorf("%d CPUs, where the runtime knows of %d", g.CPUs(), runtime.NumCPU())
	}
	done := make(chan error)
	go func() { done <- g.Enter(Low, CPUSet{}) }() // on a thread that ends with it
	if err := <-done; err != nil {
		t.Error(err)
	}
}
