package mining

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
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
	// ErrNoEngine says that the last engine was taken out of service.
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

// Miner searches jobs on a fixed number of workers, which all running jobs share.
type Miner struct {
	// FirstNonce, if not nil, is told how long a job took from being asked for to
	// its first nonces, which no [Overview] shows. A worker calls it, so it must
	// return at once. It is to be set before the first job is submitted.
	FirstNonce func(time.Duration)

	// Enter, if not nil, is called by every worker as it sets out, to prepare the
	// goroutine that it computes on. It is to be set before Run is called.
	Enter func()

	// Replace, if not nil, is asked for the engine to go on with when one has
	// reported a wrong nonce. It may take its time, for a self-test. It is to be set
	// before the first job is submitted.
	Replace func(refused engine.Engine) (engine.Engine, error)

	// Limits bound the jobs. They are to be set before the first is submitted.
	Limits Limits

	// Throttle is the share of its time, above 0 and up to 1, that a worker may
	// search for. The zero value is no throttle. It is to be set before Run is
	// called.
	Throttle float64

	workers int
	log     *slog.Logger

	// replacing is held while an engine is being replaced.
	replacing sync.Mutex

	// mu guards what follows and the state of every job. It is held briefly: never
	// during a search, a verification or a log line.
	mu      sync.Mutex
	wake    *sync.Cond // something was queued, or the miner was closed
	closed  bool
	closing chan struct{}   // closed when the miner is
	shifts  []*shift        // of all engines that there were; the last one is in service
	broken  bool            // the last one is not, either
	jobs    map[string]*Job // all that are known: those in running and in over
	running []*Job          // in the order of their starts
	queue   []*Job          // running, with nonces to lease, in turn
	over    []*Job          // in the order of their ends
}

// shift is an engine's time in service.
type shift struct {
	engine engine.Engine
	totals Totals // of the jobs that began in it and are over; and its wrong nonces
}

// New returns a miner that searches with e on the given number of workers (at
// least one) once Run is called.
func New(e engine.Engine, workers int, log *slog.Logger) *Miner {
	m := &Miner{
		workers: workers,
		log:     log,
		closing: make(chan struct{}),
		shifts:  []*shift{{engine: e}},
		jobs:    make(map[string]*Job),
	}
	m.wake = sync.NewCond(&m.mu)
	return m
}

// Engine returns the engine that the miner searches with.
func (m *Miner) Engine() engine.Engine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shift().engine
}

// Working reports whether the miner takes jobs: it does not when it is shutting
// down, or when no engine is left.
func (m *Miner) Working() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.closed && !m.broken
}

// shift returns the present shift; mu is held.
func (m *Miner) shift() *shift { return m.shifts[len(m.shifts)-1] }

// Workers returns the number of workers.
func (m *Miner) Workers() int { return m.workers }

// Run works on the submitted jobs until ctx is done. Then it refuses further
// jobs, cancels those that run, and returns when every worker has stopped.
func (m *Miner) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for worker := range m.workers {
		workers.Go(func() { m.work(worker) })
	}
	m.watchOrphans(ctx)
	m.close()
	workers.Wait()
}

// close ends all jobs and sends the workers home.
func (m *Miner) close() {
	m.mu.Lock()
	m.closed = true
	close(m.closing)
	m.wake.Broadcast()
	cancelled := slices.Clone(m.running)
	for _, job := range cancelled {
		m.end(job, Result{Status: Cancelled})
	}
	m.mu.Unlock()
	for _, job := range cancelled {
		m.logEnd(job)
	}
}

// Submit starts a job. Its errors are ErrExists, ErrClosed, ErrNoEngine, a
// [BusyError], an empty range, or the engine's, such as a [ThresholdError].
func (m *Miner) Submit(r Request) (*Job, error) {
	if r.Received.IsZero() {
		r.Received = time.Now()
	}
	if r.Range.Empty() {
		return nil, errors.New("the range of nonces is empty")
	}
	shift, err := m.admit(r.ID)
	if err != nil {
		return nil, err
	}
	search, err := prepare(shift.engine, r.Header, r.Threshold)
	if err != nil {
		return nil, err
	}
	job := &Job{
		request:   r,
		miner:     m,
		began:     shift,
		done:      make(chan struct{}),
		shift:     shift,
		search:    search,
		progress:  make([]engine.Progress, m.workers),
		unleased:  []engine.Range{r.Range},
		leaseBits: firstLeaseBits,
	}
	if m.FirstNonce != nil {
		// Whichever worker comes first: the others may never come to count.
		first := sync.OnceFunc(func() { m.FirstNonce(time.Since(r.Received)) })
		for i := range job.progress {
			job.progress[i].NotifyFirst(first)
		}
	}
	if err := m.register(job); err != nil {
		return nil, err
	}
	// In between, or the end of an easy job would be reported before its start.
	m.log.Info("job started", "job", r.ID, "engine", job.Engine(), "header", fmt.Sprintf("%x", r.Header),
		"threshold_bits", r.Threshold.BitLen(), "start", r.Range.Start.Hex(), "end", r.Range.End.Hex())
	m.enqueue(job)
	return job, nil
}

// admit says whether a job of that name would be taken, and in which shift.
func (m *Miner) admit(id string) (*shift, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shift(), m.admitLocked(id)
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

// register makes a prepared job known, unless another of its name came first.
func (m *Miner) register(job *Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admitLocked(job.ID()); err != nil {
		return err
	}
	job.asked = time.Now()
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
		m.queue = append(m.queue, job)
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
	job.began.totals.count(job)
	return true
}

// work is the life of one worker.
func (m *Miner) work(worker int) {
	// A kernel that reads or writes where it must not panics then, and ends its
	// job and not the miner.
	debug.SetPanicOnFault(true)
	if m.Enter != nil {
		m.Enter()
	}
	for {
		l, ok := m.next(worker)
		if !ok {
			return
		}
		began := time.Now()
		outcome, err := m.search(&l)
		rest := m.restAfter(time.Since(began))
		m.settle(l, outcome, err, time.Since(began)+rest)
		if rest > 0 {
			select {
			case <-time.After(rest):
			case <-m.closing:
			}
		}
	}
}

// restAfter returns how long a worker rests after a search for the throttle's
// sake. As leases are cut by the time that they take with their rest, neither of
// them is long.
func (m *Miner) restAfter(search time.Duration) time.Duration {
	if m.Throttle == 0 {
		return 0
	}
	return time.Duration(float64(search) * (1/m.Throttle - 1))
}

// next waits for a running job with nonces to lease, and takes the next lease
// of the one whose turn it is. It reports false when the miner is closed.
func (m *Miner) next(worker int) (lease, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.closed && len(m.queue) == 0 {
		m.wake.Wait()
	}
	if m.closed {
		return lease{}, false
	}
	job := m.queue[0]
	m.queue = slices.Delete(m.queue, 0, 1)
	if job.shift != m.shift() {
		job.shift, job.search = m.shift(), nil
	}
	l := job.take(worker)
	if len(job.unleased) > 0 {
		m.queue = append(m.queue, job)
	}
	return l, true
}

// search searches a lease. If the engine has changed since the job was prepared it
// prepares it anew; so may another worker at the same time, which does no harm.
func (m *Miner) search(l *lease) (outcome engine.Outcome, err error) {
	if l.search == nil {
		if l.search, err = prepare(l.shift.engine, l.job.request.Header, l.job.request.Threshold); err != nil {
			return outcome, err
		}
		m.mu.Lock()
		if l.job.shift == l.shift && l.job.result.Status == Running {
			l.job.search = l.search
		}
		m.mu.Unlock()
	}
	err = recovered(func() { outcome = l.search.Search(l.Range, l.progress) })
	return outcome, err
}

// settle takes a lease back and draws the consequences of how its search ended.
// The turn is the time that it kept its worker.
func (m *Miner) settle(l lease, outcome engine.Outcome, err error, turn time.Duration) {
	var result Result // of the job, unless it goes on
	switch {
	case err != nil:
		result = Result{Status: Failed, Err: err}
	case outcome.Status == engine.Found:
		// While a winner is judged the other workers go on: 0.3 ms, in case it is wrong.
		result = l.judge(outcome.Nonce)
	case outcome.Status == engine.Exhausted:
	default:
		// Usually the job is over, and this comes to nothing. If it is not, its
		// nonces are lost, and it would never end.
		result = Result{Status: Failed, Err: ErrStopped}
	}
	if result.Err == ErrWrongNonce {
		m.log.Error("WRONG NONCE: the engine reported a nonce that the reference rule refuses; it goes nowhere",
			"job", l.job.ID(), "engine", l.shift.engine.Name(), "kernel", l.shift.engine.Backend(),
			"nonce", outcome.Nonce.Hex(), "start", l.Start.Hex(), "end", l.End.Hex())
		if m.replace(l) {
			result = Result{} // the job goes on
		}
	}
	if panicked, ok := errors.AsType[*PanicError](result.Err); ok {
		m.log.Error("PANIC: the engine broke down; the job fails, the others go on", "job", l.job.ID(),
			"engine", l.shift.engine.Name(), "kernel", l.shift.engine.Backend(), "cause", panicked.Cause, "stack", string(panicked.Stack))
	}

	m.mu.Lock()
	l.job.leases--
	if err == nil && outcome.Status == engine.Exhausted {
		l.job.resize(l, turn)
	}
	if result.Status == Running && l.job.leases == 0 && len(l.job.unleased) == 0 {
		result = Result{Status: Failed, Err: ErrExhausted}
	}
	ended := result.Status != Running && m.end(l.job, result)
	m.mu.Unlock()
	if ended {
		m.logEnd(l.job)
	}
}

// judge checks a found nonce against the range and the reference rule. A wrong
// nonce that the node believes costs it a block.
func (l lease) judge(nonce u512.Uint) Result {
	var distance u512.Uint
	var ok bool
	if err := recovered(func() { distance, ok = l.search.Verify(nonce) }); err != nil {
		return Result{Status: Failed, Err: err}
	}
	if !ok || nonce.Cmp(l.Start) < 0 || nonce.Cmp(l.End) > 0 {
		return Result{Status: Failed, Err: ErrWrongNonce}
	}
	return Result{Status: Completed, Nonce: nonce, Distance: distance}
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
