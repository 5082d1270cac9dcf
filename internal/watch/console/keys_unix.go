//go:build linux || darwin || freebsd

package console

import (
	"context"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

const haveKeys = true

// look is how often the keyboard is looked at, and at whether it is ours.
const look = 100 * time.Millisecond

func (k *Keyboard) run(ctx context.Context, press func(key byte)) {
	fd := int(k.in.Fd())
	// Who reads or sets a terminal from the background is stopped by these. We do not,
	// but for the moment after we looked.
	signal.Ignore(unix.SIGTTIN, unix.SIGTTOU)
	defer signal.Reset(unix.SIGTTIN, unix.SIGTTOU)
	// These two end or stop the process at the user's wish, which has to wait for the
	// terminal.
	leave := make(chan os.Signal, 1)
	signal.Notify(leave, unix.SIGTSTP, unix.SIGQUIT)
	defer signal.Stop(leave)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-leave:
			k.leave(s)
		case <-tick.C:
			if !k.take(fd) {
				continue
			}
			for _, key := range pressed(fd) {
				press(key)
			}
		}
	}
}

// take has the keys taken one by one, if the terminal is ours at the moment, and reports
// whether it is.
func (k *Keyboard) take(fd int) bool {
	owner, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err != nil || owner != unix.Getpgrp() {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return false
	}
	if k.saved != nil {
		return true
	}
	saved, err := term.GetState(fd)
	if err != nil {
		return false
	}
	t, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return false
	}
	// No echo, and no waiting for the end of a line. Unlike term.MakeRaw this leaves Ctrl-C
	// a signal, and line ends what others on the terminal take them for.
	t.Lflag &^= unix.ECHO | unix.ICANON
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, setTermios, t); err != nil {
		return false
	}
	k.saved = saved
	return true
}

// pressed returns the keys that were pressed since the last time, without waiting.
func pressed(fd int) []byte {
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(ready, 0); err != nil || n == 0 || ready[0].Revents&unix.POLLIN == 0 {
		return nil
	}
	var keys [16]byte
	n, err := unix.Read(fd, keys[:])
	if err != nil || n <= 0 {
		return nil
	}
	return keys[:n]
}

// leave does what a signal is for, with the terminal as it was.
func (k *Keyboard) leave(s os.Signal) {
	k.mu.Lock()
	k.release()
	k.mu.Unlock()
	if s == unix.SIGQUIT {
		signal.Reset(unix.SIGQUIT)
		_ = unix.Kill(unix.Getpid(), unix.SIGQUIT) // and Go tells what all were doing
		return
	}
	_ = unix.Kill(unix.Getpid(), unix.SIGSTOP) // until somebody has us go on
}
