package mining

import (
	"fmt"
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
	// Failed jobs have no valid nonce in their range, or an engine that erred.
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
	// Range holds the nonces to search. It must not be empty.
	Range engine.Range
	// Received is when the job was asked for: what its time counts from. The
	// zero value is the moment of Submit.
	Received time.Time
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
	request Request
	miner   *Miner
	began   *shift // the first in which it was searched, to which it counts
	done    chan struct{}

	// All that follows is guarded by miner.mu.

	shift    *shift     // the one that it is prepared for
	search   engine.Job // nil if it has to be prepared for the shift
	asked    time.Time  // when its owner last asked about it
	result   Result
	progress []engine.Progress // of each worker, while running
	final    counts            // what they came to, afterwards
	ended    time.Time         // zero while running
	fetched  bool              // FirstFetch has said so

	unleased  []engine.Range // what is to be leased yet, in this order
	leases    int            // leases that are out
	leaseBits uint           // the next lease has up to 2^leaseBits nonces
}

// ID returns the name that the job was submitted under.
func (j *Job) ID() string { return j.request.ID }

// Range returns the nonces that the job searches.
func (j *Job) Range() engine.Range { return j.request.Range }

// Threshold returns what makes a nonce valid, as the job was asked for.
func (j *Job) Threshold() u512.Uint { return j.request.Threshold }

// Started returns the moment that the job's time counts from.
func (j *Job) Started() time.Time { return j.request.Received }

// Engine returns the name of the engine that the job began with. Another one may
// have come to its place since.
func (j *Job) Engine() string { return j.began.engine.Name() }

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

// counts are the nonces that the workers have evaluated.
type counts struct {
	each []uint64 // by each worker; not to be changed
	sum  uint64
}

// count reads the workers' counters. The sum does not exceed the range, as it would
// if a part had to be searched again, nor 64 bits, which a settled stretch of a
// range can. What goes beyond it is nobody's: so the sum is that of the parts, always.
func (j *Job) count() counts {
	c := counts{each: make([]uint64, len(j.progress))}
	most := j.request.Range.End.SubWrap(j.request.Range.Start).AddSat(u512.From64(1)).Sat64()
	for i := range j.progress {
		c.each[i] = min(j.progress[i].Evaluated(), most-c.sum)
		c.sum += c.each[i]
	}
	return c
}

// end gives a running job its final result; miner.mu is held. It reports false,
// and changes nothing, if the job is over already. The workers are told to
// stop; what they evaluate before they notice is no longer counted.
func (j *Job) end(result Result) bool {
	if j.result.Status != Running {
		return false
	}
	for i := range j.progress {
		j.progress[i].Stop()
	}
	j.result, j.ended, j.final = result, time.Now(), j.count()
	// Kept for minutes, an ended job should hold only its result.
	j.progress, j.search = nil, nil
	close(j.done)
	return true
}
