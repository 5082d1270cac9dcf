// Package logtest keeps logs for tests that read them while they are written. Start with
// [Buffer].
package logtest

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Buffer is what a log writes to. It is ready as it is, and for several goroutines.
type Buffer struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at the next write, for those who wait; nil if there are none
}

// Write implements [io.Writer].
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	return b.text.Write(p)
}

// String returns what was logged so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Count returns how often a text is in it.
func (b *Buffer) Count(text string) int { return strings.Count(b.String(), text) }

// Await waits until a text is in it, and fails the test if it is not after ten seconds.
func (b *Buffer) Await(t testing.TB, text string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		b.mu.Lock()
		all := b.text.String()
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("the log has no %q:\n%s", text, all)
		}
	}
}
