package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// The delay before a connection is tried again doubles from the least to the most. It is
// the least again after a session with a job. Each delay is longer or shorter by up to
// a fifth, so that the miners of a server that was restarted do not come at once.
const (
	minRetryDelay = time.Second
	maxRetryDelay = 30 * time.Second
	jitter        = 0.2
)

// Ranks are servers in the order of preference, and the connections to those of them that
// are turned to. They belong to one goroutine, their owner, which receives from Calls.
// S is what it knows of a session.
type Ranks[S any] struct {
	servers []string
	handler Handler[S]

	ctx        context.Context
	calls      chan func() error
	peers      []*Peer[S] // for each server, nil if no connection to it is kept up
	goroutines sync.WaitGroup

	connections, failures uint64
}

// Handler is what becomes of the servers.
type Handler[S any] struct {
	// Session connects to a server, tells of it by [Peer.Connected], and returns when the
	// session is over, or ctx is done. It reports whether there was a job, and why the
	// session ended. A goroutine of the peer's own calls it.
	Session func(ctx context.Context, p *Peer[S]) (hadJob bool, err error)
	// Lost draws the consequences of the end of a session, or of an attempt that failed. It
	// is called by the owner's goroutine, and its error is for the owner.
	Lost func(p *Peer[S], l Loss[S]) error
}

// Loss is why there is no connection.
type Loss[S any] struct {
	Err     error
	Retry   time.Time // when a connection is tried again
	Session *S        // the one that is over, or nil if there was none
}

// Peer is a server to which a connection is kept up. Its fields are the owner's.
type Peer[S any] struct {
	// Server is its name, and Rank its place in the order of preference, from 0.
	Server string
	Rank   int
	// Session is the present one, nil while there is no connection.
	Session *S
	// Reason is why there is none, and Retry when one is tried.
	Reason error
	Retry  time.Time

	ranks  *Ranks[S]
	cancel context.CancelFunc
}

// NewRanks returns servers to none of which there is a connection yet. Connections end with ctx.
func NewRanks[S any](ctx context.Context, servers []string, h Handler[S]) *Ranks[S] {
	return &Ranks[S]{servers: servers, handler: h, ctx: ctx, calls: make(chan func() error), peers: make([]*Peer[S], len(servers))}
}

// Calls returns the channel of what the owner is to call, one after the other.
func (r *Ranks[S]) Calls() <-chan func() error { return r.calls }

// Wait waits for all connections to be closed, once ctx is done.
func (r *Ranks[S]) Wait() { r.goroutines.Wait() }

// Connect begins to keep up a connection to a server, if there is one of that rank.
func (r *Ranks[S]) Connect(rank int) {
	if rank == len(r.servers) || r.peers[rank] != nil {
		return
	}
	ctx, cancel := context.WithCancel(r.ctx)
	p := &Peer[S]{Server: r.servers[rank], Rank: rank, ranks: r, cancel: cancel}
	r.peers[rank] = p
	r.goroutines.Go(func() { p.run(ctx) })
}

// DropBehind ends the connections to the servers that come after one, and returns them.
func (r *Ranks[S]) DropBehind(rank int) (gone []*Peer[S]) {
	for i := rank + 1; i < len(r.peers); i++ {
		if p := r.peers[i]; p != nil {
			p.cancel()
			r.peers[i] = nil
			gone = append(gone, p)
		}
	}
	return gone
}

// Standing returns how the servers stand: that of source, whose job is searched, or the
// first that is connected, or the first of all. The counts of jobs are the owner's to add.
func (r *Ranks[S]) Standing(source *Peer[S]) Status {
	s := Status{Server: r.servers[0], Connections: r.connections, Failures: r.failures}
	if first := r.peers[0]; first != nil {
		s.Reason, s.Retry = first.Reason, first.Retry
	}
	about := func(p *Peer[S], state State) {
		s.State, s.Server, s.Fallback, s.Reason, s.Retry = state, p.Server, p.Rank > 0, nil, time.Time{}
	}
	for _, p := range r.peers {
		if p != nil && p.Session != nil && s.State == NotConnected {
			about(p, Waiting)
		}
	}
	if source != nil {
		about(source, Working)
	}
	return s
}

// run keeps up a connection to the server until ctx is done.
func (p *Peer[S]) run(ctx context.Context) {
	delay := minRetryDelay
	for {
		hadJob, err := p.ranks.handler.Session(ctx, p)
		if hadJob {
			delay = minRetryDelay
		}
		wait := time.Duration(float64(delay) * (1 - jitter + 2*jitter*rand.Float64()))
		delay = min(2*delay, maxRetryDelay)
		if errors.Is(err, ErrSuspended) { // which says nothing about the server
			wait = 0
		}
		loss := Loss[S]{Err: err, Retry: time.Now().Add(wait)}
		p.Call(ctx, func() error {
			loss.Session = p.Session
			p.Session, p.Reason, p.Retry = nil, loss.Err, loss.Retry
			p.ranks.failures++
			return p.ranks.handler.Lost(p, loss)
		})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// Call has the owner call a function, unless it has let the peer go.
func (p *Peer[S]) Call(ctx context.Context, f func() error) {
	guarded := func() error {
		if p.ranks.peers[p.Rank] != p {
			return nil
		}
		return f()
	}
	select {
	case p.ranks.calls <- guarded:
	case <-ctx.Done():
	}
}

// Connected has the owner know a new session, and then call a function.
func (p *Peer[S]) Connected(ctx context.Context, s *S, then func()) {
	p.Call(ctx, func() error {
		p.Session, p.Reason, p.Retry = s, nil, time.Time{}
		p.ranks.connections++
		then()
		return nil
	})
}
