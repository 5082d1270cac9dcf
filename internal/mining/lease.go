package mining

import (
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
// short compared with the patience of another job's owner, who waits for a lease
// to end: about 0.2 s. (A node that is alone waits for nothing: it cancels its job
// before the next.) As engines differ in speed by factors of a thousand, leases
// start small and double until they take that long.
const (
	firstLeaseBits = 10 // 1024 nonces: 0.1 s of cpu-baseline, 0.5 ms of cpu-fast
	shortLease     = 100 * time.Millisecond
	longLease      = 400 * time.Millisecond
	// minLeaseBits keeps the exponentiation a small part of a lease of
	// cpu-fast, also at the end of a range, where the rest is shared out.
	minLeaseBits = 6
)

// lease is a stretch of a job's range that one worker searches.
type lease struct {
	job      *Job
	shift    *shift
	search   engine.Job // nil if the job is yet to be prepared for the shift
	progress *engine.Progress
	engine.Range
	// bits is the job's leaseBits at the time if the lease is of that full
	// size, so that its duration says something about the size; otherwise 0.
	bits uint
}

// take splits the next lease off the front of what is unleased, of which there must
// be some. It is as large as leaseBits says, but no more than a fair share of
// what is left, so that all workers finish at about the same time.
func (j *Job) take(worker int) lease {
	l := lease{job: j, shift: j.shift, search: j.search, progress: &j.progress[worker], Range: j.unleased[0]}
	// Spans, which are sizes less 1, fit 512 bits; the size of the full range does not.
	left := l.End.SubWrap(l.Start)
	full := u512.Max().Rsh(u512.Bits - j.leaseBits)
	span := left.Div64(uint64(len(j.progress))) // a fair share
	if least := u512.Max().Rsh(u512.Bits - minLeaseBits); span.Cmp(least) < 0 {
		span = least
	}
	if full.Cmp(span) <= 0 {
		span, l.bits = full, j.leaseBits
	}
	j.leases++
	if span.Cmp(left) >= 0 { // the rest
		j.unleased = j.unleased[1:]
		return l
	}
	l.End = l.Start.AddWrap(span)
	j.unleased[0].Start = l.End.AddWrap(u512.From64(1))
	return l
}

// searchAgain has the whole range searched again, from the given nonce to its end
// and then what is before it.
func (j *Job) searchAgain(from u512.Uint) {
	whole := j.request.Range
	j.unleased = []engine.Range{{Start: from, End: whole.End}}
	if before := (engine.Range{Start: whole.Start, End: from.SubWrap(u512.From64(1))}); from != whole.Start {
		j.unleased = append(j.unleased, before)
	}
}

// resize adjusts the size of the leases to come to the time that one took, with
// its worker's rest. Only
// the first lease of each size has a say, or many workers would double it at once.
func (j *Job) resize(l lease, took time.Duration) {
	if l.bits != j.leaseBits {
		return
	}
	switch {
	case took < shortLease && j.leaseBits < u512.Bits:
		j.leaseBits++
	case took > longLease && j.leaseBits > minLeaseBits:
		j.leaseBits--
	}
}
