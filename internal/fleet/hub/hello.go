package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
)

const (
	// maxChecks is how many checks of names may go on.
	maxChecks = 8
	// checkTime is for how long a name's owner is looked for. NATS says at once that nobody listens.
	checkTime = 200 * time.Millisecond
)

// hearHello is what follows when a worker says who it is.
func (h *Hub) hearHello(ctx context.Context, msg *nats.Msg, work *sync.WaitGroup) {
	id, ok := h.subjects.Worker(msg.Subject)
	hello, err := wire.Decode[wire.Hello](msg.Data)
	if err != nil || !ok {
		h.refuse(msg, fmt.Sprintf("a hello that cannot be read: %v", err), true)
		return
	}
	if hello.Wire != wire.Version {
		h.refuse(msg, fmt.Sprintf("this hub speaks version %d of the messages, and the worker version %d: both must be of a release with the same", wire.Version, hello.Wire), true)
		return
	}
	if hello.PoW != h.config.PoW {
		h.refuse(msg, fmt.Sprintf("this hub's proof of work is %s, and the worker's %s", h.config.PoW, hello.PoW), true)
		return
	}
	h.mu.Lock()
	known := h.machines[id] != nil
	_, _, taken := h.freeName(hello.Name)
	h.mu.Unlock()
	if known || taken == nil {
		h.welcome(msg, id, hello)
		return
	}
	// The machine may have been started anew, and its old process not be missed yet.
	select {
	case h.checks <- struct{}{}:
	default: // many machines of one name
		h.welcome(msg, id, hello)
		return
	}
	work.Go(func() {
		defer func() { <-h.checks }()
		h.check(ctx, taken)
		h.welcome(msg, id, hello)
	})
}

// check looks whether a machine listens: if not, it is gone.
func (h *Hub) check(ctx context.Context, m *machine) {
	text, err := wire.Encode(wire.Orders{Hub: h.id, Out: m.out()})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if _, err = h.conn.RequestWithContext(ctx, h.subjects.Orders(m.id), text); !errors.Is(err, nats.ErrNoResponders) {
		return // nobody answers that who is there
	}
	now := time.Now()
	h.mu.Lock()
	m.mu.Lock()
	m.lastSeen = now.Add(-wire.Silence)
	m.set(Gone, "its connection is closed", now)
	m.mu.Unlock()
	h.part(m)
	h.mu.Unlock()
}

// out returns the numbers of the machine's leases.
func (m *machine) out() (numbers []uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.leases {
		numbers = append(numbers, l.number)
	}
	return numbers
}

// refuse refuses a worker, for good or until it asks again.
func (h *Hub) refuse(msg *nats.Msg, why string, final bool) {
	h.counts.refused.Add(1)
	h.config.Log.Warn("a machine is refused", "reason", why)
	h.answer(msg, wire.Welcome{Wire: wire.Version, Hub: h.id, Error: wire.Tidy(why, wire.MaxReason), Final: final})
}

// welcome takes a worker into the fleet, or knows it again.
func (h *Hub) welcome(msg *nats.Msg, id string, hello wire.Hello) {
	now := time.Now()
	h.mu.Lock()
	m := h.machines[id]
	joins := m == nil
	if joins {
		name, before, _ := h.freeName(hello.Name)
		m = h.register(id, name, before, hello, now)
	}
	if m == nil {
		h.mu.Unlock()
		h.refuse(msg, fmt.Sprintf("the fleet has %d machines, as many as a hub takes", maxMachines), false)
		return
	}
	m.mu.Lock()
	m.hello = hello
	out, reason := m.state == Out, m.reason
	m.lastSeen = now
	m.mu.Unlock()
	if out {
		h.mu.Unlock()
		h.refuse(msg, "this machine was put out: "+reason, true)
		return
	}
	// Before its leases, which it takes from the hub that it knows.
	h.answer(msg, wire.Welcome{Wire: wire.Version, Hub: h.id, Name: m.name})
	m.mu.Lock()
	m.send(nil, now) // it may still hold leases that were taken back
	m.mu.Unlock()
	news := h.seen(m, wire.Able, now)
	h.mu.Unlock()
	switch {
	case joins:
		h.config.Log.Info("machine joins", "machine", m.name, "asked_for", wire.MachineName(hello.Name), "version", hello.Version, "threads", hello.Threads, "id", id)
	case news != "":
		h.config.Log.Info(news, "machine", m.name)
	}
}
