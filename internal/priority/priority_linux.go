package priority

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// less is how much nicer a thread is made: as much as the command nice has it.
//
// The nicer the thread, the surer it gives way: one as nice as the others keeps
// its core until a slice ends, and a tick of the clock (4 ms at 250 Hz) notices it.
// But the less it computes, too, beside another program that wants the same core:
// a tenth of what that does. And the longer it keeps the process waiting where Go
// stops all threads, for which each has to get a core once more: with every core
// taken by other programs 0.1 to 0.3 s at 10, and half a second and more at 19 or
// under SCHED_IDLE, which win a millisecond at best while nothing else runs.
const less = 10

// Lower gives the thread of the calling goroutine a lower priority than the rest
// of the process has, for good: it locks the goroutine to its thread, and the
// thread ends with the goroutine. If it fails the priority stays as it was. It
// needs no privileges.
func Lower() error {
	// Threads that the runtime starts inherit nothing: it does not start them
	// from one that is locked.
	runtime.LockOSThread()
	// To Linux 0 is the calling thread, and not its process.
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err == nil {
		nice := 20 - raw // what the system call returns is never negative
		err = unix.Setpriority(unix.PRIO_PROCESS, 0, nice+less)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("lowering a thread's priority: %w", err)
	}
	return nil
}
