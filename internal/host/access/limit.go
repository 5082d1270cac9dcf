package access

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// Bounds on how fast secrets can be guessed, and on what guessing costs.
const (
	// A network may be wrong so many times in a row, and once more each interval.
	burst    = 10
	interval = 6 * time.Second
	// maxNetworks is how many networks are kept apart.
	maxNetworks = 4096
	// logInterval is the least time between two lines in the log about one network.
	logInterval = time.Minute
	// maxWaiting is how many requests may wait for a check of their password. At
	// the highest cost they take a second each, and a server waits 10 s to answer.
	maxWaiting = 4
)

// bucket holds up to burst permits, and gets one more each interval. The zero
// value is full.
type bucket struct {
	full time.Time // when it will be full
}

// take takes a permit, or returns how long it takes until there is one.
func (b *bucket) take(now time.Time) (wait time.Duration) {
	full := now
	if b.full.After(now) {
		full = b.full
	}
	full = full.Add(interval)
	if wait = full.Sub(now) - burst*interval; wait > 0 {
		return wait
	}
	b.full = full
	return 0
}

// giveBack puts a permit back that was taken.
func (b *bucket) giveBack() { b.full = b.full.Add(-interval) }

// network returns the network of a remote address: an address of IPv4; 64 bits of
// one of IPv6, as a host that has one of these has them all. What is no address of
// either kind, such as a Unix socket's, is of the zero network.
func network(remote string) netip.Prefix {
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := address.Addr().Unmap(), 64
	if ip.Is4() {
		bits = 32
	}
	prefix, _ := ip.Prefix(bits) // fails for bits that the address does not have
	return prefix
}

// record is what is known about a network whose requests were refused.
type record struct {
	bucket
	logged   time.Time // when there was a line about it
	unlogged int       // requests that were refused since
}

// records are those of all networks.
type records struct {
	mu        sync.Mutex
	byNetwork map[netip.Prefix]*record
	// lines bounds the lines in the log about all networks together: addresses of
	// IPv6 are free.
	lines bucket
}

// take takes a network's permit for a guess, or returns how long the network has
// to wait.
func (r *records) take(n netip.Prefix) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	return r.of(n, now).take(now)
}

// giveBack gives a network a permit back, as its guess was right or did not come to
// be checked.
func (r *records) giveBack(n netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if record := r.byNetwork[n]; record != nil {
		record.giveBack()
	}
}

// refused notes that a request was refused. If it is time for a line in the log, it
// returns how many have been since the last.
func (r *records) refused(n netip.Prefix) (count int, line bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	record := r.of(n, now)
	record.unlogged++
	if now.Sub(record.logged) < logInterval || r.lines.take(now) > 0 {
		return 0, false
	}
	count = record.unlogged
	record.logged, record.unlogged = now, 0
	return count, true
}

// of returns the record of a network; mu is held.
func (r *records) of(n netip.Prefix, now time.Time) *record {
	if record := r.byNetwork[n]; record != nil {
		return record
	}
	if len(r.byNetwork) >= maxNetworks {
		r.makeRoom(now)
	}
	if r.byNetwork == nil {
		r.byNetwork = make(map[netip.Prefix]*record)
	}
	record := new(record)
	r.byNetwork[n] = record
	return record
}

// makeRoom drops the records that make no difference any more, and if there are
// none, the one of the network that is the least to blame.
func (r *records) makeRoom(now time.Time) {
	var least netip.Prefix
	for n, record := range r.byNetwork {
		if !record.full.After(now) && now.Sub(record.logged) >= logInterval {
			delete(r.byNetwork, n)
		} else if held := r.byNetwork[least]; held == nil || record.full.Before(held.full) {
			least = n
		}
	}
	if len(r.byNetwork) >= maxNetworks {
		delete(r.byNetwork, least)
	}
}

// errBusy says that a password could not be checked, and not whether it is right.
var errBusy = errors.New("too many passwords are being checked")

// gate lets checks of passwords pass one at a time, so that guessing takes no more
// than one core from mining.
type gate struct {
	inside  chan struct{} // of 1: a check
	waiting chan struct{} // of those that wait, and the one inside
}

// newGate returns an open gate.
func newGate() gate {
	return gate{make(chan struct{}, 1), make(chan struct{}, 1+maxWaiting)}
}

// enter waits to be let in, as long as the context allows. It returns errBusy if
// that fails, or at once if too many wait already.
func (g gate) enter(ctx context.Context) error {
	select {
	case g.waiting <- struct{}{}:
	default:
		return errBusy
	}
	select {
	case g.inside <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-g.waiting
		return errBusy
	}
}

// leave lets the next one in.
func (g gate) leave() {
	<-g.inside
	<-g.waiting
}
