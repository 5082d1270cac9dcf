package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

// node turns the status of a link to a node into metrics, when it is scraped.
type node func() quicnode.Status

// The metrics of a link.
var (
	nodeState       = desc("miner_node_state", "1 for the state of the link to the node, 0 for the others.", "state")
	nodeInfo        = desc("miner_node_info", "The node that the state is about, and whether it is a fallback; always 1.", "node", "fallback")
	nodeSince       = desc("miner_node_state_since_timestamp_seconds", "When the link came to its state, in Unix time.")
	nodeConnections = desc("miner_node_connections_total", "Connections made to nodes.")
	nodeFailures    = desc("miner_node_connection_failures_total", "Connections to nodes that were lost, and attempts that failed.")
	nodeJobs        = desc("miner_node_jobs_total", "Jobs that nodes have sent; a repeated one counts once.")
	nodeResults     = desc("miner_node_results_total", "Results sent to nodes.")
)

// Describe implements [prometheus.Collector].
func (node) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{nodeState, nodeSince, nodeInfo, nodeConnections, nodeFailures, nodeJobs, nodeResults} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (n node) Collect(metrics chan<- prometheus.Metric) {
	s := n()
	for _, state := range upstream.States {
		is := 0.0
		if state == s.State {
			is = 1
		}
		metrics <- newGauge(nodeState, is, state.String())
	}
	metrics <- newGauge(nodeSince, float64(s.Since.UnixMilli())/1000)
	metrics <- newGauge(nodeInfo, 1, s.Server, strconv.FormatBool(s.Fallback))
	metrics <- newCounter(nodeConnections, s.Connections)
	metrics <- newCounter(nodeFailures, s.Failures)
	metrics <- newCounter(nodeJobs, s.Jobs)
	metrics <- newCounter(nodeResults, s.Results)
}
