package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ProtectOutput returns the standard output, and sends to standard error what drivers
// write to the standard output: it would be read as messages.
func ProtectOutput() (*os.File, error) {
	fd, err := unix.Dup(unix.Stdout)
	if err == nil {
		err = unix.Dup3(unix.Stderr, unix.Stdout, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("protecting the standard output from drivers: %w", err)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "stdout"), nil
}
