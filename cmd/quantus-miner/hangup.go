package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// hangups are the signals SIGHUP that the program gets. They end it, until somebody takes
// them for something else. None comes if the program was started by nohup.
type hangups struct {
	signals chan os.Signal
	handle  atomic.Pointer[func()]
}

// newHangups has a signal end the program by a call of end.
func newHangups(end func()) *hangups {
	h := &hangups{signals: make(chan os.Signal, 1)}
	h.handle.Store(&end)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(h.signals, syscall.SIGHUP)
	}
	return h
}

// run handles signals until ctx is done. A later one ends the process.
func (h *hangups) run(ctx context.Context) {
	for {
		select {
		case <-h.signals:
			(*h.handle.Load())()
		case <-ctx.Done():
			signal.Stop(h.signals)
			return
		}
	}
}

// take has each signal from now on handled by a call of handle, which returns soon.
func (h *hangups) take(handle func()) { h.handle.Store(&handle) }
