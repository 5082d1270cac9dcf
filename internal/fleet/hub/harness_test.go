package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/logtest"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// A fleet of these tests is a NATS server, a hub and workers in one process, most of them within a bubble
// of testing/synctest: seconds of silence pass at once.

// bubble runs a test in a bubble.
func bubble(t *testing.T, test func(t *testing.T)) {
	// nats.go has a pool of timers, and those of another bubble must not be used in this one: two
	// collections empty it.
	runtime.GC()
	runtime.GC()
	synctest.Test(t, test)
}

// broker is a NATS server.
type broker struct {
	*server.Server
	stop func()
}

// newBroker starts a NATS server that listens nowhere.
func newBroker(t testing.TB) broker {
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, MaxPayload: wire.MaxMessage})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return broker{s, sync.OnceFunc(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})}
}

// rig is a hub and its miner.
type rig struct {
	t      testing.TB
	broker broker
	log    *logtest.Buffer
	logger *slog.Logger
	rule   *book
	miner  *mining.Miner
	hub    *hub.Hub
	kill   context.CancelFunc
	done   chan error
	ended  chan struct{}
}

// newRig starts a hub without crews of its own.
func newRig(t testing.TB, b broker, rule *book, crews ...*mining.Crew) *rig {
	out := new(logtest.Buffer)
	r := &rig{
		t: t, broker: b, log: out, logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
		rule: rule, done: make(chan error, 1), ended: make(chan struct{}),
	}
	r.miner = mining.New(r.logger, crews...)
	conn, err := nats.Connect("", nats.InProcessServer(b), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	r.hub, err = hub.New(conn, r.miner, hub.Config{Fleet: "test", PoW: "test", Reference: &steady{book: rule}, Address: "192.0.2.1:9835", Log: r.logger})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.kill = cancel
	var work sync.WaitGroup
	work.Go(func() { r.miner.Run(ctx) })
	work.Go(func() { r.done <- r.hub.Run(ctx) })
	go func() {
		work.Wait()
		conn.Close()
		close(r.ended)
	}()
	return r
}

// end ends the hub and waits for that.
func (r *rig) end() {
	r.kill()
	<-r.ended
}

// submit submits a job to the hub's miner.
func (r *rig) submit(of mining.Request) *mining.Job {
	r.t.Helper()
	j, err := r.miner.Submit(of)
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

// machine returns what the hub knows of a machine.
func (r *rig) machine(name string) hub.Machine {
	for _, m := range r.hub.Overview().Machines {
		if m.Name == name {
			return m
		}
	}
	return hub.Machine{}
}

// await waits until something is so, and fails the test if it is not after a while, which in a
// bubble passes at once.
func await(t testing.TB, what string, within time.Duration, is func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !is(); {
		if time.Now().After(end) {
			t.Fatalf("waited %s for: %s", within, what)
		}
		<-time.After(time.Millisecond)
	}
}

// over waits for the end of a job, which has to come.
func (r *rig) over(j *mining.Job) mining.Snapshot {
	r.t.Helper()
	select {
	case <-j.Done():
	case <-time.After(24 * time.Hour):
		r.t.Errorf("the job does not end: %+v, machines %+v\n%s", j.Snapshot(), r.hub.Overview(), r.log)
		r.miner.Cancel(j.ID())
	}
	return j.Snapshot()
}

// worker is a worker of a fleet.
type worker struct {
	rig   *rig
	log   *logtest.Buffer
	line  *line
	miner *mining.Miner
	link  *fleet.Link
	stop  context.CancelFunc
	done  chan struct{}
	err   error
}

// work starts a worker.
func (r *rig) work(name string, engines ...*steady) *worker {
	w := &worker{rig: r, log: new(logtest.Buffer), line: &line{to: r.broker}, done: make(chan struct{})}
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.miner = mining.New(logger)
	w.miner.Limits.Over = 16
	for i, e := range engines {
		c := &mining.Crew{Engine: e, Workers: max(e.threads, 1)}
		if i > 0 {
			c.Name = fmt.Sprint("gpu", i-1)
		}
		w.miner.Add(c)
	}
	subjects, err := wire.NewSubjects("test")
	if err != nil {
		r.t.Fatal(err)
	}
	dial := func(id string, options ...nats.Option) (*nats.Conn, error) {
		return nats.Connect("", append(options, nats.InProcessServer(w.line), nats.CustomInboxPrefix(subjects.Inbox(id)), nats.Timeout(2*time.Second))...)
	}
	w.link, err = fleet.New(w.miner, fleet.Config{Fleet: "test", Hub: "192.0.2.1:9835", Dial: dial, Name: name, Version: "1.2.3", PoW: "test", Log: logger})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	mine, endMine := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { w.miner.Run(mine) })
	go func() {
		defer close(w.done)
		w.err = w.link.Run(ctx)
		endMine()
		work.Wait()
	}()
	return w
}

// leave has the worker end as it should, and waits for that.
func (w *worker) leave() {
	w.stop()
	<-w.done
	w.line.cut()
}

// die has the worker end without a word.
func (w *worker) die() {
	w.line.cut()
	w.leave()
}

// line is the way from a worker to the server, which may be cut.
type line struct {
	to broker

	mu    sync.Mutex
	isCut bool
	conns []*lineConn
}

var errCut = errors.New("the line is cut")

// InProcessConn implements [nats.InProcessConnProvider].
func (l *line) InProcessConn() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		return nil, errCut
	}
	conn, err := l.to.InProcessConn()
	if err != nil {
		return nil, err
	}
	c := &lineConn{Conn: conn, line: l, closed: make(chan struct{})}
	l.conns = append(l.conns, c)
	return c, nil
}

// cut has nothing come through any more, and says so to nobody.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for _, c := range l.conns {
		c.dead = true
	}
}

// heal lets new connections through. Those of before stay silent.
func (l *line) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}

// hangUp closes all connections.
func (l *line) hangUp() {
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

func (l *line) dead(c *lineConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.dead
}

// lineConn is a connection on a line.
type lineConn struct {
	net.Conn
	line   *line
	dead   bool
	once   sync.Once
	closed chan struct{}
}

func (c *lineConn) Write(p []byte) (int, error) {
	if c.line.dead(c) {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *lineConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.line.dead(c) {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *lineConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// book is the rule of these tests, and where engines write down what they have searched.
type book struct {
	// finds is what winners are multiples of: there are none if it is 0.
	finds uint64

	mu       sync.Mutex
	searched []engine.Range
}

func (b *book) add(start u512.Uint, n uint64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.searched = append(b.searched, engine.Range{Start: start, End: start.AddWrap(u512.From64(n - 1))})
}

// check returns what is wrong with the book if each nonce of the range is to be in it: once, or more often
// where that is allowed.
func (b *book) check(r engine.Range, again bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.SortFunc(b.searched, func(a, b engine.Range) int { return a.Start.Cmp(b.Start) })
	next := r.Start
	for _, s := range b.searched {
		switch order := s.Start.Cmp(next); {
		case order > 0:
			return fmt.Errorf("nobody has searched %s to %s", next.Hex(), s.Start.Hex())
		case order < 0 && !again:
			return fmt.Errorf("%s to %s was searched though all up to %s was", s.Start.Hex(), s.End.Hex(), next.Hex())
		}
		if s.End.Cmp(next) >= 0 {
			next = s.End.AddWrap(u512.From64(1))
		}
	}
	if end := r.End.AddWrap(u512.From64(1)); next != end {
		return fmt.Errorf("searched up to %s, want %s", next.Hex(), end.Hex())
	}
	return nil
}

// steady is an engine that takes a certain time for each nonce.
type steady struct {
	book     *book
	perNonce time.Duration
	batch    uint64 // nonces between two looks at whether to stop
	threads  int
	lies     atomic.Bool // it finds what is no winner, and takes it for one
}

func (s *steady) Name() string                                    { return "steady" }
func (s *steady) Backend() string                                 { return "test" }
func (s *steady) Prepare([32]byte, u512.Uint) (engine.Job, error) { return s, nil }

func (s *steady) Verify(nonce u512.Uint) (distance u512.Uint, ok bool) {
	return nonce, s.lies.Load() || s.book.finds > 0 && nonce[0]%s.book.finds == 0
}

func (s *steady) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	done := uint64(0)
	defer func() { s.book.add(r.Start, done) }()
	for p.Advance(0) {
		nonce := r.Start.AddWrap(u512.From64(done))
		n := min(s.batch, r.End.SubWrap(nonce).AddSat(u512.From64(1)).Sat64())
		outcome := engine.Outcome{Status: engine.Exhausted}
		if s.lies.Load() {
			n, outcome = 1, engine.Outcome{Status: engine.Found, Nonce: nonce}
		} else if finds := s.book.finds; finds > 0 {
			if ahead := (finds - nonce[0]%finds) % finds; ahead < n {
				n, outcome = ahead+1, engine.Outcome{Status: engine.Found, Nonce: nonce.AddWrap(u512.From64(ahead))}
			}
		}
		<-time.After(time.Duration(n) * s.perNonce)
		done += n
		p.Advance(n)
		if outcome.Status == engine.Found || nonce.AddWrap(u512.From64(n-1)) == r.End {
			return outcome
		}
	}
	return engine.Outcome{Status: engine.Stopped}
}

// nonces returns the range from one nonce to another.
func nonces(start, end uint64) engine.Range {
	return engine.Range{Start: u512.From64(start), End: u512.From64(end)}
}
