//go:build !linux && !darwin

package main

import "os"

// protectOutput returns the standard output. What drivers write to that of their own
// runtime library does not go there.
func protectOutput() (*os.File, error) { return os.Stdout, nil }
