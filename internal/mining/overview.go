package mining

import (
	"cmp"
	"slices"
	"time"
)

// Overview is what is known of a miner and of its jobs at one moment. All of its
// numbers fit together: whatever observes a miner reads them here, when it wants
// to, and costs the miner nothing in between.
type Overview struct {
	// Time is the moment.
	Time time.Time
	Totals
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
	// Rejected counts winners that the reference rule refused.
	Rejected uint64
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
		return cmp.Or(a.Job.started.Compare(b.Job.started), cmp.Compare(a.Job.id, b.Job.id))
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
	o = Overview{Time: time.Now(), Totals: m.totals, Running: len(m.running)}
	for _, job := range m.running {
		running := job.overview(o.Time)
		o.Evaluated += running.Evaluated
		o.Jobs = append(o.Jobs, running)
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

// add adds a job that is over.
func (t *Totals) add(job *Job) {
	t.Evaluated += job.final.sum
	switch job.result.Status {
	case Completed:
		t.Completed++
	case Failed:
		t.Failed++
	case Cancelled:
		t.Cancelled++
	}
}
