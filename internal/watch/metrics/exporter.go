package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
)

// Build says what program this is.
type Build struct{ Version, Revision string }

// Setup says how the miner was set up, on which machine.
type Setup struct {
	// CPUs is the number of CPUs that the process may use.
	CPUs int
	// PoW is the proof of work, as operators know it.
	PoW string
	// Priority is the class of the workers' threads, and Affinity the CPUs that they
	// may use, as operators know them.
	Priority, Affinity string
	// Throttle is the share of its time that a worker of the CPU may search for; 0 is
	// all of it.
	Throttle float64
	// AuthFailures returns how many requests were refused for want of credentials.
	// It may be nil, for none.
	AuthFailures func() uint64
	// Node returns how the link to the node stands. It is nil for a miner that serves an
	// API instead.
	Node func() quicnode.Status
	// Pool returns how the link to the pool stands. It is nil for a miner that mines for none.
	Pool func() stratum.Status
	// Hub returns how the link to the hub stands. It is nil for a miner that mines for none.
	Hub func() fleet.Status
	// Fleet returns how the machines stand that mine for this one. It is nil for a miner that has
	// no fleet.
	Fleet func() hub.Overview
	// GPUs returns how the devices that are mined on stand. It is nil for a miner that is to
	// use none. GPUStates are the states that they may have.
	GPUs      func() []GPU
	GPUStates []string
}

// Exporter holds the metrics of one miner, in a registry of its own.
type Exporter struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec // by endpoint and code
	mine     *prometheus.CounterVec // by result
	start    prometheus.Histogram
	pickup   prometheus.Histogram
	send     prometheus.Histogram
	latency  prometheus.Histogram
}

// answers are the status codes of each endpoint. Their series are there from the
// start, so that "nothing yet" and "broken" look different.
var answers = map[string][]int{
	"mine": append([]int{
		http.StatusOK, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusInternalServerError,
	}, refusals...),
	"result": append([]int{http.StatusOK, http.StatusNotFound, http.StatusMethodNotAllowed}, refusals...),
	"cancel": append([]int{http.StatusOK, http.StatusNotFound, http.StatusMethodNotAllowed}, refusals...),
	"other":  append([]int{http.StatusNotFound}, refusals...),
}

// refusals are the status codes with which every endpoint refuses requests.
var refusals = []int{
	http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest, http.StatusTooManyRequests, http.StatusRequestHeaderFieldsTooLarge,
	http.StatusServiceUnavailable,
}

// New returns the exporter of a sampler's miner.
func New(sampler *hashrate.Sampler, build Build, setup Setup) *Exporter {
	e := &Exporter{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "miner_http_requests_total",
			Help: "Requests to the node's API, by endpoint and status code.",
		}, []string{"endpoint", "code"}),
		mine: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "miner_mine_requests_total",
			Help: "Submissions of jobs, by what came of them.",
		}, []string{"result"}),
		start: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "miner_job_start_seconds",
			Help: "Time from the receipt of a job to its first nonces.",
			// A free worker takes a millisecond or less; one that is busy with
			// another job some tenths of a second.
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}),
		pickup: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "miner_result_pickup_seconds",
			Help:    "Time from finding a solution to the first answer that carried it. Nodes ask every half second.",
			Buckets: []float64{.001, .01, .05, .1, .2, .3, .4, .5, .6, .8, 1, 2.5, 10, 60},
		}),
		send: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "miner_result_send_seconds",
			Help:    "Time from finding a solution to its being written to the node.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1},
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "miner_pool_latency_seconds",
			Help:    "Time from a share's being sent to the pool's answer.",
			Buckets: []float64{.005, .01, .025, .05, .1, .2, .3, .5, 1, 2.5, 5, 10, 30},
		}),
	}
	for endpoint, codes := range answers {
		for _, code := range codes {
			e.requests.WithLabelValues(endpoint, strconv.Itoa(code))
		}
	}
	for _, result := range []string{accepted, duplicate, invalid, failed} {
		e.mine.WithLabelValues(result)
	}
	buildInfo := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "miner_build_info",
		Help: "What program this is; always 1.",
		ConstLabels: prometheus.Labels{
			"version": build.Version, "revision": build.Revision, "goversion": runtime.Version(),
		},
	})
	buildInfo.Set(1)
	authFailures := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "miner_auth_failures_total",
		Help: "Requests refused for want of credentials, or as they were wrong.",
	}, func() float64 {
		if setup.AuthFailures == nil {
			return 0
		}
		return float64(setup.AuthFailures())
	})
	transport := serial{e.requests, e.mine, e.pickup}
	if setup.Node != nil {
		transport = serial{node(setup.Node), e.send}
	}
	if setup.Pool != nil {
		transport = serial{pool(setup.Pool), e.latency}
	}
	if setup.Hub != nil {
		transport = serial{worker(setup.Hub)}
	}
	if setup.Fleet != nil {
		transport = append(transport, machines(setup.Fleet))
	}
	if setup.GPUs != nil {
		transport = append(transport, gpus{setup.GPUStates, setup.GPUs})
	}
	e.registry.MustRegister(serial{
		authFailures, &collector{sampler: sampler, setup: setup}, transport, e.start, buildInfo,
		&cached{Collector: serial{
			collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
			collectors.NewBuildInfoCollector(),
		}},
	})
	return e
}

// Handler answers scrapes, as Prometheus text or, on request, as OpenMetrics.
func (e *Exporter) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		EnableOpenMetrics:   true,
		DisableCompression:  true, // a quarter of a scrape's CPU time, which is for mining
		MaxRequestsInFlight: 8,    // a scrape of many jobs and threads can take some megabytes
	})
}

// FirstNonce takes the time from the receipt of a job to its first nonces.
func (e *Exporter) FirstNonce(after time.Duration) { e.start.Observe(after.Seconds()) }

// Fetched takes the time from finding a solution to its first being handed out.
func (e *Exporter) Fetched(waited time.Duration) { e.pickup.Observe(waited.Seconds()) }

// Sent takes the time from finding a solution to its being written to the node.
func (e *Exporter) Sent(after time.Duration) { e.send.Observe(after.Seconds()) }

// ShareAnswered takes the time from a share's being sent to the pool's answer.
func (e *Exporter) ShareAnswered(after time.Duration) { e.latency.Observe(after.Seconds()) }

// Answered counts a request to the API.
func (e *Exporter) Answered(endpoint string, code int) {
	e.requests.WithLabelValues(endpoint, strconv.Itoa(code)).Inc()
	if endpoint == "mine" && code != http.StatusMethodNotAllowed { // GET /mine submits nothing
		e.mine.WithLabelValues(submission(code)).Inc()
	}
}

// What can come of a submission.
const (
	accepted  = "accepted"
	duplicate = "duplicate"
	invalid   = "invalid"
	failed    = "error" // not the client's fault
)

// submission says what an answer to POST /mine means.
func submission(code int) string {
	switch {
	case code < 300:
		return accepted
	case code == http.StatusConflict:
		return duplicate
	case code < 500 && code != http.StatusTooManyRequests: // which is for other jobs' sake
		return invalid
	default:
		return failed
	}
}
