package hashrate

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
)

// ThreadRateEMAAlpha is the weight of a thread's newest rate in its moving
// average: ema = α·rate + (1−α)·ema, about once a second. So a change shows by
// two thirds after 5 s, and a stall can be seen coming.
const ThreadRateEMAAlpha = 0.2

const (
	// interval is the time between two updates.
	interval = time.Second
	// firstUpdate is the least age of a job for its first update, which is taken as
	// it is: over a few milliseconds it would be a matter of luck.
	firstUpdate = interval / 2
)

// Sampler keeps the rates of a miner's threads while [Sampler.Run] runs.
type Sampler struct {
	miner *mining.Miner

	mu     sync.Mutex
	jobs   map[*mining.Job]update // the running ones; if they are all young, those before them
	window Window
	effort *Effort
	next   chan struct{} // closed at the next update
}

// update is what the latest update of a job found: of each thread, the nonces
// evaluated until then, and the smoothed rate. Updates are not changed any more.
type update struct {
	at      time.Time
	threads []mining.Thread
	count   []uint64
	rates   []float64
}

// NewSampler returns a sampler of a miner whose jobs have that difficulty, which may be
// nil if nobody knows.
func NewSampler(miner *mining.Miner, difficulty Difficulty) *Sampler {
	s := &Sampler{miner: miner, effort: NewEffort(difficulty), next: make(chan struct{})}
	s.update() // where the curve and the averages begin
	return s
}

// Miner returns the miner that is sampled.
func (s *Sampler) Miner() *mining.Miner { return s.miner }

// Run updates the rates until ctx is done.
func (s *Sampler) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.update()
		case <-ctx.Done():
			return
		}
	}
}

// update brings all rates up to date.
func (s *Sampler) update() {
	o := s.miner.Current()
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs := make(map[*mining.Job]update)
	for _, job := range o.Jobs {
		last, known := s.jobs[job.Job]
		switch {
		case known:
			jobs[job.Job] = last.next(o.Time, job)
		case job.Elapsed >= firstUpdate:
			jobs[job.Job] = first(o.Time, job)
		}
	}
	// Until the jobs that came have rates of their own they have those of the jobs before,
	// but not for long: of what ended a while ago they say nothing.
	if len(jobs) == 0 && len(o.Jobs) > 0 {
		maps.DeleteFunc(s.jobs, func(_ *mining.Job, u update) bool { return o.Time.Sub(u.at) > 2*interval })
		jobs = s.jobs
	}
	s.jobs = jobs
	s.add(o)
	close(s.next)
	s.next = make(chan struct{})
}

// addNow brings the averages and the effort up to date, and not the rates, which would take
// the little that came since the last update for what comes in a second.
func (s *Sampler) addNow() {
	o := s.miner.Current()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(o)
}

// add adds an overview to the averages and the effort; mu is held.
func (s *Sampler) add(o mining.Overview) {
	s.window.Add(o.Time, o.Evaluated)
	s.effort.Add(o)
}

// first is the first update of a job: the rates since its start.
func first(at time.Time, job mining.JobOverview) update {
	u := update{at, job.Threads, job.Workers, make([]float64, len(job.Workers))}
	for i, count := range job.Workers {
		u.rates[i] = perSecond(count, job.Elapsed)
	}
	return u
}

// next is the update that follows.
func (u update) next(at time.Time, job mining.JobOverview) update {
	count := job.Workers
	n := update{at, job.Threads, count, make([]float64, len(count))}
	for i := range count {
		if i >= len(u.count) { // a thread that has come since
			n.rates[i] = perSecond(count[i], at.Sub(u.at))
			continue
		}
		// (A thread's share of a count that has reached 2^64−1 can shrink.)
		rate := perSecond(count[i]-min(count[i], u.count[i]), at.Sub(u.at))
		n.rates[i] = ThreadRateEMAAlpha*rate + (1-ThreadRateEMAAlpha)*u.rates[i]
	}
	return n
}

// Sample is an overview of a miner with the rates of its running jobs.
type Sample struct {
	mining.Overview
	// Rates holds, for each running job, the smoothed rate of each of its threads, in
	// nonces per second. The slices are shared, and not to be changed.
	// A thread that has come since the latest update has none yet.
	Rates map[*mining.Job][]float64
	// Total is the rate of all running jobs together.
	Total float64
	// Work is how far the miner is with the next winner, as of the latest update.
	Work Work
}

// Job returns the rate of a job, 0 if it is over.
func (s Sample) Job(job *mining.Job) float64 {
	sum := 0.0
	for _, rate := range s.Rates[job] {
		sum += rate
	}
	return sum
}

// CPU is what the crew of the CPU's threads is called, which has no name.
const CPU = "cpu"

// CrewRate is the rate of a crew, in nonces per second.
type CrewRate struct {
	mining.CrewOverview
	// Name is the crew's, [CPU] for the CPU's.
	Name string
	Rate float64
	// Workers are the rates of its workers, each under its name.
	Workers []WorkerRate
}

// WorkerRate is the rate of a worker, in nonces per second.
type WorkerRate struct {
	Name string
	Rate float64
}

// CrewRates returns the rates of the crews in all running jobs together.
func (s Sample) CrewRates() []CrewRate {
	workers := make(map[string]float64)
	for _, job := range s.Jobs {
		for i, rate := range s.Rates[job.Job] {
			workers[job.Threads[i].Worker] += rate
		}
	}
	crews := make([]CrewRate, len(s.Crews))
	for i, crew := range s.Crews {
		c := CrewRate{CrewOverview: crew, Name: cmp.Or(crew.Name, CPU), Workers: make([]WorkerRate, crew.Workers)}
		for j := range c.Workers {
			name := crew.Worker(j)
			c.Workers[j] = WorkerRate{name, workers[name]}
			c.Rate += workers[name]
		}
		crews[i] = c
	}
	return crews
}

// leftover returns the rate of each worker in the jobs that run no more, by its name; mu is
// held.
func (s *Sampler) leftover(o mining.Overview) map[string]float64 {
	rates := make(map[string]float64)
	if o.Paused {
		return rates
	}
	for _, job := range s.jobs {
		for i, thread := range job.threads {
			rates[thread.Worker] += job.rates[i]
		}
	}
	for _, job := range o.Jobs {
		if u, known := s.jobs[job.Job]; known && job.Status == mining.Running {
			for i, thread := range u.threads {
				rates[thread.Worker] -= u.rates[i]
			}
		}
	}
	return rates
}

// young is the update of a job that is too young for one of its own. Its threads have the
// rates that they had in the jobs before it, each of which counts once; a thread that had
// none has that since the job's start.
func young(at time.Time, job mining.JobOverview, leftover map[string]float64) update {
	u := update{at, job.Threads, job.Workers, make([]float64, len(job.Workers))}
	if job.Elapsed > 0 {
		u = first(at, job)
	}
	for i, thread := range job.Threads {
		if rate := leftover[thread.Worker]; rate > 0 {
			u.rates[i] = rate
			delete(leftover, thread.Worker)
		}
	}
	return u
}

// Sample returns the miner's state now, with the rates of the latest update. A job that
// has seen no update yet has those of the jobs before it: the total shows no gap when one
// job follows another.
func (s *Sampler) Sample() Sample {
	o := s.miner.Overview()
	s.mu.Lock()
	defer s.mu.Unlock()
	sample := Sample{Overview: o, Rates: make(map[*mining.Job][]float64), Work: s.effort.Work()}
	if o.Winners != sample.Work.Winners { // since then
		sample.Work.Winners, sample.Work.Effort = o.Winners, 0
	}
	leftover := s.leftover(o)
	for _, job := range o.Jobs {
		if job.Status != mining.Running {
			continue
		}
		u, known := s.jobs[job.Job]
		if !known {
			u = young(o.Time, job, leftover)
		}
		sample.Rates[job.Job] = u.rates
		sample.Total += sample.Job(job.Job)
	}
	return sample
}

// Average returns the rate over the last d, as [Window.Average] does.
func (s *Sampler) Average(d time.Duration) (rate float64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.window.Average(d)
}

// Curve returns the rate of each second of the last 15 minutes, oldest first,
// and a channel that is closed when there is a new point.
func (s *Sampler) Curve() ([]Point, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.window.Curve(), s.next
}
