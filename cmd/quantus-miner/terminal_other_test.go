//go:build !unix

package main

import "os/exec"

// leaveTerminal has a command run without a controlling terminal, as services do.
func leaveTerminal(*exec.Cmd) {}
