//go:build !linux

package access

import "os"

// readOnly reports false: containers, which mount secrets, are Linux.
func readOnly(*os.File) bool { return false }
