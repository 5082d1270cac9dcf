package mining

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Engines are trusted with speed and with nothing else: what they find is verified
// by the reference rule, one that is wrong is replaced, and one that panics gets no more
// of that job.

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

// wrongNonce takes the engine out of service that reported a wrong nonce of a job, in some
// part of its range. Its crew goes on with another, or leaves.
//
// Who reports a wrong nonce may have passed over a right one. So a job whose range has
// to be searched whole is searched again, beginning with that part. An owner who does
// not care which nonces are searched, or wants one winner after the other, has lost
// nothing that another nonce would not replace.
func (m *Miner) wrongNonce(t *term, of *Job, part engine.Range, nonce u512.Uint) {
	c, wrong := t.crew, t.engine
	m.log.Error("WRONG NONCE: the engine reported a nonce that the reference rule refuses; it goes nowhere",
		"job", of.ID(), "crew", c.Name, "engine", wrong.Name(), "kernel", wrong.Backend(), "nonce", nonce.Hex(), "start", part.Start.Hex(), "end", part.End.Hex())

	// Of workers that find out at the same time, one looks for the next engine and
	// the others wait.
	c.replacing.Lock()
	defer c.replacing.Unlock()
	m.mu.Lock()
	m.engines[t.totals].Rejected++
	known := t != c.term || !c.present
	m.mu.Unlock()
	if known {
		return
	}

	var next engine.Engine
	err := errors.New("there is no other")
	if c.Replace != nil {
		next, err = c.Replace(wrong)
	}
	if err == nil {
		m.log.Error("ENGINE OUT OF SERVICE: another one goes on; please report this",
			"out_of_service", wrong.Name(), "kernel", wrong.Backend(), "engine", next.Name(), "next_kernel", next.Backend())
	}

	m.mu.Lock()
	for _, job := range m.running {
		if a := job.assignmentOf(c); a != nil {
			a.wrong = true
		}
	}
	var failed []*Job
	if err == nil {
		for _, job := range m.running {
			job.retire(c.term)
		}
		c.begin(next)
	} else {
		failed = m.removeLocked(c)
		// Machines far away come and go: jobs wait for the next one.
		if m.broken = len(m.crews) == 0 && c.Remote == nil; m.broken {
			failed = slices.Clone(m.running)
			for _, job := range failed {
				m.end(job, Result{Status: Failed, Err: ErrWrongNonce})
			}
		}
	}
	for _, job := range m.running {
		if r := job.request; r.Anywhere || r.GoOn {
			continue
		}
		from := job.nonces.Start
		switch {
		case job == of:
			from = part.Start
		case len(job.unleased) > 0:
			from = job.unleased[0].Start
		}
		job.searchAgain(from)
		m.enqueueLocked(job)
	}
	broken := m.broken
	m.mu.Unlock()
	switch {
	case broken:
		m.log.Error("NO ENGINE IS LEFT: all jobs fail, and the miner takes no more", "out_of_service", wrong.Name(), "kernel", wrong.Backend(), "error", err)
	case err != nil:
		m.log.Error("CREW LEAVES: its engine is wrong; the others go on; please report this",
			"crew", c.Name, "out_of_service", wrong.Name(), "kernel", wrong.Backend(), "error", err)
	}
	m.logEnds(failed)
}
