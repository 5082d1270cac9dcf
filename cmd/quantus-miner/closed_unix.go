//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// wasClosed says whether a standard stream was closed when the program started. Go's
// runtime opens the null device in the place of such a stream, for reading and writing,
// and what is written there is lost without an error. A shell's >/dev/null opens it for
// writing alone. Some programs that discard what others write open it for both: they
// cannot be told from a closed stream, so only ask where discarding makes no sense.
func wasClosed(f *os.File) bool {
	null, err := os.Stat(os.DevNull)
	if err != nil {
		return false
	}
	opened, err := f.Stat()
	if err != nil || !os.SameFile(null, opened) {
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}
