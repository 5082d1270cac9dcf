package mining

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Retention is how long a job is known after its end. Counted from its start,
// the result of a long job would be gone before anybody could fetch it.
const Retention = 5 * time.Minute

// The reasons for which Submit refuses a job.
var (
	// ErrExists says that a job of that name is known, whatever its state.
	ErrExists = errors.New("job already exists")
	// ErrClosed says that the miner is shutting down.
	ErrClosed = errors.New("the miner is shutting down")
	// ErrNoEngine says that the last engine of the last crew was taken out of service.
	ErrNoEngine = errors.New("no engine is left that can be trusted: every one of them has reported a wrong nonce or failed its self-test")
)

// The reasons for which a job fails, beside a [PanicError], or is cancelled.
var (
	// ErrExhausted says that the whole range was searched in vain.
	ErrExhausted = errors.New("no valid nonce in the range")
	// ErrWrongNonce says that the engine reported a nonce that is not valid, and
	// that there is no other engine to go on with.
	ErrWrongNonce = errors.New("the engine reported a wrong nonce")
	// ErrStopped says that the engine gave up, though nobody had asked it to.
	ErrStopped = errors.New("the engine stopped unasked")
	// ErrAbandoned says that a job was cancelled as nobody asked about it any more.
	ErrAbandoned = errors.New("nobody asks about it any more")
)

// ThresholdError says why the engine's proof of work refuses a job's threshold.
type ThresholdError = engine.ThresholdError

// Miner searches jobs with its crews, which all running jobs share. Without a crew
// jobs wait for one.
type Miner struct {
	// Limits bound the jobs. They are to be set before the first is submitted.
	Limits Limits
	// Difficulty, if not nil, returns how many nonces a winner takes on average, for the log
	// of a job that starts. It is to be set before the first job is submitted.
	Difficulty func(threshold u512.Uint) float64

	log *slog.Logger

	// mu guards what follows and the state of every job. It is held briefly: never
	// during a search, a verification or a log line.
	mu        sync.Mutex
	wake      *sync.Cond // something was queued, a crew has left, or the miner was resumed or closed
	left      *sync.Cond // a worker has ended, or missed a deadline
	runs      bool
	closed    bool
	paused    bool
	broken    bool              // the last crew left as its engine was wrong
	crews     []*Crew           // that are there
	workers   int               // of the crews
	present   int               // workers that are waited for at the end
	engines   []*EngineOverview // of all engines that there were, by name
	jobs      map[string]*Job   // all that are known: those in running and in over
	running   []*Job            // in the order of their starts
	queue     []*Job            // running, with nonces to lease, in turn
	over      []*Job            // in the order of their ends
	submitted uint64            // jobs that there ever were
	finds     []Find            // the latest winners, the newest last
}

// New returns a miner with some crews, which search once Run is called.
func New(log *slog.Logger, crews ...*Crew) *Miner {
	m := &Miner{log: log, jobs: make(map[string]*Job)}
	m.wake, m.left = sync.NewCond(&m.mu), sync.NewCond(&m.mu)
	for _, c := range crews {
		m.Add(c)
	}
	return m
}

// Working reports whether the miner takes jobs: it does not when it is shutting
// down, or when the last crew has left as its engine was wrong.
func (m *Miner) Working() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.closed && !m.broken
}

// Workers returns the number of workers of all crews.
func (m *Miner) Workers() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.workers
}

// Run works on the submitted jobs until ctx is done. Then it refuses further
// jobs, cancels those that run, and returns when every worker has stopped, but for those
// that have missed their crew's deadline.
func (m *Miner) Run(ctx context.Context) {
	m.mu.Lock()
	m.runs = true
	for _, c := range m.crews {
		m.startLocked(c)
	}
	m.mu.Unlock()
	m.watchAbandoned(ctx)
	m.close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.present > 0 {
		m.left.Wait()
	}
}

// close ends all jobs and lets the workers go.
func (m *Miner) close() {
	m.mu.Lock()
	m.closed = true
	m.wake.Broadcast()
	cancelled := slices.Clone(m.running)
	for _, job := range cancelled {
		m.end(job, Result{Status: Cancelled})
	}
	for _, c := range m.crews {
		c.dismiss()
	}
	m.mu.Unlock()
	m.logEnds(cancelled)
}

// Pause has all workers stop searching, within a moment, until Resume is called. Jobs
// wait in the meantime.
func (m *Miner) Pause() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paused = true
	for _, job := range m.running {
		for _, c := range m.crews {
			job.retire(c.term)
		}
	}
}

// Resume has the workers search again after a Pause.
func (m *Miner) Resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paused = false
	m.wake.Broadcast()
}

// Paused reports whether the workers wait for Resume.
func (m *Miner) Paused() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.paused
}

// Submit starts a job. Its errors are ErrExists, ErrClosed, ErrNoEngine, a
// [BusyError], an empty range, too long a prefix, or those of the first crew's engine,
// such as a [ThresholdError]. As long as there is no crew nothing is known of a
// threshold: the job fails later if it makes no sense.
func (m *Miner) Submit(r Request) (*Job, error) {
	if r.Received.IsZero() {
		r.Received = time.Now()
	}
	nonces, first, err := r.nonces()
	if err != nil {
		return nil, err
	}
	job := &Job{
		request: r, nonces: nonces, miner: m, done: make(chan struct{}), unleased: wholeFrom(nonces, first),
		current: make(map[*term]*assignment), threadIndex: make(map[Thread]int),
	}
	if r.GoOn {
		job.winners = make(chan Winner, winnerQueue)
	}
	if r.FirstNonce != nil {
		// Whichever worker comes first: the others may never come to count.
		job.firstNonce = sync.OnceFunc(func() { r.FirstNonce(time.Since(r.Received)) })
	}
	a, err := m.admit(job)
	if err != nil {
		return nil, err
	}
	if a != nil {
		if _, err := a.prepare(); err != nil {
			return nil, err
		}
	}
	if err := m.register(job, a); err != nil {
		return nil, err
	}
	// In between, or the end of an easy job would be reported before its start.
	attrs := []any{
		"job", r.ID, "engine", job.Engine(), "header", fmt.Sprintf("%x", r.Header),
		"threshold_bits", r.Threshold.BitLen(), "start", first.Hex(), "end", nonces.End.Hex(),
	}
	if m.Difficulty != nil {
		attrs = append(attrs, "difficulty", m.Difficulty(r.Threshold))
	}
	m.log.Info("job started", attrs...)
	m.enqueue(job)
	return job, nil
}

// admit says whether a job would be taken, and returns its assignment to the first crew,
// if there is one.
func (m *Miner) admit(job *Job) (*assignment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admitLocked(job.ID()); err != nil || len(m.crews) == 0 {
		return nil, err
	}
	return newAssignment(job, m.crews[0]), nil
}

func (m *Miner) admitLocked(id string) error {
	if m.closed {
		return ErrClosed
	}
	if m.broken {
		return ErrNoEngine
	}
	m.forget()
	if _, known := m.jobs[id]; known {
		return ErrExists
	}
	return m.room()
}

// register makes a job known, unless another of its name came first. It has been
// prepared for an assignment, if that is not nil.
func (m *Miner) register(job *Job, a *assignment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admitLocked(job.ID()); err != nil {
		return err
	}
	job.asked = time.Now()
	switch {
	case len(m.crews) == 0:
		job.engine = m.engineIndex(noEngine)
	case a != nil && a.term == m.crews[0].term:
		job.assign(a)
	default: // that engine is no longer in service
		job.assign(newAssignment(job, m.crews[0]))
	}
	m.submitted++
	job.number = m.submitted
	m.jobs[job.ID()] = job
	m.running = append(m.running, job)
	return nil
}

// enqueue hands a known job to the workers, unless it has been cancelled already.
func (m *Miner) enqueue(job *Job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if job.result.Status == Running {
		m.enqueueLocked(job)
	}
}

// enqueueLocked hands a running job to the workers, unless they have all of it
// already; mu is held.
func (m *Miner) enqueueLocked(job *Job) {
	if len(job.unleased) > 0 && !slices.Contains(m.queue, job) {
		at := len(m.queue)
		if job.request.InTurn {
			later := func(other *Job) bool { return other.request.InTurn && other.number > job.number }
			if i := slices.IndexFunc(m.queue, later); i >= 0 {
				at = i
			}
		}
		m.queue = slices.Insert(m.queue, at, job)
		m.wake.Broadcast()
	}
}

// Job returns the job of that name, if it is known. Its owner has asked about it
// then.
func (m *Miner) Job(id string) (*Job, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	job, known := m.jobs[id]
	if known {
		job.asked = time.Now()
	}
	return job, known
}

// Cancel ends the job of that name if it runs, and reports whether it is known.
// A job that is over stays as it is.
func (m *Miner) Cancel(id string) (known bool) {
	m.mu.Lock()
	m.forget()
	job, known := m.jobs[id]
	ended := known && m.end(job, Result{Status: Cancelled})
	m.mu.Unlock()
	if ended {
		m.logEnd(job)
	}
	return known
}

// forget drops the jobs whose retention is over, or for which there is no room; mu is
// held. It is called whenever a job is asked for, so nothing has to run in the meantime.
func (m *Miner) forget() {
	crowded := func() bool { return m.Limits.Over > 0 && len(m.over) > m.Limits.Over }
	for len(m.over) > 0 && (crowded() || time.Since(m.over[0].ended) >= Retention) {
		delete(m.jobs, m.over[0].ID())
		m.over[0] = nil
		m.over = m.over[1:]
	}
}

// end gives a job its final result and starts its retention; mu is held. It
// reports false, and changes nothing, if the job is over already.
func (m *Miner) end(job *Job, result Result) bool {
	if !job.end(result) {
		return false
	}
	is := func(other *Job) bool { return other == job }
	m.running = slices.DeleteFunc(m.running, is)
	m.queue = slices.DeleteFunc(m.queue, is)
	m.over = append(m.over, job)
	m.count(job)
	return true
}

// next waits for a running job with nonces to lease to a worker, and leases the
// worker some of the one whose turn it is. It returns nil when the worker is to end.
func (m *Miner) next(w *worker) *lease {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.closed && w.present {
		if l := m.leaseTo(w); l != nil {
			return l
		}
		m.wake.Wait()
	}
	return nil
}

// leaseTo leases a worker some of the first queued job that its crew has not failed
// at; mu is held. It returns nil if there is none.
func (m *Miner) leaseTo(w *worker) *lease {
	if m.paused {
		return nil
	}
	for i, job := range m.queue {
		a := job.assignmentOf(w.Crew)
		if a == nil {
			a = newAssignment(job, w.Crew)
			job.assign(a)
		}
		if a.failed != nil {
			continue
		}
		l := job.take(a, w.number)
		if left := len(job.unleased) > 0; !left || !job.request.InTurn {
			m.queue = slices.Delete(m.queue, i, i+1)
			if left {
				m.queue = append(m.queue, job)
			}
		}
		return l
	}
	return nil
}

// report takes a lease back and draws the consequences of how its search ended.
// The turn is the time that it kept its worker.
func (m *Miner) report(l *lease, e ending, turn time.Duration) {
	if e.err == ErrWrongNonce {
		m.wrongNonce(l.term, l.job, l.Range, e.nonce)
	} else if panicked, ok := errors.AsType[*PanicError](e.err); ok {
		m.log.Error("PANIC: the engine broke down; the job fails unless another crew goes on with it, the others go on", "job", l.job.ID(),
			"engine", l.term.engine.Name(), "kernel", l.term.engine.Backend(), "cause", panicked.Cause, "stack", string(panicked.Stack))
	}

	m.mu.Lock()
	job := l.job
	l.leases--
	l.held[l.worker] = nil
	if !l.void {
		job.out--
	}
	rest := l.stretch                                    // what was not searched
	rest.again = rest.again || l.term.crew.Remote != nil // which may have searched more than it told
	result := e.result
	switch {
	case l.wrong: // and what there is to search again is in the range again
		rest.Range = nothing
	case e.err != nil:
		l.failed = e.err
	case e.status == engine.Found:
		result = e.result // also if it comes late: the job may still want it
	case e.status == engine.Exhausted:
		rest.Range = nothing
		if !l.void {
			l.resize(l, turn)
		}
	case l.retired, e.status == engine.Unavailable:
		done := l.searched()
		if l.term.crew.Remote != nil {
			done = e.done
		}
		rest.Start = rest.Start.AddSat(u512.From64(done))
	case job.result.Status == Running:
		// If nobody searched these nonces the job would never end.
		l.failed = ErrStopped
	}
	ended := false
	switch {
	case job.result.Status != Running:
	case result.Status != Running:
		if ended = m.end(job, result); ended {
			m.found(l.term.totals, job.find(result.Nonce, job.ended))
		}
	default:
		if !l.void {
			job.giveBack(rest)
		}
		job.drop(l.assignment)
		ended = l.failed != nil && m.endIfFailedLocked(job)
		if !ended && job.out == 0 && len(job.unleased) == 0 {
			ended = m.end(job, Result{Status: Failed, Err: ErrExhausted})
		}
		if !ended {
			m.enqueueLocked(job)
		}
	}
	m.mu.Unlock()
	if ended {
		m.logEnd(job)
	}
}

// nothing is a range without a nonce.
var nothing = engine.Range{Start: u512.From64(1)}

// takeBack takes a lease back from a worker that may never return; mu is held. What the
// worker has found and counted until then stands, and what it may yet find is taken.
func (m *Miner) takeBack(l *lease) {
	l.void = true
	l.held[l.worker] = nil
	l.job.out--
	if l.job.result.Status == Running && !l.wrong {
		l.job.giveBack(stretch{l.Range, true})
		m.enqueueLocked(l.job)
	}
}

// verify checks a found nonce against its range and the reference rule. A wrong
// nonce that the node believes costs it a block.
func verify(search engine.Job, r engine.Range, nonce u512.Uint) (result Result, err error) {
	var distance u512.Uint
	var ok bool
	if err := recovered(func() { distance, ok = search.Verify(nonce) }); err != nil {
		return Result{}, err
	}
	if !ok || nonce.Cmp(r.Start) < 0 || nonce.Cmp(r.End) > 0 {
		return Result{}, ErrWrongNonce
	}
	return Result{Status: Completed, Nonce: nonce, Distance: distance}, nil
}

// logEnds reports the ends of jobs.
func (m *Miner) logEnds(jobs []*Job) {
	for _, job := range jobs {
		m.logEnd(job)
	}
}

// logEnd reports the end of a job.
func (m *Miner) logEnd(job *Job) {
	s := job.Snapshot()
	attrs := []any{"job", job.ID(), "hashes", s.Evaluated, "elapsed", s.Elapsed.Round(100 * time.Microsecond)}
	if s.Elapsed > 0 {
		attrs = append(attrs, "hash_rate", math.Round(float64(s.Evaluated)/s.Elapsed.Seconds()))
	}
	switch s.Status {
	case Completed:
		attrs = append(attrs, "nonce", s.Nonce.Hex())
	case Failed:
		attrs = append(attrs, "reason", s.Err)
	case Cancelled:
		if s.Err == ErrAbandoned {
			m.log.Warn("job abandoned: nobody has asked about it for a while", append(attrs, "patience", m.Limits.AbandonAfter)...)
			return
		}
	}
	m.log.Info("job "+s.Status.String(), attrs...)
}
