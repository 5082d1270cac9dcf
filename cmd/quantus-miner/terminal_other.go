//go:build !unix

package main

// hasTerminal reports whether the program has a controlling terminal. Here no signal
// depends on it.
func hasTerminal() bool { return true }
