package status

import (
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
)

// Status is how a miner stands. Rates are in nonces per second, times in seconds, and
// moments in RFC 3339, in UTC.
type Status struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // the commit, or "(unknown)"
	PoW      string `json:"pow"`
	// State is "working", or why there is no work: "waiting" (connected, without a
	// job), "not_connected", "refused" (the token, the login), "idle" (of a miner that serves an
	// API), "paused", "no_engine". Reason says it for people; it is empty while the miner works.
	State  string `json:"state"`
	Reason string `json:"reason"`

	Started time.Time `json:"started"`
	Uptime  float64   `json:"uptime_seconds"`

	HashRate float64  `json:"hash_rate"`     // smoothed
	Rate10s  *float64 `json:"hash_rate_10s"` // null until the miner has run for that long
	Rate60s  *float64 `json:"hash_rate_60s"`
	Rate15m  *float64 `json:"hash_rate_15m"`
	Hashes   uint64   `json:"hashes"`

	// Found counts the winners, and Winners are the latest of them, newest first.
	Found   uint64   `json:"found"`
	Winners []Winner `json:"winners"`
	// Effort is the work since the last winner in proportion to what one takes.
	Effort float64 `json:"effort"`

	Job  *Job `json:"job"` // the newest one that runs, or null
	Jobs Jobs `json:"jobs"`

	Devices []Device `json:"devices"`
	Node    *Node    `json:"node"`  // null for a miner that does not connect to one
	Pool    *Pool    `json:"pool"`  // null for a miner that mines for none
	Hub     *Hub     `json:"hub"`   // null for a miner that mines for none
	Fleet   *Fleet   `json:"fleet"` // null for a miner that has none
}

// Job is what is searched for.
type Job struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	Elapsed float64   `json:"elapsed_seconds"`
	// Threshold is as the node has it, in decimal: the difficulty for poseidon2, the
	// largest distance for sha3-rsa.
	Threshold string `json:"threshold"`
	// Difficulty is how many nonces a winner takes on average.
	Difficulty float64 `json:"difficulty"`
	// TimeToBlock is how long that takes at the present rate; null without a rate.
	TimeToBlock *float64 `json:"time_to_block_seconds"`
}

// Jobs counts jobs.
type Jobs struct {
	Running   int    `json:"running"`
	Completed uint64 `json:"completed"`
	Failed    uint64 `json:"failed"`
	Cancelled uint64 `json:"cancelled"`
}

// Winner is a winning nonce.
type Winner struct {
	Time  time.Time `json:"time"` // when it was found
	Job   string    `json:"job"`
	Nonce string    `json:"nonce"` // in hex
	// Took is how long after the job's start it was found.
	Took float64 `json:"took_seconds"`
	// Answer is what became of it: "none" yet, "fetched" by the node or "sent" to it; of a pool's
	// share that it was "accepted", refused as "stale", "duplicate", "low_difficulty" or otherwise
	// ("refused"), or is "unacknowledged".
	// After is how long after it was found, null without an answer.
	Answer string   `json:"answer"`
	After  *float64 `json:"answer_after_seconds"`
}

// Device is what searches: the CPU's threads together are one.
type Device struct {
	Name     string   `json:"name"`
	Engine   string   `json:"engine"`
	Backend  string   `json:"backend"` // the code that does the engine's arithmetic
	HashRate float64  `json:"hash_rate"`
	Threads  []Thread `json:"threads"`
	GPU      *GPU     `json:"gpu,omitempty"` // of a GPU alone
}

// GPU is how a GPU and its process stand.
type GPU struct {
	Model  string `json:"model"`
	Driver string `json:"driver"`
	// State is "starting", "ready", "waiting" (it failed, and is started again later) or
	// "out_of_service". Reason says why it is not ready, if it has failed.
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Restarts int    `json:"restarts"` // of its process
	// Launch is how long the last launch took, and Queued how many were queued behind it.
	Launch float64 `json:"launch_seconds"`
	Queued int     `json:"queued_launches"`
}

// Thread is one worker of a device.
type Thread struct {
	Name     string  `json:"name"`
	HashRate float64 `json:"hash_rate"`
}

// Node is how the miner stands with the node that it connects to.
type Node struct {
	Address  string    `json:"address"`
	Fallback bool      `json:"fallback"` // whether it is not the first one
	State    string    `json:"state"`    // "not_connected", "refused", "waiting", "working"
	Since    time.Time `json:"since"`    // when it came to that state
	// Reason is why there is no connection, or empty, and NextTry when one is tried, or
	// null.
	Reason  string     `json:"reason"`
	NextTry *time.Time `json:"next_try"`

	Connections uint64 `json:"connections"` // that were made
	Failures    uint64 `json:"failures"`    // connections that were lost, and attempts that failed
	Jobs        uint64 `json:"jobs"`        // that came
	Results     uint64 `json:"results"`     // that were sent

	// Summary says all this for people.
	Summary string `json:"summary"`
}

// Pool is how the miner stands with the pool that it works for.
type Pool struct {
	URL      string    `json:"url"`
	Fallback bool      `json:"fallback"` // whether it is not the first one
	State    string    `json:"state"`    // "not_connected", "refused", "waiting", "working"
	Since    time.Time `json:"since"`    // when it came to that state
	// Reason is why there is no connection, or empty, and NextTry when one is tried, or
	// null.
	Reason  string     `json:"reason"`
	NextTry *time.Time `json:"next_try"`

	Connections uint64 `json:"connections"` // whose login was accepted
	Failures    uint64 `json:"failures"`    // connections that were lost, and attempts that failed
	Jobs        uint64 `json:"jobs"`        // that came

	Difficulty uint64 `json:"difficulty"` // of the job that is searched, 0 without one
	Shares     Shares `json:"shares"`
	// Latency is the time from the latest share to its answer, null without one.
	Latency *float64 `json:"latency_seconds"`

	// Summary says all this for people.
	Summary string `json:"summary"`
}

// Shares counts shares by what has become of them.
type Shares struct {
	Accepted       uint64 `json:"accepted"`
	Stale          uint64 `json:"stale"`
	Duplicate      uint64 `json:"duplicate"`
	LowDifficulty  uint64 `json:"low_difficulty"`
	Other          uint64 `json:"other"`
	Unacknowledged uint64 `json:"unacknowledged"`
}

// Status returns how the miner stands now.
func (b *Board) Status() Status { return b.Of(b.sampler.Sample()) }

// Of returns how the miner stands, of which a sample was just taken.
func (b *Board) Of(sample hashrate.Sample) Status {
	s := Status{
		Version:  b.program.Version,
		Revision: b.program.Revision,
		PoW:      b.program.PoW,
		Started:  b.started.UTC().Truncate(time.Millisecond),
		Uptime:   seconds(sample.Time.Sub(b.started)),
		HashRate: rate(sample.Total),
		Rate10s:  b.average(10 * time.Second),
		Rate60s:  b.average(time.Minute),
		Rate15m:  b.average(hashrate.Span),
		Hashes:   sample.Evaluated,
		Found:    sample.Work.Winners,
		Winners:  b.recent(sample.Finds),
		Effort:   round(sample.Work.Effort, 1e4),
		Jobs:     Jobs{sample.Running, sample.Completed, sample.Failed, sample.Cancelled},
		Devices:  devices(sample),
	}
	if b.GPUs != nil {
		s.Devices = withGPUs(s.Devices, b.GPUs())
	}
	if job, runs := newest(sample); runs {
		s.Job = b.job(job, sample)
	}
	if b.node != nil {
		node := b.node()
		node.Since = node.Since.UTC().Truncate(time.Millisecond)
		s.Node = &node
	}
	if b.Pool != nil {
		pool := b.Pool()
		pool.Since = pool.Since.UTC().Truncate(time.Millisecond)
		s.Pool = &pool
	}
	if b.Hub != nil {
		hub := b.Hub()
		hub.Since = hub.Since.UTC().Truncate(time.Millisecond)
		s.Hub = &hub
		// Jobs are leases here: one that was searched in vain has not failed.
		s.Jobs.Completed, s.Jobs.Failed = s.Jobs.Completed+sample.Exhausted, s.Jobs.Failed-sample.Exhausted
	}
	if b.Fleet != nil {
		fleet := b.Fleet()
		s.Fleet = &fleet
	}
	s.State, s.Reason = b.state(s, len(sample.Crews))
	return s
}

// state says in a word what the miner does, and for people why it does not mine.
func (b *Board) state(s Status, crews int) (state, reason string) {
	switch {
	case !b.sampler.Miner().Working():
		return "no_engine", "no engine is left, or the miner is shutting down"
	case b.sampler.Miner().Paused():
		return "paused", "paused at the terminal: p there goes on"
	case s.Node != nil && s.Node.State != working:
		return s.Node.State, s.Node.Summary
	case s.Pool != nil && s.Pool.State != working:
		return s.Pool.State, s.Pool.Summary
	case s.Hub != nil && s.Hub.State != working:
		return s.Hub.State, s.Hub.Summary
	case s.Fleet != nil && crews == 0:
		return "waiting", NoMachine
	case s.Job == nil && s.Node == nil && s.Pool == nil && s.Hub == nil:
		return "idle", "no node has asked for anything"
	}
	return working, ""
}

const working = "working"

// NoMachine is why a miner does not work that leaves all work to a fleet.
const NoMachine = "no machine of the fleet is there"

// newest returns the newest job that runs, if one does.
func newest(sample hashrate.Sample) (mining.JobOverview, bool) {
	for _, job := range slices.Backward(sample.Jobs) {
		if job.Status == mining.Running {
			return job, true
		}
	}
	return mining.JobOverview{}, false
}

// job returns what is to be known of a running job.
func (b *Board) job(j mining.JobOverview, sample hashrate.Sample) *Job {
	job := &Job{
		ID:        j.Job.ID(),
		Started:   j.Job.Started().UTC().Truncate(time.Millisecond),
		Elapsed:   seconds(j.Elapsed),
		Threshold: j.Job.Threshold().String(),
	}
	if b.program.Difficulty != nil {
		job.Difficulty = min(b.program.Difficulty(j.Job.Threshold()), math.MaxFloat64)
	}
	if sample.Total > 0 && job.Difficulty > 0 {
		wait := round(job.Difficulty/sample.Total, 1e3)
		job.TimeToBlock = &wait
	}
	return job
}

// devices returns what searches here, a device for each crew, with the rates of all running
// jobs together. The machines of a fleet are not among them.
func devices(sample hashrate.Sample) []Device {
	devices := make([]Device, 0, len(sample.Crews))
	for _, crew := range sample.CrewRates() {
		if crew.Remote {
			continue
		}
		d := Device{Name: crew.Name, Engine: crew.Engine, Backend: crew.Backend, HashRate: rate(crew.Rate), Threads: make([]Thread, len(crew.Workers))}
		for i, worker := range crew.Workers {
			d.Threads[i] = Thread{worker.Name, rate(worker.Rate)}
		}
		devices = append(devices, d)
	}
	return devices
}

// withGPUs has devices that are GPUs say how those stand. A GPU that does not search, as it starts for one,
// is a device without threads.
func withGPUs(devices []Device, gpus []Device) []Device {
	for _, gpu := range gpus {
		i := slices.IndexFunc(devices, func(d Device) bool { return d.Name == gpu.Name })
		if i < 0 {
			gpu.Threads = []Thread{}
			devices = append(devices, gpu)
			continue
		}
		devices[i].GPU = gpu.GPU
	}
	return devices
}

func (b *Board) average(d time.Duration) *float64 {
	average, ok := b.sampler.Average(d)
	if !ok {
		return nil
	}
	average = rate(average)
	return &average
}

// ServeHTTP implements [http.Handler]: it answers with the status.
func (b *Board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, b.Status())
}

// round rounds to fractions of 1, so that nobody takes noise for a number.
func round(x, fractions float64) float64 { return math.Round(x*fractions) / fractions }

func rate(perSecond float64) float64  { return round(perSecond, 10) }
func seconds(d time.Duration) float64 { return round(d.Seconds(), 1e6) }
