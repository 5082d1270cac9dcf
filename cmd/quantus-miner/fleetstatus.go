package main

import (
	"math"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/watch/status"
)

// reportOfFleet returns what each line with the hash rate has of a fleet.
func reportOfFleet(o hub.Overview) []any {
	f := fleetStatus(o)
	there := f.Machines[string(hub.Working)] + f.Machines[string(hub.Idle)] + f.Machines[string(hub.Unable)]
	attrs := []any{"machines", there, "fleet_hash_rate", f.Rate10s}
	for _, state := range []hub.State{hub.Idle, hub.Unable, hub.Gone, hub.Out} {
		if n := f.Machines[string(state)]; n > 0 {
			attrs = append(attrs, "machines_"+string(state), n)
		}
	}
	return attrs
}

// fleetStatus returns how a fleet stands as the page and the status have it.
func fleetStatus(o hub.Overview) status.Fleet {
	f := status.Fleet{
		Machines: make(map[string]int),
		Leases: status.Leases{
			Sent: o.Leases.Sent, Exhausted: o.Leases.Exhausted, Won: o.Leases.Won, TakenBack: o.Leases.TakenBack, Failed: o.Leases.Failed, Over: o.Leases.Over,
		},
		Winners: status.Offers(o.Winners),
		Refused: o.Refused,
	}
	for _, state := range hub.States {
		f.Machines[string(state)] = 0
	}
	for _, m := range o.Machines {
		f.Machines[string(m.State)]++
		f.Rate10s += m.Rate10s
		f.Rate15m += m.Rate15m
	}
	f.Rate10s, f.Rate15m = tenths(f.Rate10s), tenths(f.Rate15m)
	return f
}

// machinesOf returns the machines of a fleet as the page and the API have them.
func machinesOf(o hub.Overview) []status.Machine {
	machines := make([]status.Machine, len(o.Machines))
	for i, m := range o.Machines {
		machines[i] = status.Machine{
			Name: m.Name, ID: m.ID, State: string(m.State), Reason: m.Reason,
			Since: m.Since.UTC().Truncate(time.Millisecond), LastSeen: m.LastSeen.UTC().Truncate(time.Millisecond),
			Version: m.Version, Threads: m.Threads, Engines: make([]string, len(m.Engines)),
			Rate10s: tenths(m.Rate10s), Rate15m: tenths(m.Rate15m), Hashes: m.Hashes, Leases: m.Leases, Winners: m.Winners, Wrong: m.Wrong,
		}
		for j, e := range m.Engines {
			machines[i].Engines[j] = strings.TrimSpace(strings.Join([]string{e.Name, e.Backend, e.Device}, " "))
		}
	}
	return machines
}

// hubStatus returns how a link to a hub stands as the page and the status have it.
func hubStatus(s fleet.Status) status.Hub {
	h := status.Hub{
		Address:     s.Server,
		Name:        s.Name,
		State:       s.State.String(),
		Since:       s.Since,
		Connections: s.Connections,
		Failures:    s.Failures,
		Leases:      s.Leases,
		Waiting:     s.Waiting,
		Winners:     status.Offers(s.Winners),
		Summary:     s.String(),
	}
	if s.Reason != nil {
		h.Reason = s.Reason.Error()
	}
	if !s.Retry.IsZero() {
		next := s.Retry.UTC().Truncate(time.Millisecond)
		h.NextTry = &next
	}
	return h
}

// tenths rounds a rate, so that nobody takes noise for a number.
func tenths(rate float64) float64 { return math.Round(rate*10) / 10 }
