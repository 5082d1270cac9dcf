// Package program starts the programs of a release that the miner hands a task to: each has a
// process of its own, which is spoken to by its standard input and output.
package program

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Find returns the path of a program: the given one, or the one beside this program, or the
// one in PATH.
func Find(name, path string) (string, error) {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		return found, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("the program %s is neither beside this one nor in PATH", name)
	}
	return found, nil
}

// Process is a program that runs.
type Process struct {
	*exec.Cmd
	// In is its standard input, which may be closed often.
	In io.WriteCloser
	// Out is its standard output, and Messages its standard error. Who reads one closes it.
	Out, Messages *os.File

	kill func()
}

// Start starts a program, which knows nothing of the miner's own variables.
func Start(path string) (*Process, error) {
	p := &Process{Cmd: exec.Command(path)}
	p.Env = environment(os.Environ())
	var err error
	if p.In, err = p.StdinPipe(); err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	// Not StdoutPipe and StderrPipe, which the end of the process closes, whatever was not
	// read; and which a process that cannot be killed keeps open.
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	messages, theirMessages, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a pipe: %w", err), out.Close(), theirOut.Close())
	}
	p.Out, p.Messages = out, messages
	p.Stdout, p.Stderr = theirOut, theirMessages
	err = p.Cmd.Start()
	closed := errors.Join(theirOut.Close(), theirMessages.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", path, err), out.Close(), messages.Close(), p.In.Close())
	}
	if closed != nil { // never, but then the end of the process would not be seen
		return nil, errors.Join(closed, p.Process.Kill())
	}
	p.kill = sync.OnceFunc(func() {
		_ = p.Process.Kill() // fails if it has ended
		_ = p.In.Close()
	})
	return p, nil
}

// Kill ends the process. Anybody may call it, and often.
func (p *Process) Kill() { p.kill() }

// environment returns what a process may know of the miner's environment: the variables
// of the miner have secrets among them.
func environment(all []string) (kept []string) {
	for _, variable := range all {
		if !strings.HasPrefix(variable, "MINER_") {
			kept = append(kept, variable)
		}
	}
	return kept
}
