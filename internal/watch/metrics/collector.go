package metrics

import (
	"cmp"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
)

// collector turns a sample of the miner into metrics, when it is scraped. As a
// job's series come from the sample, they are gone when the job is forgotten.
type collector struct {
	sampler *hashrate.Sampler
	setup   Setup

	mu sync.Mutex
	// over holds the metrics of the jobs that are over, which do not change any
	// more. There are many of them, and making them costs more than all the rest.
	over map[*mining.Job][]prometheus.Metric
}

// The metrics that a collector exports.
var (
	jobs           = desc("miner_jobs_total", "Jobs that are over, by how they ended.", "status")
	jobsByEngine   = desc("miner_jobs_by_engine_total", "Jobs that are over, by engine and by how they ended.", "engine", "status")
	activeJobs     = desc("miner_active_jobs", "Jobs that are running.")
	abandoned      = desc("miner_jobs_abandoned_total", "Running jobs given up because nobody asked for them.")
	hashes         = desc("miner_hashes_total", "Nonces evaluated.")
	engineHashes   = desc("miner_engine_hashes_total", "Nonces evaluated, by engine.", "engine")
	jobDifficulty  = desc("miner_job_difficulty", "How many nonces a winner of the newest running job takes on average; 0 when none runs.")
	winners        = desc("miner_winners_total", "Winning nonces found.")
	effort         = desc("miner_effort_ratio", "Work since the last winner, in proportion to what a winner takes on average.")
	paused         = desc("miner_paused", "1 while the miner is paused at its terminal, else 0.")
	hashRate       = desc("miner_hash_rate", "Nonces evaluated per second by all running jobs, smoothed; 0 when none runs.")
	rejected       = desc("miner_candidates_rejected_total", "Winners that failed the reference check.", "engine")
	workers        = desc("miner_workers", "Worker threads.")
	effectiveCPUs  = desc("miner_effective_cpus", "CPUs that this process may use.")
	scheduling     = desc("miner_worker_scheduling_info", "How the worker threads are scheduled: their priority, and the CPUs that they may use; always 1.", "priority", "affinity")
	throttle       = desc("miner_throttle_ratio", "Share of its time that a worker may search for; 1 is no throttle.")
	engineInfo     = desc("miner_engine_info", "The engine in use, and the code that does its arithmetic; always 1.", "engine", "backend")
	powInfo        = desc("miner_pow_info", "The proof of work that is searched for; always 1.", "pow")
	jobStatus      = desc("miner_job_status", "1 for the status that a job has, 0 for the others.", "engine", "job_id", "status")
	jobHashes      = desc("miner_job_hashes_total", "Nonces evaluated in a job.", "engine", "job_id")
	jobHashRate    = desc("miner_job_hash_rate", "Nonces evaluated per second by a running job, smoothed.", "engine", "job_id")
	threadHashes   = desc("miner_thread_hashes_total", "Nonces evaluated in a job by one thread.", "engine", "job_id", "thread_id")
	threadHashRate = desc("miner_thread_hash_rate", "Nonces evaluated per second in a running job by one thread, smoothed.", "engine", "job_id", "thread_id")
	exported       = []*prometheus.Desc{
		jobs, jobsByEngine, activeJobs, abandoned, hashes, engineHashes, jobDifficulty, winners, effort, paused, hashRate, rejected, workers, effectiveCPUs, scheduling, throttle,
		engineInfo, powInfo, jobStatus, jobHashes, jobHashRate, threadHashes, threadHashRate,
	}
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements [prometheus.Collector].
func (*collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range exported {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		metrics <- newCounter(d, value, labels...)
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- newGauge(d, value, labels...)
	}

	gauge(workers, float64(c.sampler.Miner().Workers()))
	gauge(effectiveCPUs, float64(c.setup.CPUs))
	gauge(scheduling, 1, c.setup.Priority, c.setup.Affinity)
	gauge(powInfo, 1, c.setup.PoW)
	gauge(throttle, cmp.Or(c.setup.Throttle, 1))

	c.mu.Lock()
	defer c.mu.Unlock()
	sample := c.sampler.Sample()
	for status, n := range c.byStatus(sample.Totals) {
		counter(jobs, n, status.String())
	}
	gauge(activeJobs, float64(sample.Running))
	counter(abandoned, sample.Abandoned)
	counter(hashes, sample.Evaluated)
	gauge(hashRate, sample.Total)
	gauge(jobDifficulty, sample.Work.Difficulty)
	counter(winners, sample.Work.Winners)
	gauge(effort, sample.Work.Effort)
	if sample.Paused {
		gauge(paused, 1)
	} else {
		gauge(paused, 0)
	}
	inService := make(map[[2]string]bool) // crews may share an engine's names
	for _, crew := range sample.Crews {
		if names := [2]string{crew.Engine, crew.Backend}; !inService[names] {
			inService[names] = true
			gauge(engineInfo, 1, names[:]...)
		}
	}
	for _, e := range sample.Engines {
		for status, n := range c.byStatus(e.Totals) {
			counter(jobsByEngine, n, e.Name, status.String())
		}
		counter(engineHashes, e.Evaluated, e.Name)
		counter(rejected, e.Rejected, e.Name)
	}

	over := make(map[*mining.Job][]prometheus.Metric)
	for _, job := range sample.Jobs {
		series, made := c.over[job.Job]
		if !made {
			if c.setup.Hub != nil && job.Err == mining.ErrExhausted {
				job.Status = mining.Completed
			}
			series = seriesOf(job, sample)
		}
		if job.Status != mining.Running {
			over[job.Job] = series
		}
		for _, metric := range series {
			metrics <- metric
		}
	}
	c.over = over
}

// byStatus returns how many jobs ended in each way. Those of a worker are leases: one that was
// searched in vain has not failed.
func (c *collector) byStatus(t mining.Totals) map[mining.Status]uint64 {
	if c.setup.Hub != nil {
		t.Completed, t.Failed = t.Completed+t.Exhausted, t.Failed-t.Exhausted
	}
	return map[mining.Status]uint64{
		mining.Completed: t.Completed,
		mining.Failed:    t.Failed,
		mining.Cancelled: t.Cancelled,
	}
}

// seriesOf returns the metrics of one job.
func seriesOf(job mining.JobOverview, sample hashrate.Sample) (metrics []prometheus.Metric) {
	engine, id := job.Job.Engine(), job.Job.ID()
	for _, status := range []mining.Status{mining.Running, mining.Completed, mining.Failed, mining.Cancelled} {
		is := 0.0
		if status == job.Status {
			is = 1
		}
		metrics = append(metrics, newGauge(jobStatus, is, engine, id, status.String()))
	}
	// The job's own series have a part for each engine that searches it.
	hashes := make(map[string]uint64)
	for i, n := range job.Workers {
		thread := job.Threads[i]
		hashes[thread.Engine] += n
		if thread.Engine == hub.EngineName { // as machines have series of their own, not one for each job
			continue
		}
		metrics = append(metrics, newCounter(threadHashes, n, thread.Engine, id, thread.Worker))
	}
	if len(hashes) == 0 { // no crew has come yet
		hashes[engine] = 0
	}
	for engine, n := range hashes {
		metrics = append(metrics, newCounter(jobHashes, n, engine, id))
	}
	// A job that is over has no rate, not even 0: its series end.
	if job.Status == mining.Running {
		rates := make(map[string]float64)
		for i, rate := range sample.Rates[job.Job] {
			thread := job.Threads[i]
			rates[thread.Engine] += rate
			if thread.Engine == hub.EngineName {
				continue
			}
			metrics = append(metrics, newGauge(threadHashRate, rate, thread.Engine, id, thread.Worker))
		}
		for engine := range hashes {
			metrics = append(metrics, newGauge(jobHashRate, rates[engine], engine, id))
		}
	}
	return metrics
}

func newCounter(d *prometheus.Desc, value uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func newGauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}
