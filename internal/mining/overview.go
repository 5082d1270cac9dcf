package mining

import (
	"cmp"
	"slices"
	"time"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Overview is what is known of a miner and of its jobs at one moment. All of its
// numbers fit together: whatever observes a miner reads them here, when it wants
// to, and costs the miner nothing in between.
type Overview struct {
	// Time is the moment.
	Time time.Time
	Totals
	// Crews are those that are there, in the order in which they came.
	Crews []CrewOverview
	// Engines are those that the miner has had, by name, in the order in which they came.
	Engines []EngineOverview
	// Paused says that the workers wait for Resume.
	Paused bool
	// Running counts the jobs that are.
	Running int
	// Jobs are those that are known, in the order of their starts.
	Jobs []JobOverview
	// Finds are the latest winners, the newest last: up to 50.
	Finds []Find
}

// maxFinds bounds the winners that a miner remembers.
const maxFinds = 50

// Find is a winner that was found.
type Find struct {
	// Job is the name of its job.
	Job   string
	Nonce u512.Uint
	// Time is when it was found, and Elapsed how long after the job's start.
	Time    time.Time
	Elapsed time.Duration
}

// Totals add up all jobs that there ever were, forgotten ones included.
type Totals struct {
	// Evaluated counts nonces. It wraps around at 2^64.
	Evaluated uint64
	// Completed, Failed and Cancelled count the jobs that are over.
	Completed, Failed, Cancelled uint64
	// Abandoned counts those of the cancelled that nobody asked about any more.
	Abandoned uint64
	// Exhausted counts those of the failed whose range was searched in vain.
	Exhausted uint64
	// Winners counts the winners: those that completed a job, and those of jobs that
	// go on.
	Winners uint64
	// Rejected counts winners that the reference rule refused.
	Rejected uint64
}

// CrewOverview is what an [Overview] has of one crew.
type CrewOverview struct {
	// Name is the crew's, empty for the CPU.
	Name string
	// Engine and Backend name what it searches with, as [engine.Engine] has them.
	Engine, Backend string
	// Workers is their number: 1 for a machine far away, whatever it consists of.
	Workers int
	// Remote says that it is one.
	Remote bool
}

// Worker returns what a worker of the crew is called, as in [Thread].
func (c CrewOverview) Worker(i int) string { return workerName(c.Name, c.Workers, i) }

// noEngine is what stands for the engine of jobs that came when there was no crew.
const noEngine = "none"

// EngineOverview is what an [Overview] has of the engines of one name.
type EngineOverview struct {
	Name string
	// Totals are of the nonces that these engines evaluated, of the jobs that began with one
	// of them, also if others searched them besides, and of their own winners.
	Totals
}

// JobOverview is what an [Overview] has of one job.
type JobOverview struct {
	Job *Job
	Snapshot
	// Workers are the nonces that each worker has evaluated; their sum is
	// Snapshot.Evaluated. The slice is shared, and not to be changed.
	Workers []uint64
	// Threads names these workers. While the job runs there may come more.
	Threads []Thread
}

// Thread names a worker with an engine: each is one series of what operators watch.
type Thread struct {
	Engine string
	Worker string // what its crew calls it
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
	o = Overview{Time: time.Now(), Running: len(m.running), Paused: m.paused, Finds: slices.Clone(m.finds)}
	for _, c := range m.crews {
		o.Crews = append(o.Crews, CrewOverview{c.Name, c.term.engine.Name(), c.term.engine.Backend(), c.threads(), c.Remote != nil})
	}
	for _, e := range m.engines {
		o.Engines = append(o.Engines, *e)
	}
	for _, job := range m.running {
		running := job.overview(o.Time)
		for i, n := range running.Workers {
			o.Engines[job.engines[i]].Evaluated += n
		}
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
	return JobOverview{j, snapshot, counts.each, j.threads[:len(counts.each)]}
}

// find returns a winner of the job as one to be noted.
func (j *Job) find(nonce u512.Uint, found time.Time) Find {
	return Find{j.ID(), nonce, found, found.Sub(j.request.Received)}
}

// found notes a winner of a job, by an engine's index; mu is held.
func (m *Miner) found(engine int, f Find) {
	m.engines[engine].Winners++
	if len(m.finds) == maxFinds {
		m.finds = slices.Delete(m.finds, 0, 1)
	}
	m.finds = append(m.finds, f)
}

// engineIndex returns the index in m.engines of the engines of a name; mu is held.
func (m *Miner) engineIndex(name string) int {
	for i, e := range m.engines {
		if e.Name == name {
			return i
		}
	}
	m.engines = append(m.engines, &EngineOverview{Name: name})
	return len(m.engines) - 1
}

// count adds a job that is over to the totals; mu is held.
func (m *Miner) count(job *Job) {
	for i, n := range job.final.each {
		m.engines[job.engines[i]].Evaluated += n
	}
	t := &m.engines[job.engine].Totals
	switch job.result.Status {
	case Completed:
		t.Completed++
	case Failed:
		t.Failed++
		if job.result.Err == ErrExhausted {
			t.Exhausted++
		}
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
	t.Exhausted += other.Exhausted
	t.Winners += other.Winners
	t.Rejected += other.Rejected
}
