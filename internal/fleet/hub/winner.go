package hub

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// offerTime is for how long a winner waits for those before it to be sent. Then its worker
// offers it again.
const offerTime = time.Second

// hearFound is what follows when a worker offers a winner.
func (h *Hub) hearFound(ctx context.Context, msg *nats.Msg) {
	id, ok := h.subjects.Worker(msg.Subject)
	f, err := wire.Decode[wire.Found](msg.Data)
	if err != nil || !ok {
		h.config.Log.Debug("an offer that is no use", "subject", msg.Subject, "error", err)
		return
	}
	h.mu.Lock()
	m := h.machines[id]
	if m == nil || m.crew == nil { // it has not said hello, or was put out before it joined
		h.mu.Unlock()
		return
	}
	crew := m.crew
	h.mu.Unlock()
	if f.Hub == h.id {
		h.told(m, f.Leases)
	}
	result, err := h.offer(ctx, m, crew, f)
	if err != nil { // which is not answered: it comes again
		h.config.Log.Debug("a winner has to wait", "machine", m.name, "error", err)
		return
	}
	h.answer(msg, wire.Verdict{Hub: h.id, Result: result})
}

// told is what follows from what a machine tells of its leases beside a winner.
func (h *Hub) told(m *machine, leases []wire.Progress) {
	m.mu.Lock()
	late := m.told(leases, time.Now())
	m.mu.Unlock()
	if late > 0 {
		h.miner.CountLate(EngineName, late)
	}
}

// offer offers a winner to its job.
func (h *Hub) offer(ctx context.Context, m *machine, crew *mining.Crew, f wire.Found) (wire.Result, error) {
	j := h.jobOf(f)
	if j == nil {
		h.counts.stale.Add(1)
		return wire.Stale, nil
	}
	reference, err := j.reference()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, offerTime)
	defer cancel()
	verdict, err := crew.Offer(ctx, j.Job, reference, u512.Uint(f.Nonce))
	if err != nil {
		return "", err
	}
	switch verdict {
	case mining.Taken:
		h.counts.taken.Add(1)
		m.mu.Lock()
		m.winners++
		m.mu.Unlock()
		h.config.Log.Debug("a machine has found a winner", "machine", m.name, "job", j.ID(), "nonce", u512.Uint(f.Nonce).Hex())
		return wire.Taken, nil
	case mining.Known:
		h.counts.known.Add(1)
		return wire.Known, nil
	case mining.Wrong:
		h.counts.wrong.Add(1)
		h.putOut(m)
		return wire.Wrong, nil
	default:
		h.counts.stale.Add(1)
		return wire.Stale, nil
	}
}

// jobOf returns the job of a winner, or nil if it is over. A winner of a lease that was another hub's is
// of the job for which the same is searched.
func (h *Hub) jobOf(f wire.Found) *job {
	same := func(j *mining.Job) bool { return j.Header() == f.Header && j.Threshold() == u512.Uint(f.Threshold) }
	if f.Hub == h.id {
		return h.jobs.find(func(j *job) bool { return j.number == f.Job && same(j.Job) })
	}
	for _, running := range h.miner.Current().Jobs {
		if same(running.Job) {
			return h.jobs.of(running.Job)
		}
	}
	return nil
}

// putOut has a machine search no more: its crew has left already.
func (h *Hub) putOut(m *machine) {
	now := time.Now()
	h.mu.Lock()
	m.mu.Lock()
	m.wrong++
	again := m.state == Out
	m.set(Out, "it reported a wrong nonce", now)
	m.mu.Unlock()
	h.part(m)
	h.mu.Unlock()
	if again { // with what it had found before it knew
		return
	}
	h.config.Log.Error("MACHINE PUT OUT: it reported a wrong nonce, which goes nowhere; it gets no more work until it is started anew. Its memory or its overclocking may be at fault",
		"machine", m.name, "id", m.id)
}
