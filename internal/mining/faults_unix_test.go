//go:build unix

package mining

import (
	"errors"
	"runtime"
	"syscall"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
)

// TestFault has an engine read memory that it must not, as a kernel with a wrong
// address would: its job fails, and the miner goes on.
func TestFault(t *testing.T) {
	forbidden, err := syscall.Mmap(-1, 0, syscall.Getpagesize(), syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(forbidden) })
	m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
		if r.Start == number(1) {
			p.Advance(uint64(forbidden[0]))
		}
		return exhausted(r, p)
	}}, 1, nil)
	defer stop()
	job := submit(t, m, Request{ID: "job", Range: nonces(1, 2)})
	<-job.Done()
	panicked, ok := errors.AsType[*PanicError](job.Snapshot().Err)
	if !ok {
		t.Fatalf("%+v, want a panic", job.Snapshot())
	}
	if _, ok := panicked.Cause.(runtime.Error); !ok {
		t.Errorf("it panicked with %v", panicked.Cause)
	}
	next := submit(t, m, Request{ID: "next", Range: nonces(2, 2)})
	<-next.Done()
	if s := next.Snapshot(); s.Err != ErrExhausted {
		t.Errorf("the next job: %+v", s)
	}
}
