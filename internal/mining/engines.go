package mining

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Engines are trusted with speed and with nothing else: what they find is judged
// by the reference rule, one that is wrong is replaced, and one that panics takes
// only its job with it.

// PanicError says that an engine panicked.
type PanicError struct {
	// Cause is what it panicked with.
	Cause any
	// Stack is where.
	Stack []byte
}

// Error implements the error interface.
func (e *PanicError) Error() string { return fmt.Sprintf("the engine panicked: %v", e.Cause) }

// recovered makes an engine's call, and an error of its panic.
func recovered(call func()) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &PanicError{cause, debug.Stack()}
		}
	}()
	call()
	return nil
}

// prepare has an engine prepare a job.
func prepare(e engine.Engine, header [32]byte, threshold u512.Uint) (search engine.Job, err error) {
	if panicked := recovered(func() { search, err = e.Prepare(header, threshold) }); panicked != nil {
		err = panicked
	}
	if err != nil {
		return nil, fmt.Errorf("preparing header %x for %s: %w", header, e.Name(), err)
	}
	return search, nil
}

// replace takes the engine of a lease, in which it reported a wrong nonce, out of
// service. It reports whether there is another one, with which all jobs go on.
//
// Who reports a wrong nonce may have passed over a right one. So the next engine
// begins with that lease, and when it has come to the end of the range it searches
// what the first one has, too.
func (m *Miner) replace(l lease) bool {
	// Of workers that find out at the same time, one looks for the next engine and
	// the others wait.
	m.replacing.Lock()
	defer m.replacing.Unlock()

	m.mu.Lock()
	l.shift.totals.Rejected++
	present, broken := m.shift(), m.broken
	m.mu.Unlock()
	if present != l.shift || broken {
		return !broken
	}

	old := l.shift.engine
	var next engine.Engine
	err := ErrNoEngine
	if m.Replace != nil {
		next, err = m.Replace(old)
	}
	if err != nil {
		m.log.Error("NO ENGINE IS LEFT: all jobs fail, and the miner takes no more", "out_of_service", old.Name(), "kernel", old.Backend(), "error", err)
		m.giveUp()
		return false
	}
	m.log.Error("ENGINE OUT OF SERVICE: another one goes on; please report this",
		"out_of_service", old.Name(), "kernel", old.Backend(), "engine", next.Name(), "next_kernel", next.Backend())

	m.mu.Lock()
	defer m.mu.Unlock()
	m.shifts = append(m.shifts, &shift{engine: next})
	for _, job := range m.running {
		from := job.request.Range.Start
		switch {
		case job == l.job:
			from = l.Start
		case len(job.unleased) > 0:
			from = job.unleased[0].Start
		}
		job.searchAgain(from)
		m.enqueueLocked(job)
	}
	return true
}

// giveUp fails all jobs, as there is no engine to search them with, and has the
// miner refuse others.
func (m *Miner) giveUp() {
	m.mu.Lock()
	m.broken = true
	failed := slices.Clone(m.running)
	for _, job := range failed {
		m.end(job, Result{Status: Failed, Err: ErrWrongNonce})
	}
	m.mu.Unlock()
	for _, job := range failed {
		m.logEnd(job)
	}
}
