package hub

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
)

const (
	// maxMachines is how many machines may be known.
	maxMachines = 4096
	// forgetAfter is how long a machine is known that is gone.
	forgetAfter = 24 * time.Hour
	// stalledAfter is after which time a machine has its leases taken back that tells of no progress, and
	// how long it gets no others.
	stalledAfter = 30 * time.Second
)

// machine is a machine of the fleet.
type machine struct {
	hub  *Hub
	id   string
	name string

	// What follows is guarded by hub.mu.

	crew    *mining.Crew // the latest
	present bool         // it is one of the miner's

	leaseSize atomic.Uint64 // of the next lease

	// What follows is guarded by mu, which may be locked while hub.mu is, and not the other way.

	mu        sync.Mutex
	hello     wire.Hello
	state     State // Working stands for Idle as well
	reason    string
	since     time.Time
	joined    time.Time // since when it takes leases
	lastSeen  time.Time
	restUntil time.Time // no leases before
	leases    []*lease  // that it holds, in the order in which they were sent
	late      []late
	latestJob uint64    // of which it had a lease
	begun     time.Time // when it had the first lease of that
	lastEnd   time.Time // of a lease
	moved     time.Time // when it last told of progress
	idle      time.Time // when it was last seen without one

	hashes, winners, wrong uint64
	short, long            history
	slow                   bool
}

// set changes the state; mu is held.
func (m *machine) set(s State, reason string, now time.Time) {
	if m.state != s {
		m.state, m.since = s, now
	}
	m.reason = reason
}

// reserved are the names of a miner's own threads and devices.
var reserved = regexp.MustCompile(`^([0-9]+|gpu[0-9]+)$`)

// freeName returns a name for a machine that wants one: that of a machine that is gone may be
// had again; h.mu is held. It returns that machine, or nil, and one that has the name and is there, or nil.
func (h *Hub) freeName(want string) (name string, before, taken *machine) {
	want = wire.MachineName(want)
	if reserved.MatchString(want) {
		want = "machine-" + want
	}
	for i := 1; ; i++ {
		name = want
		if i > 1 {
			suffix := fmt.Sprintf("-%d", i)
			name = want[:min(len(want), wire.MaxName-len(suffix))] + suffix
		}
		m := h.byName[name]
		if m == nil || m.absent() {
			return name, m, taken
		}
		if taken == nil {
			taken = m
		}
	}
}

// absent reports whether the machine is gone.
func (m *machine) absent() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state == Gone || m.state == Out && time.Since(m.lastSeen) > wire.Silence
}

// register makes a machine known that says hello for the first time; h.mu is held. It returns nil
// if there is no room.
func (h *Hub) register(id, name string, before *machine, hello wire.Hello, now time.Time) *machine {
	m := &machine{hub: h, id: id, name: name, hello: hello, state: Working, since: now, lastSeen: now}
	m.short, m.long = history{step: time.Second, most: 11}, history{step: 30 * time.Second, most: 31}
	m.leaseSize.Store(firstLease)
	if before != nil { // the same machine, started anew
		before.mu.Lock()
		m.hashes, m.winners, m.wrong = before.hashes, before.winners, before.wrong
		before.mu.Unlock()
		m.leaseSize.Store(before.leaseSize.Load())
		h.forget(before)
	}
	if len(h.machines) >= maxMachines && !h.forgetOne() {
		return nil
	}
	h.machines[id], h.byName[name] = m, m
	return m
}

// forgetOne forgets the machine that is gone for longest, and reports whether there was one; h.mu is held.
func (h *Hub) forgetOne() bool {
	var oldest *machine
	var since time.Time
	for _, m := range h.machines {
		m.mu.Lock()
		if m.state == Gone && (oldest == nil || m.since.Before(since)) {
			oldest, since = m, m.since
		}
		m.mu.Unlock()
	}
	if oldest != nil {
		h.forget(oldest)
	}
	return oldest != nil
}

// forget forgets a machine; h.mu is held.
func (h *Hub) forget(m *machine) {
	h.part(m)
	delete(h.machines, m.id)
	if h.byName[m.name] == m {
		delete(h.byName, m.name)
	}
}

// join has a machine take leases; h.mu is held.
func (h *Hub) join(m *machine, now time.Time) {
	if m.present || h.ended {
		return
	}
	m.mu.Lock()
	m.joined = now
	m.mu.Unlock()
	m.present = true
	// What ends early was dropped by the machine, which goes on when it is asked again.
	again := func(ctx context.Context) error { return ctx.Err() }
	m.crew = &mining.Crew{Name: m.name, Engine: h.verifier, Workers: inFlight, Remote: m, Recover: again}
	h.miner.Add(m.crew)
}

// part has a machine take no more leases, and takes back those that it holds; h.mu is held.
func (h *Hub) part(m *machine) {
	if m.present {
		m.present = false
		h.miner.Remove(m.crew)
	}
}

// seen is what follows when a machine tells how it is; h.mu is held. It returns what is to be
// written to the log, or "".
func (h *Hub) seen(m *machine, s wire.State, now time.Time) (news string) {
	m.mu.Lock()
	m.lastSeen = now
	was := m.state
	switch {
	case was == Out:
	case s == wire.Leaving:
		m.set(Gone, "it has left", now)
		news = "machine left"
	case s == wire.Unable:
		m.set(Unable, "it has nothing to search with, or is paused", now)
		if was != Unable {
			news = "machine unable to search"
		}
	case now.Before(m.restUntil):
	default:
		m.set(Working, "", now)
		if was == Gone {
			news = "machine is back"
		}
	}
	state := m.state
	m.mu.Unlock()
	if state == Working {
		h.join(m, now)
	} else {
		h.part(m)
	}
	return news
}

// look is what follows from the time that has passed for a machine; h.mu is held. It returns what is to be
// written to the log, or "".
func (h *Hub) look(m *machine, now time.Time) (news string) {
	m.mu.Lock()
	silent := now.Sub(m.lastSeen)
	switch {
	case m.state == Gone && now.Sub(m.since) >= forgetAfter, m.state == Out && silent >= forgetAfter:
		m.mu.Unlock()
		h.forget(m)
		return ""
	case m.state == Gone || m.state == Out:
	case silent >= wire.Silence:
		m.set(Gone, fmt.Sprintf("silent for %s", silent.Round(100*time.Millisecond)), now)
		news = "machine is gone"
	case m.stalled(now):
		m.set(Unable, fmt.Sprintf("no progress for %s", stalledAfter), now)
		m.restUntil = now.Add(stalledAfter)
		news = "machine makes no progress"
	default:
		news = m.judgeSpeed(now)
	}
	away := m.state != Working
	m.mu.Unlock()
	if away {
		h.part(m)
	}
	return news
}

// stalled reports whether the machine tells of no progress; mu is held.
func (m *machine) stalled(now time.Time) bool {
	return len(m.leases) > 0 && now.Sub(m.moved) >= stalledAfter
}
