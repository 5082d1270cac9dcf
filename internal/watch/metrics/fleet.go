package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

// machines turns how the machines of a fleet stand into metrics, when it is scraped. Series are
// by machine and not by job: a hub knows 4,096 machines at most, and forgets them a day after
// they have gone.
type machines func() hub.Overview

// The metrics of a fleet. The label worker is what the machine is called in it.
var (
	fleetWorkers  = desc("miner_fleet_workers", "Machines of the fleet, by state.", "state")
	fleetRate     = desc("miner_fleet_worker_hash_rate", "Nonces evaluated per second by a machine over 10 seconds.", "worker")
	fleetHashes   = desc("miner_fleet_worker_hashes_total", "Nonces evaluated by a machine.", "worker")
	fleetLastSeen = desc("miner_fleet_worker_last_seen_seconds", "How long ago a machine was heard of.", "worker")
	fleetWinners  = desc("miner_fleet_winners_total", "Winners of a machine that were taken.", "worker")
	fleetWrong    = desc("miner_fleet_wrong_nonces_total", "Wrong nonces of a machine, which is put out for the first.", "worker")
	fleetLeases   = desc("miner_fleet_leases_total", "Leases that are over, by what became of them.", "outcome")
	fleetOffers   = desc("miner_fleet_offers_total", "Winners that machines have offered, by what became of them.", "result")
	fleetRefused  = desc("miner_fleet_refused_total", "Machines that were refused.")
	fleetFanout   = desc("miner_fleet_job_fanout_seconds", "Time from the receipt of a job to a machine's first lease of it.")
)

// Describe implements [prometheus.Collector].
func (machines) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{fleetWorkers, fleetRate, fleetHashes, fleetLastSeen, fleetWinners, fleetWrong, fleetLeases, fleetOffers, fleetRefused, fleetFanout} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (f machines) Collect(metrics chan<- prometheus.Metric) {
	o := f()
	states := make(map[hub.State]int)
	for _, m := range o.Machines {
		states[m.State]++
		if m.State != hub.Gone { // which has no rate, not even 0
			metrics <- newGauge(fleetRate, m.Rate10s, m.Name)
		}
		metrics <- newCounter(fleetHashes, m.Hashes, m.Name)
		metrics <- newGauge(fleetLastSeen, max(0, o.Time.Sub(m.LastSeen).Seconds()), m.Name)
		metrics <- newCounter(fleetWinners, m.Winners, m.Name)
		metrics <- newCounter(fleetWrong, m.Wrong, m.Name)
	}
	for _, state := range hub.States {
		metrics <- newGauge(fleetWorkers, float64(states[state]), string(state))
	}
	for outcome, n := range map[string]uint64{
		"exhausted": o.Leases.Exhausted, "won": o.Leases.Won, "taken_back": o.Leases.TakenBack, "failed": o.Leases.Failed, "over": o.Leases.Over,
	} {
		metrics <- newCounter(fleetLeases, n, outcome)
	}
	for result, n := range map[string]uint64{
		"taken": o.Winners.Taken, "known": o.Winners.Known, "stale": o.Winners.Stale, "wrong": o.Winners.Wrong,
	} {
		metrics <- newCounter(fleetOffers, n, result)
	}
	metrics <- newCounter(fleetRefused, o.Refused)
	buckets := make(map[float64]uint64, len(o.Fanout.Bounds))
	for i, bound := range o.Fanout.Bounds {
		buckets[bound.Seconds()] = o.Fanout.Counts[i]
	}
	metrics <- prometheus.MustNewConstHistogram(fleetFanout, o.Fanout.Count, o.Fanout.Sum.Seconds(), buckets)
}

// worker turns the status of a link to a hub into metrics, when it is scraped.
type worker func() fleet.Status

// The metrics of a link to a hub.
var (
	hubState       = desc("miner_hub_state", "1 for the state of the link to the hub, 0 for the others.", "state")
	hubInfo        = desc("miner_hub_info", "The hub, and what this machine is called in its fleet; always 1.", "hub", "name")
	hubSince       = desc("miner_hub_state_since_timestamp_seconds", "When the link came to its state, in Unix time.")
	hubConnections = desc("miner_hub_connections_total", "Connections made to the hub.")
	hubFailures    = desc("miner_hub_connection_failures_total", "Connections to the hub that were lost, and attempts that failed.")
	hubLeases      = desc("miner_hub_leases", "Leases that this machine holds.")
	hubWaiting     = desc("miner_hub_waiting_winners", "Winners that wait for the hub.")
	hubWinners     = desc("miner_hub_winners_total", "Winners that the hub has answered, by its answer.", "result")
)

// Describe implements [prometheus.Collector].
func (worker) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{hubState, hubInfo, hubSince, hubConnections, hubFailures, hubLeases, hubWaiting, hubWinners} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (w worker) Collect(metrics chan<- prometheus.Metric) {
	s := w()
	for _, state := range upstream.States {
		is := 0.0
		if state == s.State {
			is = 1
		}
		metrics <- newGauge(hubState, is, state.String())
	}
	metrics <- newGauge(hubInfo, 1, s.Server, s.Name)
	metrics <- newGauge(hubSince, float64(s.Since.UnixMilli())/1000)
	metrics <- newCounter(hubConnections, s.Connections)
	metrics <- newCounter(hubFailures, s.Failures)
	metrics <- newGauge(hubLeases, float64(s.Leases))
	metrics <- newGauge(hubWaiting, float64(s.Waiting))
	for result, n := range map[string]uint64{
		"taken": s.Winners.Taken, "known": s.Winners.Known, "stale": s.Winners.Stale, "wrong": s.Winners.Wrong,
	} {
		metrics <- newCounter(hubWinners, n, result)
	}
}
