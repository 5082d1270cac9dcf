package fleet

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// maxEarly is how many orders wait for the answer to a hello.
const maxEarly = 8

// lease is what the hub wants searched, and the miner's job for it.
type lease struct {
	wire.Lease
	hub string
	job *mining.Job // nil if it could not begin

	done    uint64
	end     wire.End // empty while it goes on
	owed    int      // winners of which the hub has said nothing
	over    bool     // it was searched whole, and ends when the hub knows its winners
	tried   uint64
	failure string
}

// log is where the link tells how it stands.
func (r *running) log() *slog.Logger { return r.config.Log.With("hub", r.config.Hub) }

// searching reports whether something may still be found.
func (r *running) searching() bool {
	r.searches.Lock()
	defer r.searches.Unlock()
	return r.searches.number > 0
}

// state returns what the hub is told of the miner.
func (r *running) state() wire.State {
	if r.miner.Workers() == 0 || r.miner.Paused() {
		return wire.Unable
	}
	return wire.Able
}

// ordered is what follows from orders.
func (r *running) ordered(o wire.Orders) error {
	if !r.welcomed {
		if len(r.early) == maxEarly {
			r.early = r.early[1:]
		}
		r.early = append(r.early, o)
		return nil
	}
	if o.Hub != r.hub || r.refused != nil {
		return nil
	}
	r.heard = time.Now()
	out := func(l *lease) bool { return slices.Contains(o.Out, l.Number) }
	r.ended = slices.DeleteFunc(r.ended, func(l *lease) bool { return l.end != wire.Dropped && !out(l) })
	for _, l := range r.leases {
		if !out(l) {
			r.drop(l)
		}
	}
	// A lease may be sent in the moment in which its job ends.
	if o.Lease == nil || r.over(o.Lease.Job) || r.leases[o.Lease.Number] != nil || slices.ContainsFunc(r.ended, func(l *lease) bool { return l.Number == o.Lease.Number }) {
		return nil
	}
	return r.begin(*o.Lease)
}

// begin has a lease searched: after those that came before it.
func (r *running) begin(of wire.Lease) error {
	l := &lease{Lease: of, hub: r.hub}
	if of.PoW != r.config.PoW {
		r.fail(l, fmt.Errorf("its proof of work is %s, and this worker's %s", of.PoW, r.config.PoW))
		return nil
	}
	first := of.Job > r.latest
	if first {
		r.latest = of.Job
		r.status.Jobs++
	}
	r.named++
	request := mining.Request{
		ID: fmt.Sprintf("%s#%d", of.Name, r.named), Header: of.Header, Threshold: u512.Uint(of.Threshold),
		Range: engine.Range{Start: u512.Uint(of.Start), End: u512.Uint(of.End)}, GoOn: of.GoOn, InTurn: true,
	}
	if first {
		request.FirstNonce = r.FirstNonce
	}
	job, err := r.miner.Submit(request)
	switch {
	case errors.Is(err, mining.ErrNoEngine):
		return err
	case errors.Is(err, mining.ErrClosed): // and soon we are told to end
		return nil
	case err != nil:
		r.fail(l, err)
		return nil
	}
	if first {
		r.log().Info("new job", "job", of.Name, "number", of.Job)
	}
	l.job = job
	r.leases[l.Number] = l
	r.searches.add(1)
	r.goroutines.Go(func() { r.follow(l) })
	return nil
}

// fail notes that a lease cannot be searched.
func (r *running) fail(l *lease, why error) {
	l.end, l.failure = wire.Failed, wire.Tidy(why.Error(), wire.MaxText)
	r.log().Error("a lease cannot be searched", "job", l.Name, "reason", why)
	r.keep(l)
	r.report(r.state())
}

// keep keeps a lease that ended until the hub knows.
func (r *running) keep(l *lease) {
	if len(r.ended) == wire.MaxLeases/2 {
		r.ended = r.ended[1:]
	}
	r.ended = append(r.ended, l)
}

// follow hands on what a search finds, and that it ended. It is a goroutine of its own.
func (r *running) follow(l *lease) {
	defer r.searches.add(-1)
	hand := func(nonce u512.Uint) {
		select {
		case r.found <- newOffer(l, nonce):
		case <-r.ctx.Done():
		}
	}
	for {
		select {
		case w := <-l.job.Winners():
			hand(w.Nonce)
			continue
		case <-l.job.Done():
		}
		break
	}
	for more := true; more; {
		select {
		case w := <-l.job.Winners():
			hand(w.Nonce)
		default:
			more = false
		}
	}
	s := l.job.Snapshot()
	if s.Status == mining.Completed {
		hand(s.Nonce)
	}
	r.call(func() error { return r.concluded(l, s) })
}

// concluded is what follows from the end of a search.
func (r *running) concluded(l *lease, s mining.Snapshot) error {
	if l.end != "" { // it was dropped
		return nil
	}
	delete(r.leases, l.Number)
	l.tried = s.Evaluated
	switch {
	case s.Status == mining.Completed:
		l.end = wire.Won
	case errors.Is(s.Err, mining.ErrExhausted):
		// A job of which nothing is left ends, so the hub has to have its winners before.
		if l.over = l.owed > 0; l.over {
			r.leases[l.Number] = l
			return nil
		}
		l.end, l.done = wire.Exhausted, l.Size()
	case s.Status == mining.Cancelled: // by the miner, which is shutting down
		l.end = wire.Dropped
	case !r.miner.Working():
		return mining.ErrNoEngine
	default:
		r.fail(l, s.Err)
		return nil
	}
	r.keep(l)
	r.report(r.state())
	return nil
}

// drop ends the search of a lease. The hub is told by the next report what it came to.
func (r *running) drop(l *lease) {
	l.done = max(l.done, l.job.Covered())
	l.end = wire.Dropped
	r.miner.Cancel(l.job.ID())
	l.tried = l.job.Snapshot().Evaluated
	delete(r.leases, l.Number)
	r.keep(l)
}

// dropAll ends all searches.
func (r *running) dropAll() {
	for _, l := range r.leases {
		r.drop(l)
	}
}

// over reports whether a job is over, as the latest beacon of the hub has it.
func (r *running) over(job uint64) bool {
	return r.beacon.Hub == r.hub && job <= r.beacon.Upto && !slices.Contains(r.beacon.Jobs, job)
}

// progress returns how the leases stand.
func (r *running) progress() (leases []wire.Progress) {
	for _, l := range r.ended {
		leases = append(leases, wire.Progress{Number: l.Number, Done: l.done, Tried: l.tried, End: l.end, Error: l.failure})
	}
	for _, l := range r.leases {
		if len(leases) < wire.MaxLeases {
			l.done = max(l.done, min(l.job.Covered(), l.Size()))
			leases = append(leases, wire.Progress{Number: l.Number, Done: l.done, Tried: min(l.job.Snapshot().Evaluated, l.Size())})
		}
	}
	return leases
}

// report tells the hub how the leases stand. What was dropped is told once: if the hub does not hear that, it
// takes the lease for lost.
func (r *running) report(s wire.State) {
	if r.hub == "" || !r.connected {
		return
	}
	report := wire.Report{Hub: r.hub, State: s, Leases: r.progress()}
	text, err := wire.Encode(report)
	if err == nil {
		err = r.conn.Publish(r.subjects.Report(r.id), text)
	}
	if err != nil {
		r.log().Debug("a report was not sent", "error", err) // the next one says the same
		return
	}
	r.ended = slices.DeleteFunc(r.ended, func(l *lease) bool { return l.end == wire.Dropped })
}
