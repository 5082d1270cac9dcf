package fleet

import (
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

const (
	// maxWaiting is how many winners may wait for the hub. When there are more, the searches wait:
	// nothing is dropped.
	maxWaiting = 256
	// maxOffers is how many are offered at a time.
	maxOffers = 16
	// offerAgainAfter is after which time a winner is offered again of which the hub has said nothing.
	offerAgainAfter = 500 * time.Millisecond
)

// offer is a winner that the hub is to have.
type offer struct {
	wire.Found
	lease   *lease
	offered bool // the answer is waited for
}

// newOffer returns a winner of a lease.
func newOffer(l *lease, nonce u512.Uint) *offer {
	return &offer{Found: wire.Found{Hub: l.hub, Job: l.Job, Header: l.Header, Threshold: l.Threshold, Nonce: wire.Nonce(nonce)}, lease: l}
}

// searches counts the searches of which something may come yet.
type searches struct {
	sync.Mutex
	number int
}

func (s *searches) add(n int) {
	s.Lock()
	defer s.Unlock()
	s.number += n
}

// roomForWinners returns where winners come from: nil while so many wait that the searches have to.
func (r *running) roomForWinners() <-chan *offer {
	if len(r.waiting) >= maxWaiting {
		return nil
	}
	return r.found
}

// offer keeps a winner until the hub has it.
func (r *running) offer(o *offer) {
	r.log().Info("winner found", "job", o.lease.Name, "nonce", u512.Uint(o.Nonce).Hex())
	r.waiting = append(r.waiting, o)
	o.lease.owed++
	r.offerAgain()
}

// offerAgain offers those that wait, as many as may be at a time.
func (r *running) offerAgain() {
	if !r.welcomed {
		return
	}
	for _, o := range r.waiting[:min(len(r.waiting), maxOffers)] {
		if o.offered {
			continue
		}
		o.offered = true
		found := o.Found
		if found.Hub == r.hub {
			found.Leases = r.progress()
		}
		r.goroutines.Go(func() {
			var v wire.Verdict
			err := r.request(r.subjects.Found(r.id), found, &v)
			if err != nil {
				select {
				case <-time.After(offerAgainAfter):
				case <-r.ctx.Done():
				}
			}
			r.do(func() { r.judged(o, v, err) })
		})
	}
}

// judged is what follows from the hub's answer to an offer, or when there was none.
func (r *running) judged(o *offer, v wire.Verdict, err error) {
	o.offered = false
	if err != nil {
		r.log().Warn("a winner waits for the hub", "job", o.lease.Name, "nonce", u512.Uint(o.Nonce).Hex(), "reason", err)
		r.offerAgain()
		return
	}
	r.remove(o)
	o.lease.owed--
	attrs := []any{"job", o.lease.Name, "nonce", u512.Uint(o.Nonce).Hex()}
	switch v.Result {
	case wire.Taken:
		r.status.Winners.Taken++
		r.log().Info("the hub has the winner", attrs...)
	case wire.Known:
		r.status.Winners.Known++
		r.log().Info("the hub had the winner already", attrs...)
	case wire.Stale:
		r.status.Winners.Stale++
		r.log().Info("a winner came too late: its job is over", attrs...)
	case wire.Wrong:
		r.status.Winners.Wrong++
		r.log().Error("WRONG NONCE: the hub refuses a winner that was found valid here; the memory of one of the two machines may be at fault", attrs...)
		r.doubt()
	}
	if l := o.lease; l.over && l.owed == 0 && l.end == "" {
		l.end, l.done = wire.Exhausted, l.Size()
		delete(r.leases, l.Number)
		r.keep(l)
		r.report(r.state())
	}
	r.offerAgain()
}

// remove forgets a winner.
func (r *running) remove(o *offer) {
	for i, other := range r.waiting {
		if other == o {
			r.waiting = append(r.waiting[:i:i], r.waiting[i+1:]...)
			return
		}
	}
}

// lose tells of the winners for which there was no answer when the worker ended.
func (r *running) lose() {
	for _, o := range r.waiting {
		r.log().Error("a winner is lost: the worker ends, and the hub has not answered", "job", o.lease.Name, "nonce", u512.Uint(o.Nonce).Hex())
	}
	r.waiting = nil
}
