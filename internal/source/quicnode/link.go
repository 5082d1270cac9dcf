package quicnode

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Node is a node that a miner may work for.
type Node struct {
	// Address is its host:port. The host may be a name or an IP address.
	Address string
	// Credentials returns what the two know each other by. It is asked before each
	// connection, so that what is in files may be renewed.
	Credentials func() (Credentials, error)
}

// Credentials are what a node and its miners know each other by.
type Credentials struct {
	// Token is the miner's, as [wire.ParseToken] returns it. It is a secret.
	Token string
	// Pin is the fingerprint of the node's certificate.
	Pin wire.Fingerprint
}

// Link has a miner work for a node.
type Link struct {
	// Sent, if not nil, is told how long each winner of a mining job took from being found to its
	// frame being written. It must return at once, and is to be set before Run.
	Sent func(job string, nonce u512.Uint, after time.Duration)
	// FirstNonce, if not nil, is told how long each job took from its receipt to its
	// first nonces. A worker calls it, so it must return at once, and it is to be set
	// before Run.
	FirstNonce func(time.Duration)

	miner *mining.Miner
	nodes []Node
	log   *slog.Logger
	dial  func(ctx context.Context, address string, pin wire.Fingerprint) (conn, error)

	mu     sync.Mutex
	status Status
}

// New returns a link between a miner and the nodes that it may work for, of which there
// is at least one, in the order of preference. The miner is the link's alone; its
// limits must not refuse one job after another, or end a job that nobody asks about.
func New(miner *mining.Miner, nodes []Node, log *slog.Logger) *Link {
	dialer := dialer{lookup: net.DefaultResolver.LookupNetIP}
	return &Link{miner: miner, nodes: nodes, log: log, dial: dialer.dial, status: Status{Node: nodes[0].Address, Since: time.Now()}}
}

// Status returns how the link stands.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Run works for the nodes until ctx is done, and returns nil then. Otherwise it returns
// a [NodeError], or [mining.ErrNoEngine]. All searches have ended by then.
func (l *Link) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{
		Link:   l,
		ctx:    ctx,
		events: make(chan event),
		peers:  make([]*peer, len(l.nodes)),
		worked: make([]bool, len(l.nodes)),
		again:  time.NewTimer(time.Hour),

		results: newResults(),
	}
	r.again.Stop()
	// In reverse: the search ends, the peers are let go, and waited for.
	defer r.goroutines.Wait()
	defer cancel()
	defer r.stop()
	r.turnTo(0)
	for {
		var err error
		write, next := r.results.first()
		select {
		case e := <-r.events:
			err = r.handle(e)
		case w := <-r.winners():
			r.take(w)
		case write <- next:
			r.results.done()
		case <-r.results.due.C: // the next may be written now
		case <-r.ended():
			err = r.conclude()
		case <-r.again.C:
			err = r.searchAnywhere(time.Now())
		case <-ctx.Done():
			return nil
		}
		r.publish(err)
		if err != nil {
			return err
		}
	}
}

// running is a link that runs. It is its goroutine's own.
type running struct {
	*Link
	ctx        context.Context
	goroutines sync.WaitGroup
	events     chan event
	peers      []*peer // for each node, nil if it is not turned to
	counts     Status  // of which the counters are kept
	worked     []bool  // for each node, whether it has had a job

	source *peer // that the present job is of, or nil
	search search
	again  *time.Timer // runs until the present job is searched once more

	results results
}

// turnTo begins to keep up a connection to a node, if there is one of that rank.
func (r *running) turnTo(rank int) {
	if rank == len(r.nodes) || r.peers[rank] != nil {
		return
	}
	ctx, letGo := context.WithCancel(r.ctx)
	p := &peer{node: r.nodes[rank], rank: rank, letGo: letGo, dial: r.dial, events: r.events}
	r.peers[rank] = p
	r.goroutines.Go(func() { p.run(ctx) })
}

// handle draws the consequences of an event.
func (r *running) handle(e event) error {
	p := e.peer
	if r.peers[p.rank] != p {
		return nil // it has been let go
	}
	log := r.log.With("node", p.node.Address)
	switch e.kind {
	case connected:
		p.session, p.reason, p.retry = e.session, nil, time.Time{}
		r.counts.Connections++
		log.Info("connected to the node")
	case newJob:
		if p.job != nil && *p.job == e.job {
			return nil // it goes on
		}
		r.counts.Jobs++
		return r.begin(p, e.job, e.received)
	case silent:
		if p.job == nil {
			log.Info("waiting for the first job: the node may be syncing")
			r.turnTo(p.rank + 1)
		}
	case sent:
		r.counts.Results++
		if r.Sent != nil {
			r.Sent(e.sent.search, e.sent.message.Nonce, e.after)
		}
		log.Info("result sent", "job", e.sent.search, "nonce", e.sent.message.Nonce.Hex(), "after", e.after.Round(time.Microsecond), "found", r.counts.Results)
	case lost:
		return r.lose(p, e, log)
	}
	return nil
}

// lose is what follows when there is no connection to a node: what it wanted searched
// is of no use any more, as it may call another job by the same name when it is back.
func (r *running) lose(p *peer, e event, log *slog.Logger) error {
	was := "cannot connect to the node"
	if p.session != nil {
		was = "connection lost"
	}
	r.counts.Failures++
	r.results.drop(p, r.log)
	p.session, p.reason, p.retry = nil, e.err, e.retry
	if r.source == p {
		r.stop()
	}
	p.job = nil
	level := slog.LevelWarn
	if wrong, ok := errors.AsType[*NodeError](e.err); ok {
		if !r.alternative(p) {
			log.Error("the miner ends", "reason", wrong.Err)
			return wrong
		}
		level = slog.LevelError // only the operator can help
	}
	log.Log(r.ctx, level, was, "reason", e.err, "mining", r.source != nil, "next_try", time.Until(e.retry).Round(time.Millisecond))
	r.turnTo(p.rank + 1)
	return nil
}

// alternative reports whether another node than p's has had a job. Then it may have one
// again, though it has none at the moment: a miner with a fallback is not to end because
// that is restarted, say.
func (r *running) alternative(p *peer) bool {
	for rank, worked := range r.worked {
		if worked && rank != p.rank {
			return true
		}
	}
	return false
}

// begin has the miner search a peer's job in place of whatever it searches now. Nodes
// that come after that one are let go.
func (r *running) begin(p *peer, job wire.NewJob, received time.Time) error {
	before, replaced := r.source, r.search.name
	r.stop()
	if before != p {
		level := slog.LevelInfo
		if len(r.nodes) == 1 {
			level = slog.LevelDebug // which other?
		}
		r.log.Log(r.ctx, level, "working for the node", "node", p.node.Address, "rank", p.rank+1, "of", len(r.nodes))
	}
	p.job, r.source, r.worked[p.rank] = &job, p, true
	for rank, other := range r.peers {
		if rank > p.rank && other != nil {
			other.letGo()
			r.peers[rank] = nil
		}
	}
	err := r.searchAnywhere(received)
	told := []any{"job", r.search.name, "difficulty", job.Difficulty.String()}
	if replaced != "" {
		told = append(told, "replaces", replaced)
	}
	r.log.Info("new job", told...)
	return err
}

// publish makes the present state known.
func (r *running) publish(err error) {
	s := r.counts
	first := r.peers[0] // of which there always is one
	s.Node, s.Reason, s.Retry = first.node.Address, first.reason, first.retry
	about := func(p *peer, state State) {
		s.State, s.Node, s.Fallback, s.Reason, s.Retry = state, p.node.Address, p.rank > 0, nil, time.Time{}
	}
	for _, p := range r.peers {
		if p != nil && p.session != nil && s.State == NotConnected {
			about(p, Waiting)
		}
	}
	if r.source != nil {
		about(r.source, Working)
	}
	if wrong, ok := errors.AsType[*NodeError](err); ok && errors.Is(err, ErrTokenRefused) {
		s.State, s.Node = Refused, wrong.Node
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	s.Since = r.status.Since
	if s.State != r.status.State || s.Node != r.status.Node {
		s.Since = time.Now()
	}
	r.status = s
}
