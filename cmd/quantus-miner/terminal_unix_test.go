//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// leaveTerminal has a command run without a controlling terminal, as services do.
func leaveTerminal(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
