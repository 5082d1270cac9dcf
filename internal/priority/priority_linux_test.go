package priority

import (
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// nice returns the niceness of the calling thread.
func nice(t *testing.T) int {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Error(err)
	}
	return 20 - raw
}

// TestLower looks at a lowered thread, at threads that are started while it
// runs, some of them by its own goroutine, and at those that are there when it is
// gone. Each is held until all have been seen, so that they are different ones.
func TestLower(t *testing.T) {
	before := nice(t)
	want := min(before+less, 19)
	others := func() {
		var seen, running sync.WaitGroup
		seen.Add(8)
		for range 8 {
			running.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				if got := nice(t); got != before {
					t.Errorf("the niceness of another thread is %d, want %d", got, before)
				}
				seen.Done()
				seen.Wait()
			})
		}
		running.Wait()
	}
	var lowered sync.WaitGroup
	lowered.Go(func() {
		if err := Lower(); err != nil {
			t.Error(err)
		}
		id := unix.Gettid()
		others()
		if got := nice(t); got != want || unix.Gettid() != id {
			t.Errorf("the niceness of the lowered thread is %d, want %d; or the goroutine has left it", got, want)
		}
	})
	lowered.Wait()
	others()
}
