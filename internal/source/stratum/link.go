package stratum

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Pool is a pool that a miner may work for.
type Pool struct {
	// URL is what the pool is called in the log, Address its host:port. The host may be a name
	// or an IP address.
	URL, Address string
	// TLS is how to trust the pool, as [TLS] returns it, or nil for plain TCP.
	TLS *tls.Config
	// Login returns what the pool knows the miner by. It is asked before each connection, so
	// that what is in files may be renewed.
	Login func() (Login, error)
}

// Login is what a pool knows a miner by. The password is a secret.
type Login struct{ User, Password string }

// renewed says whether the login is another than the one that was of no use: somebody may have
// set it right after we had read it.
func (p Pool) renewed(used Login) bool {
	now, err := p.Login()
	return err != nil || now != used
}

// Link has a miner work for a pool. Its exported fields are to be set before Run.
type Link struct {
	// Settled, if not nil, is told what has become of each share. It must return at once.
	Settled func(Share)
	// FirstNonce, if not nil, is told how long each job took from its receipt to its first
	// nonces. A worker calls it, so it must return at once.
	FirstNonce func(time.Duration)
	// KeepAlive is the time between two signs of life for a pool that asks for them, or 0 for
	// none.
	KeepAlive time.Duration

	miner *mining.Miner
	pools []Pool
	agent string
	log   *slog.Logger
	dial  func(ctx context.Context, pool Pool) (net.Conn, error)

	mu     sync.Mutex
	status Status
}

// New returns a link between a miner and the pools that it may work for, of which there is
// at least one, in the order of preference. Agent is what they are told that the miner is. The
// miner is the link's alone; its limits must not refuse one job after another, or end a job
// that nobody asks about.
func New(miner *mining.Miner, pools []Pool, agent string, log *slog.Logger) *Link {
	return &Link{
		miner: miner, pools: pools, agent: agent, log: log, dial: dial, KeepAlive: 30 * time.Second,
		status: Status{Status: upstream.Status{Server: pools[0].URL, Since: time.Now()}},
	}
}

// Status returns how the link stands.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Run works for the pools until ctx is done, and returns nil then. Otherwise it returns a
// [PoolError] of the only pool, or [mining.ErrNoEngine]. All searches have ended by then.
func (l *Link) Run(ctx context.Context) error {
	// Connections outlast ctx: what the search has found by then is still to be sent.
	connections, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{Link: l, ctx: connections, strange: make(map[string]bool), advice: newAdvice(l.log)}
	urls := make([]string, len(l.pools))
	for i, pool := range l.pools {
		urls[i] = pool.URL
	}
	r.ranks = upstream.NewRanks(connections, urls, upstream.Handler[session]{Session: r.runSession, Lost: r.lost})
	r.search = upstream.NewSearch(l.miner, l.log, r.take)
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	// In reverse: the search ends, the peers are let go, and waited for.
	defer r.ranks.Wait()
	defer cancel()
	defer func() {
		r.search.Stop()
		r.send()
	}()
	r.ranks.Connect(0)
	for {
		var err error
		select {
		case call := <-r.ranks.Calls():
			err = call()
		case w := <-r.winners():
			r.take(w)
		case <-r.search.Ended():
			r.advice.searched(r.search.Evaluated())
			err = r.search.Conclude()
		case <-r.search.Again():
			err = r.searchWork(time.Now())
		case <-look.C:
			r.advice.look(r.search.Evaluated(), r.ranks.Standing(r.source).Server, r.source != nil)
		case <-ctx.Done():
			return nil
		}
		r.send()
		r.publish(err)
		if err != nil {
			return err
		}
	}
}

// running is a link that runs. It is its goroutine's own.
type running struct {
	*Link
	ctx   context.Context
	ranks *upstream.Ranks[session]

	source  *peer // whose job is searched, or nil
	work    *work // the job, or the last one that was
	search  *upstream.Search
	waiting []*share // that are to be sent to the source

	strange map[string]bool // notifications that were told of

	jobs    uint64
	counts  Counts
	judged  uint64        // shares that had an answer
	latency time.Duration // of the latest answer
	advice  *advice
}

// connected is what follows when a pool has accepted the login.
func (r *running) connected(p *peer) {
	r.log.Info("connected to the pool", "pool", p.Server)
}

// silent is what follows when a pool has had no job for a while.
func (r *running) silent(p *peer) error {
	if p.Session != nil && p.Session.work == nil {
		r.log.Info("the pool has no job", "pool", p.Server)
		r.ranks.Connect(p.Rank + 1)
	}
	return nil
}

// notifiedOf is what follows when a pool notifies of something that nobody knows: it is told of
// once, whatever the session.
func (r *running) notifiedOf(p *peer, name string) error {
	if !r.strange[name] && len(r.strange) < maxStrange {
		r.strange[name] = true
		r.log.Warn("the pool notifies of something that this miner does not know", "pool", p.Server, "method", name)
	}
	return nil
}

// noJob is what follows when a pool wants nothing searched any more.
func (r *running) noJob(p *peer) error {
	if r.source == p {
		r.stop("the pool has no job any more")
	}
	p.Session.work = nil
	return nil
}

// lost is what follows when there is no connection to a pool.
func (r *running) lost(p *peer, l upstream.Loss[session]) error {
	was := "cannot connect to the pool"
	if l.Session != nil {
		was = "connection to the pool lost"
		r.abandon(p, l.Session)
	}
	if r.source == p {
		r.stop("the connection is lost")
	}
	log := r.log.With("pool", p.Server)
	level, reason := slog.LevelWarn, l.Err
	if wrong, ok := errors.AsType[*PoolError](l.Err); ok {
		if len(r.pools) == 1 {
			log.Error("the miner ends", "reason", wrong.Err)
			return wrong
		}
		level, reason = slog.LevelError, wrong.Err // only the operator can help
	}
	log.Log(r.ctx, level, was, "reason", reason, "mining", r.source != nil, "next_try", time.Until(l.Retry).Round(time.Millisecond))
	r.ranks.Connect(p.Rank + 1)
	return nil
}

// stop ends the search, after which there is none. Shares that wait to be sent are dropped.
func (r *running) stop(why string) {
	r.advice.searched(r.search.Evaluated())
	r.search.Stop()
	r.advice.interrupted()
	r.drop(r.source, why)
	r.source = nil
}

// newWork is what follows when a pool wants something searched. The same as before goes on
// under the newest name. Pools that come after that one are let go.
func (r *running) newWork(p *peer, w work, received time.Time) error {
	s := p.Session
	if s.work != nil && s.work.puzzle == w.puzzle {
		*s.work = w // which is that of the shares that wait
		return nil
	}
	r.jobs++
	before, replaced := r.source, r.search.Name()
	r.advice.searched(r.search.Evaluated())
	r.search.Stop() // whose last winners are of the work before
	if before == p {
		r.replace(p, &w)
	} else {
		r.drop(before, "another pool has a job")
		level := slog.LevelInfo
		if len(r.pools) == 1 {
			level = slog.LevelDebug // which other?
		}
		r.log.Log(r.ctx, level, "working for the pool", "pool", p.Server, "rank", p.Rank+1, "of", len(r.pools))
	}
	s.work, r.work, r.source = &w, &w, p
	for _, gone := range r.ranks.DropBehind(p.Rank) {
		if gone.Session != nil {
			r.abandon(gone, gone.Session)
		}
	}
	err := r.searchWork(received)
	told := []any{"pool", p.Server, "job", r.search.Name(), "difficulty", w.difficulty}
	if replaced != "" {
		told = append(told, "replaces", replaced)
	}
	r.log.Info("new job", told...)
	return err
}

// searchWork has the source's work searched, which was asked for at a certain time. The search
// begins at a random nonce of 2^480, so no nonce is tried twice though the same work may have
// been searched before, for another target.
func (r *running) searchWork(asked time.Time) error {
	w := r.work
	r.advice.begin(w.difficulty)
	return r.search.Begin(mining.Request{
		ID:         w.id.text,
		Header:     w.hash,
		Threshold:  u512.From64(w.difficulty),
		Prefix:     w.extranonce[:],
		Received:   asked,
		FirstNonce: r.FirstNonce,
	})
}

// publish makes the present state known.
func (r *running) publish(err error) {
	s := Status{Status: r.ranks.Standing(r.source), Shares: r.counts, Latency: r.latency}
	s.Jobs = r.jobs
	if r.source != nil {
		s.Difficulty = r.work.difficulty
	}
	wrong, isWrong := errors.AsType[*PoolError](err)
	if _, refused := errors.AsType[*RefusedError](err); isWrong && refused {
		s.State, s.Server = upstream.Refused, wrong.Pool
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Status = s.After(r.status.Status)
	r.status = s
}
