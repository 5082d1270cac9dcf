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
)

// The reasons for which a job fails.
var (
	// ErrExhausted says that the whole range was searched in vain.
	ErrExhausted = errors.New("no valid nonce in the range")
	// ErrWrongNonce says that the engine reported a nonce that is not valid.
	ErrWrongNonce = errors.New("the engine reported a wrong nonce")
	// ErrStopped says that the engine gave up, though nobody had asked it to.
	ErrStopped = errors.New("the engine stopped unasked")
)

// Miner searches jobs on a fixed number of workers, which all running jobs share.
type Miner struct {
	// FirstNonce, if not nil, is told how long a job took from being asked for to
	// its first nonces, which no [Overview] shows. A worker calls it, so it must
	// return at once. It is to be set before the first job is submitted.
	FirstNonce func(time.Duration)

	// Enter, if not nil, is called by every worker as it sets out, to prepare the
	// goroutine that it computes on. It is to be set before Run is called.
	Enter func()

	// Limits bound the jobs. They are to be set before the first is submitted.
	Limits Limits

	engine  engine.Engine
	workers int
	log     *slog.Logger

	// mu guards what follows and the state of every job. It is held briefly: never
	// during a search, a verification or a log line.
	mu      sync.Mutex
	wake    *sync.Cond // something was queued, or the miner was closed
	closed  bool
	jobs    map[string]*Job // all that are known: those in running and in over
	running []*Job          // in the order of their starts
	queue   []*Job          // running, with nonces to lease, in turn
	over    []*Job          // in the order of their ends
	totals  Totals          // but for what running jobs have evaluated
}

// New returns a miner that searches with e on the given number of workers (at
// least one) once Run is called.
func New(e engine.Engine, workers int, log *slog.Logger) *Miner {
	m := &Miner{engine: e, workers: workers, log: log, jobs: make(map[string]*Job)}
	m.wake = sync.NewCond(&m.mu)
	return m
}

// Engine returns the engine that the miner searches with.
func (m *Miner) Engine() engine.Engine { return m.engine }

// Workers returns the number of workers.
func (m *Miner) Workers() int { return m.workers }

// Run works on the submitted jobs until ctx is done. Then it refuses further
// jobs, cancels those that run, and returns when every worker has stopped.
func (m *Miner) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for worker := range m.workers {
		workers.Go(func() { m.work(worker) })
	}
	<-ctx.Done()
	m.close()
	workers.Wait()
}

// close ends all jobs and sends the workers home.
func (m *Miner) close() {
	m.mu.Lock()
	m.closed = true
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

// Submit starts a job. Its errors are ErrExists, ErrClosed, a [BusyError], an empty
// range, or the engine's.
func (m *Miner) Submit(r Request) (*Job, error) {
	if r.Received.IsZero() {
		r.Received = time.Now()
	}
	if r.Range.Empty() {
		return nil, errors.New("the range of nonces is empty")
	}
	if err := m.admit(r.ID); err != nil {
		return nil, err
	}
	search, err := m.engine.Prepare(r.Header, r.Threshold)
	if err != nil {
		return nil, fmt.Errorf("preparing header %x for %s: %w", r.Header, m.engine.Name(), err)
	}
	job := &Job{
		id:        r.ID,
		miner:     m,
		search:    search,
		nonces:    r.Range,
		started:   r.Received,
		done:      make(chan struct{}),
		progress:  make([]engine.Progress, m.workers),
		unleased:  r.Range,
		leaseBits: firstLeaseBits,
	}
	if m.FirstNonce != nil {
		// Whichever worker comes first: the others may never come to count.
		first := sync.OnceFunc(func() { m.FirstNonce(time.Since(job.started)) })
		for i := range job.progress {
			job.progress[i].NotifyFirst(first)
		}
	}
	if err := m.register(job); err != nil {
		return nil, err
	}
	// In between, or the end of an easy job would be reported before its start.
	m.log.Info("job started", "job", job.id, "engine", m.engine.Name(), "header", fmt.Sprintf("%x", r.Header),
		"threshold_bits", r.Threshold.BitLen(), "start", r.Range.Start.Hex(), "end", r.Range.End.Hex())
	m.enqueue(job)
	return job, nil
}

// admit says whether a job of that name would be taken.
func (m *Miner) admit(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.admitLocked(id)
}

func (m *Miner) admitLocked(id string) error {
	if m.closed {
		return ErrClosed
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
	if err := m.admitLocked(job.id); err != nil {
		return err
	}
	m.jobs[job.id] = job
	m.running = append(m.running, job)
	return nil
}

// enqueue hands a known job to the workers, unless it has been cancelled already.
func (m *Miner) enqueue(job *Job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if job.result.Status == Running {
		m.queue = append(m.queue, job)
		m.wake.Broadcast()
	}
}

// Job returns the job of that name, if it is known.
func (m *Miner) Job(id string) (*Job, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	job, known := m.jobs[id]
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

// forget drops the jobs whose retention is over; mu is held. It is called
// whenever a job is asked for, so nothing has to run in the meantime.
func (m *Miner) forget() {
	for len(m.over) > 0 && time.Since(m.over[0].ended) >= Retention {
		delete(m.jobs, m.over[0].id)
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
	m.totals.add(job)
	return true
}

// work is the life of one worker.
func (m *Miner) work(worker int) {
	if m.Enter != nil {
		m.Enter()
	}
	for {
		l, ok := m.next(worker)
		if !ok {
			return
		}
		began := time.Now()
		outcome := l.search.Search(l.Range, l.progress)
		m.settle(l, outcome, time.Since(began))
	}
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
	l := job.take(worker)
	if !job.unleased.Empty() {
		m.queue = append(m.queue, job)
	}
	return l, true
}

// settle takes a lease back and draws the consequences of how its search ended.
func (m *Miner) settle(l lease, outcome engine.Outcome, took time.Duration) {
	var result Result // of the job, unless it goes on
	switch outcome.Status {
	case engine.Found:
		// While a winner is judged the other workers go on: 0.3 ms, in case it is wrong.
		result = l.judge(outcome.Nonce)
	case engine.Exhausted:
	default:
		// Usually the job is over, and this comes to nothing. If it is not, its
		// nonces are lost, and it would never end.
		result = Result{Status: Failed, Err: ErrStopped}
	}
	if result.Err == ErrWrongNonce {
		m.log.Error("WRONG NONCE: the engine reported a nonce that the reference rule refuses; the job fails, and the nonce goes nowhere",
			"job", l.job.id, "engine", m.engine.Name(), "nonce", outcome.Nonce.Hex(), "start", l.Start.Hex(), "end", l.End.Hex())
	}

	m.mu.Lock()
	if result.Err == ErrWrongNonce {
		m.totals.Rejected++
	}
	l.job.leases--
	if outcome.Status == engine.Exhausted {
		l.job.resize(l, took)
		if l.job.leases == 0 && l.job.unleased.Empty() {
			result = Result{Status: Failed, Err: ErrExhausted}
		}
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
	distance, ok := l.search.Verify(nonce)
	if !ok || nonce.Cmp(l.Start) < 0 || nonce.Cmp(l.End) > 0 {
		return Result{Status: Failed, Err: ErrWrongNonce}
	}
	return Result{Status: Completed, Nonce: nonce, Distance: distance}
}

// logEnd reports the end of a job.
func (m *Miner) logEnd(job *Job) {
	s := job.Snapshot()
	attrs := []any{"job", job.id, "hashes", s.Evaluated, "elapsed", s.Elapsed.Round(100 * time.Microsecond)}
	if s.Elapsed > 0 {
		attrs = append(attrs, "hash_rate", math.Round(float64(s.Evaluated)/s.Elapsed.Seconds()))
	}
	switch s.Status {
	case Completed:
		attrs = append(attrs, "nonce", s.Nonce.Hex())
	case Failed:
		attrs = append(attrs, "reason", s.Err)
	}
	m.log.Info("job "+s.Status.String(), attrs...)
}
