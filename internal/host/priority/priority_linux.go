package priority

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// less is how much nicer a thread of the class [Low] is made.
const less = 10

// Enter gives the thread of the calling goroutine a class, relative to the rest of
// the process, and keeps it to the given CPUs, if there are any. That is for good:
// it locks the goroutine to its thread, and the thread ends with the goroutine. For
// [Normal] and no CPUs it does nothing.
//
// If one of the two fails the other is done all the same, and the error says which
// it is and how the thread runs instead. If there is nothing that could be done the
// goroutine is not locked. It needs no privileges. CPUs that the process may not use
// are left out without an error, as long as another is left: see [CPUSet.Check].
//
// On other systems it changes nothing, and returns an [errors.ErrUnsupported] if it
// is to do anything but the default, which is [Low] and no CPUs.
func Enter(class Class, cpus CPUSet) error {
	// Threads that the runtime starts inherit nothing: it does not start them
	// from one that is locked.
	runtime.LockOSThread()
	done := false
	var classErr, cpusErr error
	if class != Normal {
		if err := setClass(class); err != nil {
			classErr = fmt.Errorf("a thread keeps the priority of the process instead of %v, and those that answer may wait for it: %w", class, err)
		} else {
			done = true
		}
	}
	if cpus != (CPUSet{}) {
		if err := setCPUs(cpus); err != nil {
			cpusErr = fmt.Errorf("a thread runs on every CPU of the process instead of %v: %w", cpus, err)
		} else {
			done = true
		}
	}
	if !done {
		runtime.UnlockOSThread()
	}
	return both(classErr, cpusErr)
}

// setClass gives the calling thread a class other than [Normal]. To Linux 0 is the
// calling thread, and not its process.
func setClass(class Class) error {
	switch class {
	case Idle:
		// Niceness has no say in this policy, and stays as it was.
		return unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0)
	case Low:
		raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		if err != nil {
			return err
		}
		nice := 20 - raw // what the system call returns is never negative
		return unix.Setpriority(unix.PRIO_PROCESS, 0, nice+less)
	}
	return class.check()
}

// setCPUs keeps the calling thread to the given CPUs.
func setCPUs(cpus CPUSet) error {
	var mask unix.CPUSet
	for cpu := range maxCPU + 1 {
		if cpus.has(cpu) {
			mask.Set(cpu)
		}
	}
	return unix.SchedSetaffinity(0, &mask)
}

// usableCPUs returns the CPUs that the calling thread may use.
func usableCPUs() (usable CPUSet, err error) {
	// Not those of the process by its ID, which is that of its first thread: that
	// may be one which a goroutine has entered, and then it stays so for good.
	var mask unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mask); err != nil {
		return CPUSet{}, fmt.Errorf("asking which CPUs this process may use: %w", err)
	}
	for cpu := range maxCPU + 1 {
		if mask.IsSet(cpu) {
			usable.add(cpu)
		}
	}
	return usable, nil
}
