//go:build !linux && !darwin

package process

import "os"

// ProtectOutput returns the standard output. What drivers write to that of their own
// runtime library does not go there.
func ProtectOutput() (*os.File, error) { return os.Stdout, nil }
