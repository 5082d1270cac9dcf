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
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
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
	return &Link{miner: miner, nodes: nodes, log: log, dial: dialer.dial, status: Status{Status: upstream.Status{Server: nodes[0].Address, Since: time.Now()}}}
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
	// Connections outlast ctx: what the search has found by then is still to be written.
	connections, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := newRunning(connections, l)
	// In reverse: the search ends, the peers are let go, and waited for.
	defer r.ranks.Wait()
	defer cancel()
	defer r.stop()
	r.ranks.Connect(0)
	for {
		var err error
		write, next := r.results.first()
		select {
		case call := <-r.ranks.Calls():
			err = call()
		case w := <-r.winners():
			r.take(w)
		case write <- next:
			r.results.done()
		case <-r.results.due.C: // the next may be written now
		case <-r.search.Ended():
			err = r.search.Conclude()
		case <-r.search.Again():
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
	ctx           context.Context
	ranks         *upstream.Ranks[session]
	jobs, written uint64 // counts of jobs and results
	worked        []bool // for each node, whether it has had a job

	source *peer       // that the present job is of, or nil
	job    wire.NewJob // the present one, or the last
	search *upstream.Search
	told   told

	results results
}

// newRunning returns a link as it begins to run.
func newRunning(ctx context.Context, l *Link) *running {
	r := &running{Link: l, ctx: ctx, worked: make([]bool, len(l.nodes)), results: newResults()}
	addresses := make([]string, len(l.nodes))
	for i, node := range l.nodes {
		addresses[i] = node.Address
	}
	r.ranks = upstream.NewRanks(ctx, addresses, upstream.Handler[session]{Session: r.runSession, Lost: r.lost})
	r.search = upstream.NewSearch(l.miner, l.log, r.take)
	return r
}

// newJob is what follows when a node wants something searched.
func (r *running) newJob(p *peer, job wire.NewJob, received time.Time) error {
	if last := p.Session.job; last != nil && *last == job {
		return nil // it goes on
	}
	r.jobs++
	return r.begin(p, job, received)
}

// silent is what follows when a node has had no job for a while.
func (r *running) silent(p *peer) error {
	if p.Session != nil && p.Session.job == nil {
		r.log.Info("waiting for the first job: the node may be syncing", "node", p.Server)
		r.ranks.Connect(p.Rank + 1)
	}
	return nil
}

// sent is what follows when a result was written, so long after its winner was found.
func (r *running) sent(p *peer, sent result, after time.Duration) error {
	r.written++
	if r.Sent != nil {
		r.Sent(sent.search, sent.message.Nonce, after)
	}
	r.log.Info("result sent", "node", p.Server, "job", sent.search, "nonce", sent.message.Nonce.Hex(), "after", after.Round(time.Microsecond), "found", r.written)
	return nil
}

// lost is what follows when there is no connection to a node: what it wanted searched
// is of no use any more, as it may call another job by the same name when it is back.
func (r *running) lost(p *peer, l upstream.Loss[session]) error {
	was := "cannot connect to the node"
	if l.Session != nil {
		was = "connection lost"
	}
	r.results.drop(p, r.log)
	if r.source == p {
		r.stop()
	}
	log := r.log.With("node", p.Server)
	level := slog.LevelWarn
	if wrong, ok := errors.AsType[*NodeError](l.Err); ok {
		if !r.alternative(p) {
			log.Error("the miner ends", "reason", wrong.Err)
			return wrong
		}
		level = slog.LevelError // only the operator can help
	}
	log.Log(r.ctx, level, was, "reason", l.Err, "mining", r.source != nil, "next_try", max(0, time.Until(l.Retry).Round(time.Millisecond)))
	r.ranks.Connect(p.Rank + 1)
	return nil
}

// alternative reports whether another node than p's has had a job. Then it may have one
// again, though it has none at the moment: a miner with a fallback is not to end because
// that is restarted, say.
func (r *running) alternative(p *peer) bool {
	for rank, worked := range r.worked {
		if worked && rank != p.Rank {
			return true
		}
	}
	return false
}

// begin has the miner search a peer's job in place of whatever it searches now. Nodes
// that come after that one are let go.
func (r *running) begin(p *peer, job wire.NewJob, received time.Time) error {
	before, replaced := r.source, r.search.Name()
	r.stop()
	if before != p {
		level := slog.LevelInfo
		if len(r.nodes) == 1 {
			level = slog.LevelDebug // which other?
		}
		r.log.Log(r.ctx, level, "working for the node", "node", p.Server, "rank", p.Rank+1, "of", len(r.nodes))
	}
	p.Session.job, r.job, r.source, r.worked[p.Rank] = &job, job, p, true
	r.ranks.DropBehind(p.Rank)
	err := r.searchAnywhere(received)
	told := []any{"job", r.search.Name(), "difficulty", job.Difficulty.String()}
	if replaced != "" {
		told = append(told, "replaces", replaced)
	}
	r.log.Info("new job", told...)
	return err
}

// publish makes the present state known.
func (r *running) publish(err error) {
	s := Status{Status: r.ranks.Standing(r.source), Results: r.written}
	s.Jobs = r.jobs
	if wrong, ok := errors.AsType[*NodeError](err); ok && errors.Is(err, ErrTokenRefused) {
		s.State, s.Server = Refused, wrong.Node
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Status = s.After(r.status.Status)
	r.status = s
}
