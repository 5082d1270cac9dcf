package hashrate

import (
	"math"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Difficulty returns how many nonces a winner takes on average, for a job's threshold:
// above 0, and infinite if there can be no winner.
type Difficulty func(threshold u512.Uint) float64

// Effort adds up how much work a miner has done since its last winner. It is told of
// the miner at intervals; a second is short enough.
type Effort struct {
	difficulty Difficulty

	counted map[*mining.Job]uint64 // of the running jobs, the nonces that are in work
	work    Work
}

// Work is how far a miner is with the next winner.
type Work struct {
	// Winners counts those that it has found.
	Winners uint64
	// Effort is the work since the last of them: the nonces that were evaluated, in
	// proportion to what a winner takes on average. Half of all winners are found
	// before it is 0.7, one in a hundred after it is 4.6.
	Effort float64
	// Difficulty is how many nonces a winner of the newest running job takes on average,
	// or 0 if there is no job.
	Difficulty float64
}

// NewEffort returns the effort of a miner whose jobs have that difficulty. Without one,
// nil, only winners are counted.
func NewEffort(difficulty Difficulty) *Effort { return &Effort{difficulty: difficulty} }

// Add takes an overview into account, which has the running jobs at least. What jobs
// did that came and went since the last one is missed.
func (e *Effort) Add(o mining.Overview) {
	counted := make(map[*mining.Job]uint64)
	e.work.Difficulty = 0
	for _, job := range o.Jobs {
		if job.Status == mining.Running {
			counted[job.Job] = job.Evaluated
			e.work.Difficulty = e.difficultyOf(job.Job) // in the end that of the newest
		}
	}
	if o.Winners != e.work.Winners {
		e.work.Winners, e.work.Effort = o.Winners, 0
	} else {
		e.work.Effort += e.since(counted)
	}
	e.counted = counted
}

// since returns the work since the last overview, at which the running jobs had fewer
// nonces than they have now.
func (e *Effort) since(now map[*mining.Job]uint64) (work float64) {
	add := func(job *mining.Job, nonces uint64) {
		if difficulty := e.difficultyOf(job); difficulty > 0 {
			work += float64(nonces) / difficulty
		}
	}
	for job, nonces := range now {
		add(job, nonces-e.counted[job])
	}
	for job, before := range e.counted {
		if _, runs := now[job]; !runs {
			add(job, job.Snapshot().Evaluated-before)
		}
	}
	return work
}

// difficultyOf returns how many nonces a winner of a job takes, or 0 if nobody knows.
func (e *Effort) difficultyOf(job *mining.Job) float64 {
	if e.difficulty == nil {
		return 0
	}
	return e.difficulty(job.Threshold())
}

// Work returns how far the miner is.
func (e *Effort) Work() Work { return e.work }

// TimeToWinner returns how long the next winner takes on average at a rate in nonces
// per second, whatever the effort was: luck has no memory. It reports false without a
// job or a rate.
func (w Work) TimeToWinner(rate float64) (time.Duration, bool) {
	if w.Difficulty == 0 || rate <= 0 {
		return 0, false
	}
	seconds := w.Difficulty / rate
	if most := time.Duration(math.MaxInt64); seconds >= most.Seconds() { // 292 years
		return most, true
	}
	return time.Duration(seconds * float64(time.Second)), true
}
