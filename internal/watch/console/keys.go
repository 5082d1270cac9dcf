package console

import (
	"context"
	"os"
	"sync"

	"golang.org/x/term"
)

// Keyboard is the terminal that a miner was started at, whose keys it takes one by one as
// they are pressed. What else the terminal does, signals and line ends, stays as it is. A
// nil Keyboard has no keys.
type Keyboard struct {
	in *os.File

	mu    sync.Mutex
	saved *term.State // how the terminal was, while keys are taken one by one
	over  bool        // they are not any more
}

// NewKeyboard returns the keyboard of a terminal, and nil if the file is none, or the
// system is one whose keyboards we do not know.
func NewKeyboard(in *os.File) *Keyboard {
	if !haveKeys || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	return &Keyboard{in: in}
}

// Run calls press for every key until ctx is done. While the miner is in the background
// the terminal is not touched: it belongs to another program then, for one the shell.
func (k *Keyboard) Run(ctx context.Context, press func(key byte)) {
	if k == nil {
		return
	}
	defer k.Restore()
	defer context.AfterFunc(ctx, k.Restore)() // at once: a second signal ends the process
	k.run(ctx, press)
}

// Restore leaves the terminal as it was, for good. Whatever ends the process calls it
// first; it may be called more than once.
func (k *Keyboard) Restore() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	k.release()
}

// release leaves the terminal as it was; mu is held.
func (k *Keyboard) release() {
	if k.saved != nil {
		_ = term.Restore(int(k.in.Fd()), k.saved) // fails if the terminal is gone
		k.saved = nil
	}
}
