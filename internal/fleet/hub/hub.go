package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
)

// Config is what a hub has to know.
type Config struct {
	// Fleet is the name of the fleet, as [wire.NewSubjects] takes it.
	Fleet string
	// PoW is the proof of work of the miner's jobs, and Reference an engine of it, by whose
	// rule winners are verified.
	PoW       string
	Reference engine.Engine
	// Address is where workers reach the hub: another hub is told it.
	Address string
	// Log is where it tells of its machines.
	Log *slog.Logger
}

// EngineName is the engine that all machines have in a miner's overview.
const EngineName = "fleet"

// Hub has the machines of a fleet search the jobs of a miner.
type Hub struct {
	config   Config
	id       string
	conn     *nats.Conn
	miner    *mining.Miner
	subjects wire.Subjects
	verifier engine.Engine // of all crews
	jobs     jobs
	numbers  atomic.Uint64 // of leases
	counts   counts
	fanout   fanout
	changed  chan struct{} // a job may be over; has room for one
	rivals   chan wire.Rival
	checks   chan struct{} // has room for those who look whether a name's owner is still there
	started  time.Time

	mu       sync.Mutex
	machines map[string]*machine // by id
	byName   map[string]*machine
	ended    bool
}

// counts are the counters of an overview.
type counts struct {
	sent, exhausted, won, takenBack, failed, over atomic.Uint64 // leases
	taken, known, stale, wrong                    atomic.Uint64 // winners
	refused                                       atomic.Uint64 // machines
}

// verifier stands for the engines of all machines.
type verifier struct{ engine.Engine }

// Name implements [engine.Engine].
func (verifier) Name() string { return EngineName }

// Backend implements [engine.Engine].
func (verifier) Backend() string { return "nats" }

// New returns a hub whose machines are to be crews of a miner. The connection is its alone, and
// is closed by who made it.
func New(conn *nats.Conn, miner *mining.Miner, c Config) (*Hub, error) {
	subjects, err := wire.NewSubjects(c.Fleet)
	if err != nil {
		return nil, err
	}
	if c.Reference == nil {
		return nil, errors.New("a hub needs the reference of its proof of work")
	}
	return &Hub{
		config: c, id: wire.NewID(), conn: conn, miner: miner, subjects: subjects, verifier: verifier{c.Reference},
		jobs:    jobs{reference: c.Reference, known: make(map[*mining.Job]*job)},
		changed: make(chan struct{}, 1), rivals: make(chan wire.Rival, 1), checks: make(chan struct{}, maxChecks), started: time.Now(),
		machines: make(map[string]*machine), byName: make(map[string]*machine),
	}, nil
}

// maxPending is how many messages of a subject may wait to be read: as many as all machines may
// send at about the same time.
const maxPending = 4 * maxMachines

// Run answers machines until ctx is done, and returns nil then. Otherwise its error is a
// [RivalError], or that of a subscription.
func (h *Hub) Run(ctx context.Context) (err error) {
	if err := h.askForRivals(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	subscribe := func(subject string, handle func(*nats.Msg)) {
		if err != nil {
			return
		}
		work.Add(1)
		var s *nats.Subscription
		if s, err = h.conn.Subscribe(subject, handle); err != nil {
			work.Done()
			err = fmt.Errorf("subscribing to %s: %w", subject, err)
			return
		}
		s.SetClosedHandler(func(string) { work.Done() })
		err = s.SetPendingLimits(maxPending, maxPending*wire.MaxMessage)
		context.AfterFunc(ctx, func() { _ = s.Unsubscribe() }) // fails if the connection is closed
	}
	subscribe(h.subjects.Hub(), h.hearRival)
	subscribe(h.subjects.Report(wire.Any), h.hearReport)
	subscribe(h.subjects.Found(wire.Any), func(msg *nats.Msg) { h.hearFound(ctx, msg) })
	subscribe(h.subjects.Hello(wire.Any), func(msg *nats.Msg) { h.hearHello(ctx, msg, &work) })
	if err != nil {
		return err
	}
	defer h.leave()
	h.config.Log.Info("the fleet has a hub", "fleet", h.config.Fleet, "hub", h.id, "address", h.config.Address)
	return h.loop(ctx)
}

// lookInterval is the time between two looks at all machines.
const lookInterval = 500 * time.Millisecond

// loop does what has its time, until ctx is done.
func (h *Hub) loop(ctx context.Context) error {
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	var told []uint64 // by the last beacon
	var toldUpto uint64
	var beacon, rival time.Time
	last := time.Now()
	for {
		now := time.Now()
		jobs, upto := h.jobs.alive()
		if changed := !slices.Equal(jobs, told) || upto != toldUpto; changed || now.Sub(beacon) >= wire.BeaconInterval {
			b := wire.Beacon{Hub: h.id, Jobs: jobs, Upto: upto}
			if len(jobs) > wire.MaxJobs { // machines learn of ends with their next leases
				b.Jobs, b.Upto = nil, 0
			}
			h.publish(h.subjects.Beacon(), b)
			told, toldUpto, beacon = jobs, upto, now
		}
		if now.Sub(rival) >= rivalInterval {
			h.publish(h.subjects.Hub(), h.asRival())
			rival = now
		}
		select {
		case <-h.changed:
		case <-look.C:
			now = time.Now()
			h.lookAt(now, now.Sub(last) > wire.Silence/2)
			last = now
		case r := <-h.rivals:
			return &RivalError{h.config.Fleet, r.Address}
		case <-ctx.Done():
			return nil
		}
	}
}

// lookAt is what follows from the time that has passed. If the hub itself was suspended meanwhile, it has
// heard nobody, and nobody is gone for that.
func (h *Hub) lookAt(now time.Time, suspended bool) {
	type line struct{ name, news, reason string }
	var lines []line
	h.mu.Lock()
	for _, m := range h.machines {
		if suspended {
			m.mu.Lock()
			if m.state != Gone {
				m.lastSeen = now
			}
			m.mu.Unlock()
			continue
		}
		if news := h.look(m, now); news != "" {
			m.mu.Lock()
			lines = append(lines, line{m.name, news, m.reason})
			m.mu.Unlock()
		}
	}
	h.mu.Unlock()
	for _, l := range lines {
		attrs := []any{"machine", l.name}
		if l.reason != "" {
			attrs = append(attrs, "reason", l.reason)
		}
		h.config.Log.Warn(l.news, attrs...)
	}
}

// leave has all machines stop.
func (h *Hub) leave() {
	h.mu.Lock()
	h.ended = true
	for _, m := range h.machines {
		h.part(m)
	}
	h.mu.Unlock()
	h.publish(h.subjects.Beacon(), wire.Beacon{Hub: h.id, Upto: math.MaxUint64})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = h.conn.FlushWithContext(ctx) // or they stop by themselves
}

// publish sends a message. Without a connection it is lost, as are all others: what it said is said again.
func (h *Hub) publish(subject string, m wire.Message) {
	text, err := wire.Encode(m)
	if err == nil {
		err = h.conn.Publish(subject, text)
	}
	if err != nil {
		h.config.Log.Debug("a message was not sent", "subject", subject, "error", err)
	}
}

// answer answers a request.
func (h *Hub) answer(msg *nats.Msg, m wire.Message) {
	if msg.Reply != "" {
		h.publish(msg.Reply, m)
	}
}

// hearReport is what follows from a worker's report.
func (h *Hub) hearReport(msg *nats.Msg) {
	id, ok := h.subjects.Worker(msg.Subject)
	r, err := wire.Decode[wire.Report](msg.Data)
	if err != nil || !ok {
		h.config.Log.Debug("a report that is no use", "subject", msg.Subject, "error", err)
		return
	}
	if r.Hub != h.id { // of before the hub was restarted
		return
	}
	now := time.Now()
	h.mu.Lock()
	m := h.machines[id]
	if m == nil || h.ended {
		h.mu.Unlock()
		return
	}
	h.told(m, r.Leases)
	m.mu.Lock()
	m.resend(r.Leases, now)
	m.mu.Unlock()
	news := h.seen(m, r.State, now)
	m.mu.Lock()
	s := sample{now, m.hashes}
	m.short.add(s)
	m.long.add(s)
	reason := m.reason
	m.mu.Unlock()
	h.mu.Unlock()
	if news != "" {
		h.config.Log.Info(news, "machine", m.name, "reason", reason)
	}
}
