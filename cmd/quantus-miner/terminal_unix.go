//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// hasTerminal reports whether the program has a controlling terminal, wherever its input
// and output go: SIGHUP means that it is closed then. Services and containers have none.
func hasTerminal() bool {
	f, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	_ = f.Close() // which was not read
	return true
}
