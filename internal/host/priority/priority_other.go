//go:build !linux

package priority

import (
	"errors"
	"fmt"
	"runtime"
)

// Enter changes nothing here. It returns an [errors.ErrUnsupported] if it is to do
// anything but the default, which is [Low] and no CPUs.
//
// Windows lets a thread that was waiting go first by itself; to macOS a thread of
// lower priority belongs on the slow cores.
func Enter(class Class, cpus CPUSet) error {
	var classErr error
	if class != Low {
		classErr = fmt.Errorf("the priority of threads is left alone on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	return both(classErr, cpus.Check())
}

// usableCPUs returns an error.
func usableCPUs() (CPUSet, error) {
	return CPUSet{}, fmt.Errorf("CPU affinity is not available on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
