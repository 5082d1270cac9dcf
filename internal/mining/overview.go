package mining

import (
	"cmp"
	"slices"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
)

// Overview is what is known of a miner and of its jobs at one moment. All of its
// numbers fit together: whatever observes a miner reads them here, when it wants
// to, and costs the miner nothing in between.
type Overview struct {
	// Time is the moment.
	Time time.Time
	Totals
	// Engines are those that the miner has had, the present one last.
	Engines []EngineOverview
	// Running counts the jobs that are.
	Running int
	// Jobs are those that are known, in the order of their starts.
	Jobs []JobOverview
}

// Totals add up all jobs that there ever were, forgotten ones included.
type Totals struct {
	// Evaluated counts nonces. It wraps around at 2^64.
	Evaluated uint64
	// Completed, Failed and Cancelled count the jobs that are over.
	Completed, Failed, Cancelled uint64
	// Abandoned counts those of the cancelled that nobody asked about any more.
	Abandoned uint64
	// Rejected counts winners that the reference rule refused.
	Rejected uint64
}

// EngineOverview is what an [Overview] has of one engine.
type EngineOverview struct {
	Engine engine.Engine
	// Totals are those of the jobs that began with the engine, also if another one
	// took its place, and of its own wrong nonces.
	Totals
}

// JobOverview is what an [Overview] has of one job.
type JobOverview struct {
	Job *Job
	Snapshot
	// Workers are the nonces that each worker has evaluated; their sum is
	// Snapshot.Evaluated. The slice is shared, and not to be changed.
	Workers []uint64
}

// Overview returns what is known of the miner now.
func (m *Miner) Overview() Overview {
	o, over := m.overview(true)
	for _, job := range over {
		o.Jobs = append(o.Jobs, job.overview(o.Time))
	}
	slices.SortFunc(o.Jobs, func(a, b JobOverview) int {
		return cmp.Or(a.Job.Started().Compare(b.Job.Started()), cmp.Compare(a.Job.ID(), b.Job.ID()))
	})
	return o
}

// Current returns an overview that leaves out the jobs that are over: their
// number does not matter to who only wants to know how fast the miner is.
func (m *Miner) Current() Overview {
	o, _ := m.overview(false)
	return o
}

// overview returns an overview of the running jobs, and those that are over if
// they are wanted. What is over does not change any more, and can be looked at
// without the lock.
func (m *Miner) overview(all bool) (o Overview, over []*Job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	o = Overview{Time: time.Now(), Running: len(m.running)}
	for _, shift := range m.shifts {
		o.Engines = append(o.Engines, EngineOverview{shift.engine, shift.totals})
	}
	for _, job := range m.running {
		running := job.overview(o.Time)
		o.Engines[slices.Index(m.shifts, job.began)].Evaluated += running.Evaluated
		o.Jobs = append(o.Jobs, running)
	}
	for _, e := range o.Engines {
		o.Totals.Add(e.Totals)
	}
	if all {
		over = slices.Clone(m.over)
	}
	return o, over
}

// overview returns an overview of the job. If it runs, miner.mu is held.
func (j *Job) overview(now time.Time) JobOverview {
	snapshot, counts := j.snapshot(now)
	return JobOverview{j, snapshot, counts.each}
}

// count adds a job that is over.
func (t *Totals) count(job *Job) {
	t.Evaluated += job.final.sum
	switch job.result.Status {
	case Completed:
		t.Completed++
	case Failed:
		t.Failed++
	case Cancelled:
		t.Cancelled++
		if job.result.Err == ErrAbandoned {
			t.Abandoned++
		}
	}
}

// Add adds other totals.
func (t *Totals) Add(other Totals) {
	t.Evaluated += other.Evaluated
	t.Completed += other.Completed
	t.Failed += other.Failed
	t.Cancelled += other.Cancelled
	t.Abandoned += other.Abandoned
	t.Rejected += other.Rejected
}
