package mining

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// A range is dealt out in leases: a worker takes the next stretch of a running
// job, searches it, and comes back for another. So the jobs that run take turns
// on the workers, whatever their number; no worker idles while another still
// has half of its share to do; and the nonces are tried in ascending order, by
// a single worker strictly.
//
// A lease begins with an exponentiation (0.1 ms), and holds its worker until it
// is done or its job is over. It should take long compared with the first, and
// short compared with the time that another job's owner wants to wait for a lease
// to end: about 0.2 s. (A node that is alone waits for nothing: it cancels its job
// before the next.) As engines differ in speed by factors of a million, each crew has
// leases of a size of its own. They start small and double until they take that long.
// A crew remembers the size: the leases of the next job start at an eighth of it.
const (
	firstLeaseBits = 10 // 1024 nonces: 0.1 s of cpu-baseline, 0.5 ms of cpu-fast
	leaseTime      = 200 * time.Millisecond
	nextJobBits    = 3
	// minLeaseBits keeps the exponentiation a small part of a lease of
	// cpu-fast, also at the end of a range, where the rest is shared out.
	minLeaseBits = 6
)

// assignment is a job as the engine of one crew searches it. It is over when the
// engine's term is.
type assignment struct {
	job  *Job
	term *term
	// prepare has the engine prepare the job, the first time that it is called.
	prepare func() (engine.Job, error)

	// All that follows is guarded by miner.mu.

	progress  []engine.Progress // of each worker
	threads   []int             // what each counts to, of job.threads
	held      []*lease          // that each worker searches, nil for none
	leases    int               // that are out, or taken back and not returned from
	leaseBits uint              // the next lease has up to 2^leaseBits nonces
	failed    error             // why the crew gets no more leases of the job
	retired   bool              // its searches are told to stop
	wrong     bool              // its engine has reported a wrong nonce
}

// newAssignment returns the assignment of a job to the present engine of a crew.
func newAssignment(j *Job, c *Crew) *assignment {
	a := &assignment{job: j, term: c.term, progress: make([]engine.Progress, c.Workers), held: make([]*lease, c.Workers), leaseBits: c.term.leaseBits}
	e := c.term.engine
	a.prepare = sync.OnceValues(func() (engine.Job, error) { return prepare(e, j.request.Header, j.request.Threshold) })
	if j.firstNonce != nil && c.Remote == nil { // of which the first nonces are heard of late
		for i := range a.progress {
			a.progress[i].NotifyFirst(j.firstNonce)
		}
	}
	return a
}

// lease is a stretch of a job's range that one worker searches.
type lease struct {
	*assignment
	worker   int
	progress *engine.Progress

	// What follows is the worker's own, but the lease may be taken back from it:
	// miner.mu guards what is written.

	stretch        // what is left of it: behind the latest winner
	counted uint64 // of progress, before that
	// bits is the assignment's leaseBits at the time if the lease is of that full
	// size, so that its duration says something about the size; otherwise 0.
	bits uint
	void bool // it was taken back: its worker has missed the deadline
}

// stretch is a range that is to be searched.
type stretch struct {
	engine.Range
	// again says that a worker was searching it when it missed its deadline, or a machine when
	// it was lost: what it finds there may be found twice.
	again bool
}

// searched returns how many nonces of the lease its worker has evaluated. A count at
// its maximum says nothing.
func (l *lease) searched() uint64 {
	n := l.progress.Evaluated()
	if n == math.MaxUint64 {
		return 0
	}
	return n - l.counted
}

// take splits the next lease off the front of what is unleased, of which there must
// be some. It is as large as the assignment's leaseBits says, but no more than a fair
// share of what is left, so that all workers finish at about the same time. (How fast
// they are does not matter: leaseBits is their own.)
func (j *Job) take(a *assignment, worker int) *lease {
	l := &lease{assignment: a, worker: worker, progress: &a.progress[worker], stretch: j.unleased[0]}
	l.counted = l.progress.Evaluated()
	// Spans, which are sizes less 1, fit 512 bits; the size of the full range does not.
	left := l.End.SubWrap(l.Start)
	full, bits := u512.Max().Rsh(u512.Bits-a.leaseBits), a.leaseBits
	if r := a.term.crew.Remote; r != nil {
		full, bits = u512.From64(max(r.LeaseSize(), 1)-1), 0
	}
	span := left
	if !j.followedLocked() {
		span = left.Div64(uint64(j.miner.workers)) // a fair share
	}
	if least := u512.Max().Rsh(u512.Bits - minLeaseBits); span.Cmp(least) < 0 {
		span = least
	}
	if full.Cmp(span) <= 0 {
		span, l.bits = full, bits
	}
	j.out++
	a.leases++
	a.held[worker] = l
	if span.Cmp(left) >= 0 { // the rest
		j.unleased = j.unleased[1:]
		return l
	}
	l.End = l.Start.AddWrap(span)
	j.unleased[0].Start = after(l.End)
	return l
}

// followedLocked reports whether workers that find nothing left of the job go on with another
// that waits for its turn: then they need not finish at the same time. miner.mu is held.
func (j *Job) followedLocked() bool {
	if !j.request.InTurn {
		return false
	}
	return slices.ContainsFunc(j.miner.queue, func(other *Job) bool { return other.request.InTurn && other.number > j.number })
}

// giveBack puts a stretch back in front of what is unleased. There are no more such
// stretches than workers, as they are the first to be leased again.
func (j *Job) giveBack(s stretch) {
	if s.Empty() {
		return
	}
	for i := range j.unleased {
		switch other := &j.unleased[i]; {
		case other.again != s.again:
		case other.Start == after(s.End) && s.End != u512.Max():
			other.Start = s.Start
			return
		case s.Start == after(other.End) && other.End != u512.Max():
			other.End = s.End
			return
		}
	}
	j.unleased = slices.Insert(j.unleased, 0, s)
}

// searchAgain has the whole range searched again, from the given nonce to its end
// and then what is before it.
func (j *Job) searchAgain(from u512.Uint) {
	j.unleased = wholeFrom(j.nonces, from)
}

// wholeFrom returns a range as what is to be searched, beginning with a nonce of it.
func wholeFrom(r engine.Range, from u512.Uint) []stretch {
	whole := []stretch{{Range: engine.Range{Start: from, End: r.End}}}
	if from != r.Start {
		before := engine.Range{Start: r.Start, End: from.SubWrap(u512.From64(1))}
		whole = append(whole, stretch{Range: before})
	}
	return whole
}

// resize adjusts the size of the leases to come to the time that one took, with
// its worker's rest. Only the first lease of each size has a say, or many workers
// would double it at once.
func (a *assignment) resize(l *lease, took time.Duration) {
	if l.bits != a.leaseBits {
		return
	}
	aim := a.term.crew.LeaseTime
	if aim == 0 {
		aim = leaseTime
	}
	switch {
	case took < aim/2 && a.leaseBits < u512.Bits:
		a.leaseBits++
	case took > 2*aim && a.leaseBits > minLeaseBits:
		a.leaseBits--
	}
	a.term.leaseBits = max(firstLeaseBits, a.leaseBits-min(a.leaseBits, nextJobBits))
}

// after returns the nonce behind the given one.
func after(nonce u512.Uint) u512.Uint { return nonce.AddWrap(u512.From64(1)) }
