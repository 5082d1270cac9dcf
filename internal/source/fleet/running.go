package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

// farewellTime is for how long the last winners are offered when the worker ends.
const farewellTime = time.Second

// Run works for the hub until ctx is done, and returns nil then. Otherwise it returns a [RefusedError],
// what [Config].Fatal says that it is, [mining.ErrNoEngine], or what is wrong with the connection's options. All
// searches have ended by then.
func (l *Link) Run(ctx context.Context) error {
	// The connection outlasts ctx: what the search has found by then is still to be offered.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{
		Link: l, ctx: own, calls: make(chan func() error), found: make(chan *offer),
		leases: make(map[uint64]*lease), status: l.Status(),
	}
	conn, err := l.config.Dial(l.id, r.options()...)
	if err != nil {
		cancel()
		return fmt.Errorf("connecting to the hub %s: %w", l.config.Hub, err)
	}
	r.conn = conn
	// In reverse: the searches end, the last winners are offered, the goroutines are let go, and
	// the connection is closed.
	defer r.closeConnection()
	defer r.goroutines.Wait()
	defer cancel()
	defer r.farewell()
	if err := r.subscribe(); err != nil {
		return err
	}
	r.goroutines.Go(r.watchSuspension)
	return r.loop(ctx)
}

// loop is the life of the goroutine that owns the state.
func (r *running) loop(ctx context.Context) error {
	tick := time.NewTicker(wire.ReportInterval)
	defer tick.Stop()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for {
		var err error
		select {
		case call := <-r.calls:
			err = call()
		case o := <-r.roomForWinners():
			r.offer(o)
		case <-tick.C:
			r.report(r.state())
		case <-look.C:
			r.look(time.Now())
		case <-ctx.Done():
			return nil
		}
		r.publish()
		if err != nil {
			return err
		}
	}
}

// running is a link that runs. It is its goroutine's own, but for what is said to be otherwise.
type running struct {
	*Link
	ctx        context.Context
	conn       *nats.Conn
	calls      chan func() error // what the goroutine is to call
	goroutines sync.WaitGroup

	connected bool
	hub       string    // the hub's id, empty before it was met
	welcomed  bool      // the hub has answered since the connection was made, or since it was doubted
	asking    bool      // it is being asked
	asked     time.Time // when it was
	asks      uint64    // how often
	heard     time.Time // of the hub, at last
	refused   error     // why the hub refuses this machine
	early     []wire.Orders
	beacon    wire.Beacon // the latest

	leases map[uint64]*lease // that are searched
	ended  []*lease          // of which the hub may not know yet
	named  uint64            // jobs of the miner's that there were
	latest uint64            // the hub's number of the latest job

	found    chan *offer // what searches find
	searches searches    // is anybody's
	waiting  []*offer    // in the order in which they were found

	status Status // is published by publish
}

// call has the goroutine call a function. It may be called by any other.
func (r *running) call(f func() error) {
	select {
	case r.calls <- f:
	case <-r.ctx.Done():
	}
}

// do is call for functions that do not fail.
func (r *running) do(f func()) {
	r.call(func() error { f(); return nil })
}

// publish makes the present state known.
func (r *running) publish() {
	s := &r.status
	s.Leases, s.Waiting = len(r.leases), len(r.waiting)
	switch {
	case r.refused != nil:
		s.State, s.Reason = upstream.Refused, r.refused
	case !r.welcomed:
		s.State = upstream.NotConnected
	case len(r.leases) > 0:
		s.State, s.Reason = upstream.Working, nil
	default:
		s.State, s.Reason = upstream.Waiting, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Status = s.Status.After(r.Link.status.Status)
	r.Link.status = *s
}

// farewell ends all searches and tells the hub, which need not wait for the silence then.
func (r *running) farewell() {
	r.dropAll()
	r.report(wire.Leaving)
	timeout := time.NewTimer(farewellTime)
	defer timeout.Stop()
	// Searches may have found something before they ended.
	for r.searching() || len(r.waiting) > 0 && r.welcomed {
		select {
		case call := <-r.calls:
			_ = call() // we end anyway
		case o := <-r.found:
			r.offer(o)
		case <-timeout.C:
			r.lose()
			return
		}
	}
	r.lose()
	r.publish()
}
