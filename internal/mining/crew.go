package mining

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Crew is a number of workers that search with one engine: the threads of the CPU
// are a crew, and so is each device. Its exported fields are to be set before the
// crew is added to a [Miner], and not to be changed afterwards.
//
// Crews come and go while jobs run. What a crew has leased and not searched when it
// goes, others search.
type Crew struct {
	// Name tells the crew's workers from those of other crews: it is what they are
	// called in an [Overview]. The workers of the crew without a name, the CPU's, are
	// called by their numbers, from 0. No two crews of a miner may share a name.
	Name string
	// Engine is what the crew searches with. It may be used by this crew alone.
	Engine engine.Engine
	// Workers is the number of workers, at least 1.
	Workers int
	// LeaseTime is how long a lease should take: 0.2 s if it is 0. A new job waits for
	// a lease of another one to end; an engine that takes long to start, or has a
	// queue to fill, wants longer ones.
	LeaseTime time.Duration
	// Remote, if not nil, searches instead of the engine, which only refuses thresholds then:
	// a machine far away. The workers are the leases that it may hold at a time.
	Remote Remote
	// Deadline, unless it is 0, is how long a call of the engine may take. After that
	// the lease is taken back, and others search it; the worker is not waited for.
	Deadline time.Duration
	// Throttle is the share of its time, above 0 and up to 1, that a worker may search
	// for. 0 is no throttle.
	Throttle float64
	// Enter, if not nil, is called by every worker as it begins, to prepare the
	// thread that it computes on.
	Enter func()
	// Replace, if not nil, is asked for the engine to go on with when one has
	// reported a wrong nonce. It may take its time, for a self-test. If it is nil, or
	// returns an error, the crew leaves.
	Replace func(wrong engine.Engine) (engine.Engine, error)
	// Recover, if not nil, is called by a worker whose engine is unavailable. It
	// returns when the engine can search again, or ctx is done as the crew is removed or
	// the miner ends. If it is nil, or returns an error, the crew leaves.
	Recover func(ctx context.Context) error

	miner     *Miner
	replacing sync.Mutex      // held while the engine is being replaced
	gone      context.Context // done when the crew is no longer the miner's
	dismiss   context.CancelFunc

	// What follows is guarded by miner.mu.
	present bool
	term    *term // of the engine in service
}

// term is the time in service of one engine of a crew.
type term struct {
	crew   *Crew
	engine engine.Engine
	totals int // of engines of its name: the index in miner.engines
	// leaseBits is the size of the leases at which the next job starts.
	leaseBits uint
}

// Add adds a crew. It works as soon as the miner runs.
func (m *Miner) Add(c *Crew) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.crews, func(other *Crew) bool { return other.Name == c.Name }) {
		panic(fmt.Sprintf("mining: there is a crew %q already", c.Name))
	}
	c.miner, c.present = m, true
	c.gone, c.dismiss = context.WithCancel(context.Background())
	c.begin(c.Engine)
	m.crews = append(m.crews, c)
	m.workers += c.Workers
	m.broken = false
	if m.runs && !m.closed {
		m.startLocked(c)
	}
}

// begin puts an engine of the crew in service; miner.mu is held.
func (c *Crew) begin(e engine.Engine) {
	c.term = &term{crew: c, engine: e, totals: c.miner.engineIndex(e.Name()), leaseBits: firstLeaseBits}
}

// Remove takes a crew away. Its workers end within a moment, and what they have not
// searched is left to others. A crew that is not there any more stays away.
func (m *Miner) Remove(c *Crew) {
	m.mu.Lock()
	failed := m.removeLocked(c)
	m.mu.Unlock()
	m.logEnds(failed)
}

// removeLocked takes a crew away, and returns the jobs that fail by that: those
// that no other crew can search. mu is held.
func (m *Miner) removeLocked(c *Crew) (failed []*Job) {
	if !c.present {
		return nil
	}
	c.present = false
	c.dismiss()
	m.crews = slices.DeleteFunc(m.crews, func(other *Crew) bool { return other == c })
	m.workers -= c.Workers
	for _, job := range slices.Clone(m.running) {
		job.retire(c.term)
		if m.endIfFailedLocked(job) {
			failed = append(failed, job)
		}
	}
	m.wake.Broadcast()
	return failed
}

// endIfFailedLocked fails a running job that every crew has failed at, as long as there
// is a crew, and reports whether it did; mu is held.
func (m *Miner) endIfFailedLocked(job *Job) bool {
	var cause error
	for _, c := range m.crews {
		a := job.assignmentOf(c)
		if a == nil || a.failed == nil {
			return false
		}
		cause = a.failed
	}
	return cause != nil && m.end(job, Result{Status: Failed, Err: cause})
}

// InService returns the engine that the crew searches with now, or searched with
// when it left.
func (c *Crew) InService() engine.Engine {
	c.miner.mu.Lock()
	defer c.miner.mu.Unlock()
	return c.term.engine
}

// threads returns how many threads the crew's workers count as.
func (c *Crew) threads() int {
	if c.Remote != nil {
		return 1
	}
	return c.Workers
}

// workerName returns what a worker of a crew is called.
func workerName(crew string, workers, i int) string {
	switch {
	case crew == "":
		return strconv.Itoa(i)
	case workers == 1:
		return crew
	default:
		return crew + "/" + strconv.Itoa(i)
	}
}

// startLocked starts a crew's workers; mu is held.
func (m *Miner) startLocked(c *Crew) {
	for i := range c.Workers {
		m.present++
		go func() {
			w := worker{Crew: c, number: i}
			w.run()
			m.mu.Lock()
			defer m.mu.Unlock()
			if !w.overdue { // or it has been given up already
				m.present--
			}
			m.left.Broadcast()
		}()
	}
}

// worker is one of a crew's workers.
type worker struct {
	*Crew
	number int

	// What follows is guarded by miner.mu, and kept only if the crew has a deadline.
	calling *lease // for which a call of the engine is made
	overdue bool   // it has missed the deadline
}

// run takes leases and searches them until the crew is gone, or the miner closed.
func (w *worker) run() {
	// A kernel that reads or writes where it must not panics then, and ends its
	// job and not the miner.
	debug.SetPanicOnFault(true)
	if w.Enter != nil {
		w.Enter()
	}
	for {
		l := w.miner.next(w)
		if l == nil {
			return
		}
		began := time.Now()
		e := w.search(l)
		rest := w.restAfter(time.Since(began))
		w.miner.report(l, e, time.Since(began)+rest)
		if e.status == engine.Unavailable && !w.recover() {
			return
		}
		if rest > 0 {
			select {
			case <-time.After(rest):
			case <-w.gone.Done():
			}
		}
	}
}

// restAfter returns how long a worker rests after a search for the throttle's
// sake. As leases are cut by the time that they take with their rest, neither of
// them is long.
func (c *Crew) restAfter(search time.Duration) time.Duration {
	if c.Throttle == 0 {
		return 0
	}
	return time.Duration(float64(search) * (1/c.Throttle - 1))
}

// recover waits until the engine is available again. If it will not be, the crew
// leaves, and recover reports false.
func (c *Crew) recover() bool {
	err := errors.New("the engine is unavailable")
	if c.Recover != nil {
		err = c.Recover(c.gone)
	}
	if err != nil && c.gone.Err() == nil {
		c.miner.log.Error("CREW LEAVES: its engine is unavailable", "crew", c.Name, "engine", c.InService().Name(), "error", err)
		c.miner.Remove(c)
	}
	return err == nil
}

// ending is how the search of a lease ended.
type ending struct {
	status engine.Status
	nonce  u512.Uint // the one that was found, if status is Found
	result Result    // what that makes of its job: completed
	done   uint64    // what a machine far away has searched from the start of the lease
	err    error     // ErrWrongNonce, a *PanicError, or that the job cannot be prepared
}

// search searches a lease to its end. If its job goes on after a winner, so does the
// search: each winner is delivered as it is found.
func (w *worker) search(l *lease) ending {
	for {
		var outcome engine.Outcome
		if w.Remote != nil {
			status, done := w.Remote.Search(l.job, l.Range, l.progress)
			return ending{status: status, done: done}
		}
		search, err := w.call(l, &outcome)
		if err != nil || outcome.Status != engine.Found {
			return ending{status: outcome.Status, err: err}
		}
		// While a winner is verified the other workers go on: 0.3 ms, in case it is wrong.
		result, err := verify(search, l.Range, outcome.Nonce)
		switch {
		case err != nil || !l.job.request.GoOn:
			return ending{status: outcome.Status, nonce: outcome.Nonce, result: result, err: err}
		case !w.miner.deliver(l, result):
			return ending{status: engine.Stopped}
		case outcome.Nonce == l.End:
			return ending{status: engine.Exhausted}
		}
		w.miner.advance(l, outcome.Nonce)
	}
}

// call has the engine search a lease, and prepare its job if it has not yet, within
// the crew's deadline if there is one.
func (w *worker) call(l *lease, outcome *engine.Outcome) (search engine.Job, err error) {
	if w.Deadline > 0 {
		w.calls(l)
		defer w.calls(nil)
		defer time.AfterFunc(w.Deadline, func() { w.giveUp(l) }).Stop()
	}
	if search, err = l.prepare(); err != nil {
		return nil, err
	}
	return search, recovered(func() { *outcome = search.Search(l.Range, l.progress) })
}

// calls notes for which lease a call of the engine is made, or that it has returned,
// late or not.
func (w *worker) calls(l *lease) {
	w.miner.mu.Lock()
	defer w.miner.mu.Unlock()
	w.calling = l
	if w.overdue {
		w.overdue = false
		w.miner.present++
	}
}

// giveUp takes back the lease of a worker that has missed its deadline.
func (w *worker) giveUp(l *lease) {
	m := w.miner
	m.mu.Lock()
	late := w.calling == l && !w.overdue
	if late {
		w.overdue = true
		m.present--
		m.left.Broadcast()
		m.takeBack(l)
	}
	m.mu.Unlock()
	if late {
		m.log.Error("DEADLINE MISSED: the engine does not return; what it was to search is left to others", "job", l.job.ID(),
			"worker", workerName(w.Name, w.Workers, w.number), "engine", l.term.engine.Name(), "kernel", l.term.engine.Backend(), "deadline", w.Deadline)
	}
}
