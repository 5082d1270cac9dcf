package mining

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Status is where a job is in its life: Running, then one of the others for ever.
type Status int

// The states of a job.
const (
	// Running jobs are being searched, or wait for a worker.
	Running Status = iota
	// Completed jobs have a valid nonce, confirmed by the reference rule.
	Completed
	// Failed jobs have no valid nonce in their range, or engines that erred.
	Failed
	// Cancelled jobs were given up by their owner, or by the miner's shutdown.
	Cancelled
)

// String returns the lower-case name of the status.
func (s Status) String() string {
	switch s {
	case Running:
		return "running"
	case Completed:
		return "completed"
	case Failed:
		return "failed"
	case Cancelled:
		return "cancelled"
	default:
		return fmt.Sprintf("Status(%d)", int(s))
	}
}

// Request is what a job is made of.
type Request struct {
	// ID names the job for as long as it is known. It must be new.
	ID string
	// Header is the mining hash to search for.
	Header [32]byte
	// Threshold is what makes a nonce valid, to the engine's proof of work: the largest
	// distance, or the difficulty.
	Threshold u512.Uint
	// Range holds the nonces to search. It must not be empty, unless Anywhere is set.
	Range engine.Range
	// Anywhere says that the owner does not care which nonces are searched, as long as
	// none is tried twice and all begin with the same leading bytes: Prefix, which is as
	// long as a nonce at most, and may be empty. The search begins at a random nonce: so
	// machines keep apart without knowing of each other.
	Anywhere bool
	Prefix   []byte
	// GoOn says that the job is not over when a winner was found: the search goes on
	// behind it, and the owner receives one winner after the other from
	// [Job.Winners].
	GoOn bool
	// Received is when the job was asked for: what its time counts from. The
	// zero value is the moment of Submit.
	Received time.Time
	// FirstNonce, if not nil, is told how long the job took from being asked for to
	// its first nonces. A worker calls it, so it must return at once.
	FirstNonce func(time.Duration)
	// InTurn says that the job does not share the workers with jobs that came before it and
	// are in turn as well: it is searched with those workers for which they have nothing left.
	InTurn bool
}

// nonces returns the range that a job is to search, and where it begins.
func (r Request) nonces() (nonces engine.Range, first u512.Uint, err error) {
	if !r.Anywhere {
		if r.Range.Empty() {
			return nonces, first, errors.New("the range of nonces is empty")
		}
		return r.Range, r.Range.Start, nil
	}
	if len(r.Prefix) > u512.Size {
		return nonces, first, fmt.Errorf("the prefix of the nonces has %d bytes, more than the %d of a nonce", len(r.Prefix), u512.Size)
	}
	var lowest, random [u512.Size]byte
	_, _ = rand.Read(random[:]) // never fails
	copy(lowest[:], r.Prefix)
	copy(random[:], r.Prefix)
	nonces.Start = u512.FromBytes(lowest)
	nonces.End = nonces.Start.AddWrap(u512.Max().Rsh(uint(8 * len(r.Prefix))))
	return nonces, u512.FromBytes(random), nil
}

// Result is how a job stands: how it ended, once it is over.
type Result struct {
	// Status is where the job is in its life.
	Status Status
	// Nonce is the winning nonce of a completed job, and Distance its distance
	// by the reference rule.
	Nonce, Distance u512.Uint
	// Err says why a job failed: ErrExhausted, ErrWrongNonce, ErrStopped, a
	// *PanicError; or that a cancelled one was abandoned, by ErrAbandoned.
	Err error
}

// Job is a search that a [Miner] was asked for.
type Job struct {
	request    Request
	nonces     engine.Range // that are searched
	miner      *Miner
	done       chan struct{}
	winners    chan Winner // nil if the job does not go on after one
	firstNonce func()      // to be called by whichever worker is first, or nil

	// All that follows is guarded by miner.mu.

	number  uint64    // ascending, in the order of submission
	engine  int       // the first that it was searched by, to which it counts: the index in miner.engines
	asked   time.Time // when its owner last asked about it
	result  Result
	ended   time.Time // zero while running
	fetched bool      // FirstFetch has said so

	unleased    []stretch             // what is to be leased yet, in this order
	out         int                   // leases that are out
	assignments []*assignment         // to the crews that search it, or have, while running
	current     map[*term]*assignment // those of them that are not retired
	threads     []Thread              // what their workers count to
	threadIndex map[Thread]int        // the place of each in threads, while running
	engines     []int                 // of each thread, the index in miner.engines
	base        []uint64              // of each thread, the nonces of assignments that are over
	final       counts                // what it came to, afterwards

	// twice holds the winners of stretches that may be searched twice, as a worker has
	// missed its deadline there, or a machine was lost.
	twice nonceSet
}

// ID returns the name that the job was submitted under.
func (j *Job) ID() string { return j.request.ID }

// Header returns the mining hash that is searched for.
func (j *Job) Header() [32]byte { return j.request.Header }

// GoesOn reports whether the job goes on after a winner.
func (j *Job) GoesOn() bool { return j.request.GoOn }

// Range returns the nonces that the job searches.
func (j *Job) Range() engine.Range { return j.nonces }

// Threshold returns what makes a nonce valid, as the job was asked for.
func (j *Job) Threshold() u512.Uint { return j.request.Threshold }

// Started returns the moment that the job's time counts from.
func (j *Job) Started() time.Time { return j.request.Received }

// Engine returns the name of the engine that the job began with. Others may search
// it besides, or have come to its place since.
func (j *Job) Engine() string {
	j.miner.mu.Lock()
	defer j.miner.mu.Unlock()
	return j.miner.engines[j.engine].Name
}

// Done returns a channel that is closed the moment the job is over.
func (j *Job) Done() <-chan struct{} { return j.done }

// Snapshot is what is known of a job at one moment.
type Snapshot struct {
	Result
	// Evaluated counts the nonces evaluated so far by all workers. It is final
	// once the job is over.
	Evaluated uint64
	// Elapsed is the time from the job's start to now, or to its end.
	Elapsed time.Duration
}

// Snapshot returns what is known of the job now.
func (j *Job) Snapshot() Snapshot {
	j.miner.mu.Lock()
	defer j.miner.mu.Unlock()
	s, _ := j.snapshot(time.Now())
	return s
}

// snapshot returns what is known of the job now, and of its workers; miner.mu is
// held.
func (j *Job) snapshot(now time.Time) (Snapshot, counts) {
	c, until := j.final, j.ended
	if j.result.Status == Running {
		c, until = j.count(), now
	}
	return Snapshot{Result: j.result, Evaluated: c.sum, Elapsed: until.Sub(j.request.Received)}, c
}

// FirstFetch reports, to whoever hands out the result of a completed job first,
// how long that result has been there. Later calls report false.
func (j *Job) FirstFetch() (waited time.Duration, first bool) {
	j.miner.mu.Lock()
	defer j.miner.mu.Unlock()
	if j.result.Status != Completed || j.fetched {
		return 0, false
	}
	j.fetched = true
	return time.Since(j.ended), true
}

// counts are the nonces that have been evaluated.
type counts struct {
	each []uint64 // by each thread; not to be changed
	sum  uint64
}

// count reads the workers' counters. The sum does not exceed the range, as it would
// if a part had to be searched again, nor 64 bits, which a stretch of nonces can that
// share a distance. What goes beyond it is nobody's: so the sum is that of the parts,
// always.
func (j *Job) count() counts {
	c := counts{each: slices.Clone(j.base)}
	for _, a := range j.assignments {
		for i := range a.progress {
			c.each[a.threads[i]] = addSat(c.each[a.threads[i]], a.progress[i].Evaluated())
		}
	}
	most := j.nonces.End.SubWrap(j.nonces.Start).AddSat(u512.From64(1)).Sat64()
	for i, n := range c.each {
		c.each[i] = min(n, most-c.sum)
		c.sum += c.each[i]
	}
	return c
}

// assignmentOf returns the job's assignment to a crew and its present engine, nil if
// the crew has not come to it yet; miner.mu is held.
func (j *Job) assignmentOf(c *Crew) *assignment { return j.current[c.term] }

// assign adds an assignment; miner.mu is held. Workers of the same name, with engines
// of the same name, count as one thread.
func (j *Job) assign(a *assignment) {
	if len(j.threads) == 0 {
		j.engine = a.term.totals
	}
	a.threads = make([]int, len(a.progress))
	for i := range a.threads {
		t := Thread{a.term.engine.Name(), workerName(a.term.crew.Name, a.term.crew.threads(), i)}
		at, known := j.threadIndex[t]
		if !known {
			at = len(j.threads)
			j.threadIndex[t] = at
			j.threads = append(j.threads, t)
			j.engines = append(j.engines, a.term.totals)
			j.base = append(j.base, 0)
		}
		a.threads[i] = at
	}
	j.assignments = append(j.assignments, a)
	j.current[a.term] = a
}

// retire stops the searches of the job in an engine's term; miner.mu is held.
func (j *Job) retire(t *term) {
	a := j.current[t]
	if a == nil {
		return
	}
	delete(j.current, t)
	a.retired = true
	for i := range a.progress {
		a.progress[i].Stop()
	}
	j.drop(a)
}

// drop forgets a retired assignment of which no lease is out any more, but for what it
// has counted; miner.mu is held.
func (j *Job) drop(a *assignment) {
	if !a.retired || a.leases > 0 {
		return
	}
	i := slices.Index(j.assignments, a)
	if i < 0 {
		return
	}
	for i := range a.progress {
		j.base[a.threads[i]] = addSat(j.base[a.threads[i]], a.progress[i].Evaluated())
	}
	j.assignments = slices.Delete(j.assignments, i, i+1)
}

// end gives a running job its final result; miner.mu is held. It reports false,
// and changes nothing, if the job is over already. The workers are told to
// stop; what they evaluate before they notice is no longer counted.
func (j *Job) end(result Result) bool {
	if j.result.Status != Running {
		return false
	}
	assignments := j.assignments
	j.result, j.ended, j.final = result, time.Now(), j.count()
	// Kept for minutes, an ended job should hold only its result.
	j.assignments, j.current, j.unleased, j.base, j.threadIndex, j.twice = nil, nil, nil, nil, nil, nonceSet{}
	close(j.done) // so that a search that is told to stop knows why
	for _, a := range assignments {
		for i := range a.progress {
			a.progress[i].Stop()
		}
	}
	return true
}

// addSat returns a + b, or 2^64−1 if that is more.
func addSat(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}
