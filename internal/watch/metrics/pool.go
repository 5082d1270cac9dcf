package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quantus-network/quantus-miner/internal/source/stratum"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

// pool turns the status of a link to a pool into metrics, when it is scraped.
type pool func() stratum.Status

// The metrics of a link to a pool.
var (
	poolState       = desc("miner_pool_state", "1 for the state of the link to the pool, 0 for the others.", "state")
	poolInfo        = desc("miner_pool_info", "The pool that the state is about, and whether it is a fallback; always 1.", "pool", "fallback")
	poolSince       = desc("miner_pool_state_since_timestamp_seconds", "When the link came to its state, in Unix time.")
	poolConnections = desc("miner_pool_connections_total", "Connections made to pools.")
	poolFailures    = desc("miner_pool_connection_failures_total", "Connections to pools that were lost, and attempts that failed.")
	poolJobs        = desc("miner_pool_jobs_total", "Jobs that pools have sent; a repeated one counts once.")
	poolDifficulty  = desc("miner_pool_difficulty", "Difficulty of the pool's job: how many nonces a share takes on average; 0 without one.")
	poolShares      = desc("miner_pool_shares_total", "Shares, by what has become of them.", "result")
)

// Describe implements [prometheus.Collector].
func (pool) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolState, poolInfo, poolSince, poolConnections, poolFailures, poolJobs, poolDifficulty, poolShares} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (p pool) Collect(metrics chan<- prometheus.Metric) {
	s := p()
	for _, state := range upstream.States {
		is := 0.0
		if state == s.State {
			is = 1
		}
		metrics <- newGauge(poolState, is, state.String())
	}
	metrics <- newGauge(poolInfo, 1, s.Server, strconv.FormatBool(s.Fallback))
	metrics <- newGauge(poolSince, float64(s.Since.UnixMilli())/1000)
	metrics <- newCounter(poolConnections, s.Connections)
	metrics <- newCounter(poolFailures, s.Failures)
	metrics <- newCounter(poolJobs, s.Jobs)
	metrics <- newGauge(poolDifficulty, float64(s.Difficulty))
	for outcome, n := range s.Shares {
		metrics <- newCounter(poolShares, n, stratum.Outcome(outcome).String())
	}
}
