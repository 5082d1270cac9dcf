package access

import (
	"os"

	"golang.org/x/sys/unix"
)

// readOnly reports whether a file is on a mount that nothing can be written to: one that
// was mounted so, or of a file system that is.
func readOnly(file *os.File) bool {
	var stat unix.Statfs_t
	err := unix.Fstatfs(int(file.Fd()), &stat)
	return err == nil && stat.Flags&unix.ST_RDONLY != 0
}
