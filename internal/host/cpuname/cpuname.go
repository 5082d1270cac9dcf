// Package cpuname tells what this machine's CPU calls itself, as its operating system has
// it. Start with [Read].
package cpuname

import (
	"runtime"
	"strings"
)

// Read returns the CPU's name, such as "AMD EPYC 9454P", or its architecture if the
// operating system does not tell a name (Linux on arm64 has none).
func Read() string {
	if name := strings.Join(strings.Fields(read()), " "); name != "" {
		return name
	}
	return runtime.GOARCH
}
