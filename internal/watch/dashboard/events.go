package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
	"github.com/quantus-network/quantus-miner/internal/watch/status"
)

const (
	// maxReaders bounds the pages that are open at a time.
	maxReaders = 32
	// maxJobs bounds the jobs that a page is told of, newest first.
	maxJobs = 50
	// writeTimeout is how long a reader may take to accept an event.
	writeTimeout = 10 * time.Second
)

// events is the stream of what the page shows, as server-sent events with JSON
// data: "facts" and "history" once, then a "state" every second. Times are in
// seconds, moments in seconds of Unix time, rates in nonces per second.
type events struct {
	sampler *hashrate.Sampler
	facts   Facts
	board   *status.Board
	readers atomic.Int32
}

// history is the curve up to now: the rate in the second before each time.
type history struct {
	Times []float64 `json:"times"`
	Rates []float64 `json:"rates"`
}

// state is how the miner stands.
type state struct {
	Time    float64       `json:"time"`    // of the curve's newest point
	Second  float64       `json:"second"`  // that point: the rate in the last second
	Status  status.Status `json:"status"`  // what programs are told
	Jobs    []job         `json:"jobs"`    // the newest first
	Omitted int           `json:"omitted"` // jobs that are known, and not among Jobs
}

type job struct {
	ID      string  `json:"id"`
	Status  string  `json:"status"`
	Engine  string  `json:"engine"`
	Started float64 `json:"started"`
	Elapsed float64 `json:"elapsed"` // to now, or to its end
	Hashes  uint64  `json:"hashes"`
	Tried   float64 `json:"tried"`  // of its range, 0 to 1
	Rate    float64 `json:"rate"`   // now, or on average when it is over
	Result  string  `json:"result"` // the nonce, or why it failed
}

// ServeHTTP implements [http.Handler]. It returns when the reader goes away, or
// is too slow, or the request's context is done.
func (e *events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer e.readers.Add(-1)
	if e.readers.Add(1) > maxReaders {
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages are open already: close one", maxReaders), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that collected events would delay them
	if r.Method == http.MethodHead {          // whose answer has no body, however long one writes
		return
	}

	curve, next := e.sampler.Curve()
	out := stream{w: w, control: http.NewResponseController(w)}
	out.add("facts", e.facts)
	out.add("history", historyOf(curve))
	for {
		out.add("state", e.state(curve))
		if err := out.send(); err != nil {
			return
		}
		select {
		case <-next:
			curve, next = e.sampler.Curve()
		case <-r.Context().Done():
			return
		}
	}
}

// stream writes events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	unsent  bytes.Buffer
}

// add adds an event to those that will be sent.
func (s *stream) add(name string, data any) {
	fmt.Fprintf(&s.unsent, "event: %s\ndata: ", name)
	// The encoder escapes line ends, and ends the line. It cannot fail: there is
	// nothing but numbers and strings.
	_ = json.NewEncoder(&s.unsent).Encode(data)
	s.unsent.WriteByte('\n')
}

func (s *stream) send() error {
	// The server's own deadline is for answers that end.
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("setting the deadline of an event: %w", err)
	}
	if _, err := s.unsent.WriteTo(s.w); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	return s.control.Flush()
}

func historyOf(curve []hashrate.Point) history {
	h := history{Times: make([]float64, len(curve)), Rates: make([]float64, len(curve))}
	for i, p := range curve {
		h.Times[i], h.Rates[i] = unix(p.Time), p.Rate
	}
	return h
}

func (e *events) state(curve []hashrate.Point) state {
	sample := e.sampler.Sample()
	s := state{
		Time:    unix(sample.Time),
		Status:  e.board.Of(sample),
		Jobs:    make([]job, 0, maxJobs),
		Omitted: max(0, len(sample.Jobs)-maxJobs),
	}
	if n := len(curve); n > 0 {
		s.Time, s.Second = unix(curve[n-1].Time), curve[n-1].Rate
	}
	for _, j := range slices.Backward(sample.Jobs[s.Omitted:]) {
		shown := jobOf(j, sample)
		if e.board.Hub != nil && j.Err == mining.ErrExhausted { // a lease, which has not failed by that
			shown.Status = mining.Completed.String()
		}
		s.Jobs = append(s.Jobs, shown)
	}
	return s
}

func jobOf(j mining.JobOverview, sample hashrate.Sample) job {
	r := job{
		ID:      j.Job.ID(),
		Status:  j.Status.String(),
		Engine:  j.Job.Engine(),
		Started: unix(j.Job.Started()),
		Elapsed: j.Elapsed.Seconds(),
		Hashes:  j.Evaluated,
		Tried:   tried(j),
	}
	switch {
	case j.Status == mining.Running:
		r.Rate = sample.Job(j.Job)
	case j.Elapsed > 0:
		r.Rate = float64(j.Evaluated) / j.Elapsed.Seconds()
	}
	switch {
	case j.Status == mining.Completed:
		r.Result = j.Nonce.Hex()
	case j.Err != nil:
		r.Result = j.Err.Error()
	}
	return r
}

// tried is the part of its range that a job has searched. The range can be 2^512
// nonces, of which a float64 has a good idea.
func tried(j mining.JobOverview) float64 {
	nonces := j.Job.Range()
	span, _ := nonces.End.SubWrap(nonces.Start).Big().Float64()
	return min(1, float64(j.Evaluated)/(span+1))
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
