package hub

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Overview is what is known of a fleet at one moment.
type Overview struct {
	// Time is the moment, and ID the hub's instance id.
	Time time.Time
	ID   string
	// Machines are all that are known, by name: also those that are gone, for a day.
	Machines []Machine
	// Leases counts what became of leases.
	Leases LeaseCounts
	// Winners counts what became of winners that machines offered.
	Winners WinnerCounts
	// Fanout is the time from a job's receipt to each machine's first lease of it, of the
	// machines that were there by then.
	Fanout Histogram
	// Refused counts the machines that were refused.
	Refused uint64
}

// State is how a machine is.
type State string

// The states of a machine.
const (
	// Working machines hold leases.
	Working State = "working"
	// Idle machines have no lease, as there is no job.
	Idle State = "idle"
	// Unable machines have nothing to search with at present, as they say.
	Unable State = "unable"
	// Gone machines are silent, or have left.
	Gone State = "gone"
	// Out are those that reported a wrong nonce. They get no more leases until they are
	// started anew.
	Out State = "out"
)

// States are all of them.
var States = []State{Working, Idle, Unable, Gone, Out}

// Machine is what an [Overview] has of one machine.
type Machine struct {
	// Name is what it is called in the fleet, and ID its instance id.
	Name, ID string
	State    State
	// Reason says for people why it is gone or out; otherwise it is empty.
	Reason string
	// Since is when it came to the state, and LastSeen when it was heard of.
	Since, LastSeen time.Time
	// Version is the program's.
	Version string
	Threads int
	Engines []Engine
	// Rate10s and Rate15m are its rates over that time, in nonces a second.
	Rate10s, Rate15m float64
	// Hashes counts the nonces that it evaluated, Winners those of its winners that were
	// taken, and Wrong its wrong nonces.
	Hashes, Winners, Wrong uint64
	// Leases is how many it holds.
	Leases int
}

// Engine is one of the engines of a machine.
type Engine struct{ Name, Backend, Device string }

// LeaseCounts counts leases by what became of them.
type LeaseCounts struct {
	// Sent is how many there were.
	Sent uint64
	// Exhausted were searched whole, Won had a winner that ended them, TakenBack were those of
	// machines that went, Failed could not be searched, and Over are those whose job was over
	// first.
	Exhausted, Won, TakenBack, Failed, Over uint64
}

// WinnerCounts counts winners by what became of them.
type WinnerCounts struct{ Taken, Known, Stale, Wrong uint64 }

// Histogram counts times.
type Histogram struct {
	// Bounds are the upper bounds of the buckets, and Counts how many times are up to each, those of
	// the buckets before included. Count is how many there are in all, and Sum what they add up to.
	Bounds []time.Duration
	Counts []uint64
	Count  uint64
	Sum    time.Duration
}

// Overview returns what is known of the fleet now.
func (h *Hub) Overview() Overview {
	c := &h.counts
	o := Overview{
		Time: time.Now(), ID: h.id,
		Leases: LeaseCounts{
			Sent: c.sent.Load(), Exhausted: c.exhausted.Load(), Won: c.won.Load(),
			TakenBack: c.takenBack.Load(), Failed: c.failed.Load(), Over: c.over.Load(),
		},
		Winners: WinnerCounts{Taken: c.taken.Load(), Known: c.known.Load(), Stale: c.stale.Load(), Wrong: c.wrong.Load()},
		Fanout:  h.fanout.histogram(),
		Refused: c.refused.Load(),
	}
	h.mu.Lock()
	machines := slices.Collect(maps.Values(h.machines))
	h.mu.Unlock()
	o.Machines = make([]Machine, len(machines))
	for i, m := range machines {
		o.Machines[i] = m.overview(o.Time)
	}
	slices.SortFunc(o.Machines, func(a, b Machine) int { return cmp.Compare(a.Name, b.Name) })
	return o
}

// overview returns what is known of the machine.
func (m *machine) overview(now time.Time) Machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := Machine{
		Name: m.name, ID: m.id, State: m.state, Reason: m.reason, Since: m.since, LastSeen: m.lastSeen, Version: m.hello.Version, Threads: m.hello.Threads,
		Hashes: m.hashes, Winners: m.winners, Wrong: m.wrong, Leases: len(m.leases),
	}
	for _, e := range m.hello.Engines {
		o.Engines = append(o.Engines, Engine(e))
	}
	if o.State == Working && o.Leases == 0 {
		o.State = Idle
	}
	if o.State == Working || o.State == Idle {
		o.Rate10s, o.Rate15m = m.rates(now)
	}
	return o
}
