package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// multiples is an engine that takes a millisecond for a nonce, and finds the multiples of a number.
type multiples uint64

func (multiples) Name() string                                      { return "multiples" }
func (multiples) Backend() string                                   { return "test" }
func (m multiples) Prepare([32]byte, u512.Uint) (engine.Job, error) { return m, nil }
func (m multiples) Verify(n u512.Uint) (u512.Uint, bool)            { return n, n[0]%uint64(m) == 0 }

func (m multiples) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	for nonce := r.Start; ; nonce = nonce.AddWrap(u512.From64(1)) {
		<-time.After(time.Millisecond)
		goOn := p.Advance(1)
		_, found := m.Verify(nonce)
		switch {
		case found:
			return engine.Outcome{Status: engine.Found, Nonce: nonce}
		case nonce == r.End:
			return engine.Outcome{Status: engine.Exhausted}
		case !goOn:
			return engine.Outcome{Status: engine.Stopped}
		}
	}
}

// script is a hub that says what a test wants, to one worker.
type script struct {
	t        *testing.T
	conn     *nats.Conn
	subjects wire.Subjects
	link     *Link
	miner    *mining.Miner
	log      *bytes.Buffer
	suspends chan struct{}
	ended    chan error

	mu      sync.Mutex
	hub     string
	hellos  int
	mute    bool // it answers no hello, and sends no beacon
	reports []wire.Report
	found   []wire.Found
	verdict wire.Result // of what is found; empty for no answer
}

// play runs a test with a worker that is connected to a scripted hub, in a bubble.
func play(t *testing.T, find multiples, test func(s *script)) {
	// nats.go has a pool of timers, and those of another bubble must not be used in this one.
	runtime.GC()
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		broker, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
		if err != nil {
			t.Fatal(err)
		}
		broker.Start()
		if !broker.ReadyForConnections(10 * time.Second) {
			t.Fatal("the NATS server does not start")
		}
		defer func() {
			broker.Shutdown()
			broker.WaitForShutdown()
		}()
		s := &script{t: t, log: new(bytes.Buffer), suspends: make(chan struct{}), ended: make(chan error, 1), hub: wire.NewID(), verdict: wire.Taken}
		defer func() {
			if t.Failed() {
				t.Log(s.log)
			}
		}()
		if s.subjects, err = wire.NewSubjects("test"); err != nil {
			t.Fatal(err)
		}
		if s.conn, err = nats.Connect("", nats.InProcessServer(broker), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})); err != nil {
			t.Fatal(err)
		}
		defer s.conn.Close()
		for subject, hear := range map[string]nats.MsgHandler{
			s.subjects.Hello(wire.Any): s.hearHello, s.subjects.Report(wire.Any): s.hearReport, s.subjects.Found(wire.Any): s.hearFound,
		} {
			if _, err := s.conn.Subscribe(subject, hear); err != nil {
				t.Fatal(err)
			}
		}
		known, done := context.WithTimeout(t.Context(), time.Second)
		if err := s.conn.FlushWithContext(known); err != nil { // so that the first hello is heard
			t.Fatal(err)
		}
		done()
		log := slog.New(slog.NewTextHandler(s.log, nil))
		s.miner = mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: find, Workers: 1})
		s.miner.Limits.Over = 16
		dial := func(id string, options ...nats.Option) (*nats.Conn, error) {
			return nats.Connect("", append(options, nats.InProcessServer(broker), nats.CustomInboxPrefix(s.subjects.Inbox(id)))...)
		}
		if s.link, err = New(s.miner, Config{Fleet: "test", Hub: "hub", Dial: dial, Name: "rig7", PoW: "test", Log: log}); err != nil {
			t.Fatal(err)
		}
		s.link.untilSuspended = func(ctx context.Context) error {
			select {
			case <-s.suspends:
				return upstream.ErrSuspended
			case <-ctx.Done():
				return nil
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		mine, endMine := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { s.miner.Run(mine) })
		work.Go(func() { s.ended <- s.link.Run(ctx) })
		beacons, endBeacons := context.WithCancel(t.Context())
		work.Go(func() { s.beacons(beacons) })
		defer work.Wait()
		defer endMine()
		defer endBeacons()
		defer cancel()
		synctest.Wait()
		test(s)
	})
}

// stretch returns a lease of nonces from one to another.
func stretch(number, job, start, end uint64) *wire.Lease {
	return &wire.Lease{Number: number, Job: job, Name: fmt.Sprint("job", job), PoW: "test", Start: wire.Nonce(u512.From64(start)), End: wire.Nonce(u512.From64(end))}
}

// send sends a message, and waits until all is quiet.
func (s *script) send(subject string, m wire.Message) {
	text, err := wire.Encode(m)
	if err != nil {
		s.t.Error(err)
	}
	if err := s.conn.Publish(subject, text); err != nil {
		s.t.Error(err)
	}
}

// order gives the worker orders: all that it holds, and one of it.
func (s *script) order(l *wire.Lease, out ...uint64) {
	s.mu.Lock()
	o := wire.Orders{Hub: s.hub, Out: out, Lease: l}
	s.mu.Unlock()
	s.send(s.subjects.Orders(s.link.id), o)
	synctest.Wait()
}

func (s *script) beacons(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		hub, mute := s.hub, s.mute
		s.mu.Unlock()
		if !mute {
			s.send(s.subjects.Beacon(), wire.Beacon{Hub: hub})
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

func (s *script) hearHello(msg *nats.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hellos++
	if !s.mute {
		s.send(msg.Reply, wire.Welcome{Wire: wire.Version, Hub: s.hub, Name: "rig7"})
	}
}

func (s *script) hearReport(msg *nats.Msg) {
	r, err := wire.Decode[wire.Report](msg.Data)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, r)
}

func (s *script) hearFound(msg *nats.Msg) {
	f, err := wire.Decode[wire.Found](msg.Data)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = append(s.found, f)
	if s.verdict != "" {
		s.send(msg.Reply, wire.Verdict{Hub: s.hub, Result: s.verdict})
	}
}

// set changes what the hub does.
func (s *script) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// last returns what the last report says of a lease.
func (s *script) last(number uint64) wire.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reports) > 0 {
		for _, p := range s.reports[len(s.reports)-1].Leases {
			if p.Number == number {
				return p
			}
		}
	}
	return wire.Progress{}
}

// TestLeases follows leases from orders to reports: one after the other, ended ones until the hub
// takes them for ended, and dropped when they are not in the orders any more.
func TestLeases(t *testing.T) {
	play(t, 1<<40, func(s *script) {
		s.order(stretch(1, 1, 1, 2000), 1)
		s.order(stretch(2, 1, 2001, 4000), 1, 2)
		s.order(stretch(2, 1, 2001, 4000), 1, 2) // once more
		if st := s.link.Status(); st.Leases != 2 || st.State != upstream.Working || st.Name != "rig7" || st.Jobs != 1 {
			t.Errorf("%+v", st)
		}
		<-time.After(1100 * time.Millisecond)
		if a, b := s.last(1), s.last(2); a.Done < 900 || a.Done > 1000 || a.End != "" || b.Done != 0 || b.Number != 2 {
			t.Errorf("after 1.1 s: %+v, %+v", a, b)
		}
		<-time.After(time.Second)
		for range 3 { // it is told of again and again
			if a := s.last(1); a != (wire.Progress{Number: 1, Done: 2000, Tried: 2000, End: wire.Exhausted}) {
				t.Errorf("after 2 s: %+v", a)
			}
			<-time.After(400 * time.Millisecond)
		}
		s.order(stretch(3, 2, 1, 2000), 3)
		if st := s.link.Status(); st.Leases != 1 || st.Jobs != 2 || s.miner.Current().Running != 1 {
			t.Errorf("%+v", st)
		}
		<-time.After(time.Second)
		if a := s.last(1); a.Number != 0 {
			t.Errorf("a lease that is not the hub's is told of: %+v", a)
		}
		dropped := false
		for _, r := range s.reports {
			for _, p := range r.Leases {
				if dropped = dropped || p.Number == 2 && p.End == wire.Dropped && p.Tried > 1000; p.Number == 2 && p.End == wire.Exhausted {
					t.Errorf("%+v", p)
				}
			}
		}
		if !dropped {
			t.Error("the lease that was dropped is not told of")
		}
		s.order(&wire.Lease{Number: 4, Job: 3, Name: "a", PoW: "another", End: wire.Nonce(u512.From64(1))}, 3, 4)
		if p := s.last(4); p.End != wire.Failed || !strings.Contains(p.Error, "another") {
			t.Errorf("%+v", p)
		}
	})
}

// TestAnotherHub has the hub be another at once. What the worker holds is dropped, though the new one's numbers are
// the same.
func TestAnotherHub(t *testing.T) {
	play(t, 1<<40, func(s *script) {
		s.order(stretch(1, 1, 1, 60_000), 1)
		<-time.After(1500 * time.Millisecond)
		s.set(func() { s.hub = wire.NewID() })
		<-time.After(1500 * time.Millisecond) // until its beacon
		if n := s.miner.Current().Running; n != 0 {
			t.Errorf("it searches %d leases of the hub before", n)
		}
		s.order(stretch(1, 1, 70_001, 80_000), 1)
		if jobs := s.miner.Current().Jobs; len(jobs) != 1 || jobs[0].Job.Range().Start != u512.From64(70_001) {
			t.Errorf("it searches %d leases of the hub", len(jobs))
		}
	})
}

// TestOver has a job be over, as a beacon says: its leases are dropped, and those that come late are not begun.
func TestOver(t *testing.T) {
	play(t, 1<<40, func(s *script) {
		s.order(stretch(1, 5, 1, 60_000), 1)
		s.order(stretch(2, 7, 1, 60_000), 1, 2)
		s.send(s.subjects.Beacon(), wire.Beacon{Hub: s.hub, Jobs: []uint64{4}, Upto: 6})
		synctest.Wait()
		if n := s.miner.Current().Running; n != 1 {
			t.Errorf("it searches %d leases, want that of job 7", n)
		}
		s.order(stretch(3, 6, 1, 60_000), 2, 3)
		if n := s.miner.Current().Running; n != 1 {
			t.Errorf("it searches %d leases, of a job that is over", n)
		}
		s.order(stretch(4, 4, 1, 60_000), 2, 4)
		if n := s.miner.Current().Running; n != 2 {
			t.Errorf("it searches %d leases, want those of jobs 4 and 7", n)
		}
	})
}

// TestSuspended has a worker be suspended in the middle of a lease. It searches nothing until it has asked the hub.
func TestSuspended(t *testing.T) {
	play(t, 1<<40, func(s *script) {
		s.order(stretch(1, 1, 1, 60_000), 1)
		<-time.After(1500 * time.Millisecond)
		s.set(func() { s.mute = true })
		s.suspends <- struct{}{}
		synctest.Wait()
		if n := s.miner.Current().Running; n != 0 {
			t.Errorf("it searches %d leases before the hub has answered", n)
		}
		s.order(stretch(2, 1, 1, 60_000), 2) // which may be of before
		if n := s.miner.Current().Running; n != 0 {
			t.Errorf("it searches %d leases of before", n)
		}
		<-time.After(1500 * time.Millisecond)
		s.set(func() { s.mute = false })
		<-time.After(5 * time.Second)
		s.order(stretch(3, 1, 1, 60_000), 3)
		if n := s.miner.Current().Running; n != 1 || s.hellos < 2 {
			t.Errorf("when the hub has answered it searches %d leases, after %d hellos", n, s.hellos)
		}
		if !strings.Contains(s.log.String(), "suspended") {
			t.Error("the log does not say why")
		}
	})
}

// TestWinners offers winners until the hub answers, each by itself, and a lease is not told to be exhausted
// before.
func TestWinners(t *testing.T) {
	play(t, 100, func(s *script) {
		s.set(func() { s.verdict = "" })
		l := stretch(1, 1, 1, 1000)
		l.GoOn = true
		s.order(l, 1)
		<-time.After(5 * time.Second)
		if st := s.link.Status(); st.Waiting != 10 {
			t.Errorf("%+v", st)
		}
		if p := s.last(1); p.End != "" {
			t.Errorf("%+v, though the hub knows no winner", p)
		}
		s.set(func() { s.verdict = wire.Known })
		<-time.After(3 * time.Second)
		if st := s.link.Status(); st.Waiting != 0 || st.Winners != (Winners{Known: 10}) {
			t.Errorf("%+v", st)
		}
		if p := s.last(1); p.End != wire.Exhausted || p.Done != 1000 {
			t.Errorf("%+v", p)
		}
		offered := map[u512.Uint]int{}
		for _, f := range s.found {
			offered[u512.Uint(f.Nonce)]++
			if len(f.Leases) != 1 || f.Leases[0].Tried < 100 || f.Job != 1 {
				t.Errorf("%+v", f)
			}
		}
		if len(offered) != 10 || offered[u512.From64(1000)] < 2 {
			t.Errorf("offered: %v", offered)
		}
	})
}

// TestManyWaiting finds more winners than may wait, while the hub is silent: the search waits then, and none is
// lost.
func TestManyWaiting(t *testing.T) {
	play(t, 1, func(s *script) {
		s.set(func() { s.verdict = "" })
		l := stretch(1, 1, 1, 1000)
		l.GoOn = true
		s.order(l, 1)
		<-time.After(4 * time.Second)
		if st := s.link.Status(); st.Waiting != maxWaiting {
			t.Errorf("%d wait, want %d", st.Waiting, maxWaiting)
		}
		s.set(func() { s.verdict = wire.Taken })
		<-time.After(time.Minute)
		if st := s.link.Status(); st.Waiting != 0 || st.Winners.Taken != 1000 {
			t.Errorf("%+v", st)
		}
	})
}

// TestFinalRefusal ends a worker that the hub has no use for.
func TestFinalRefusal(t *testing.T) {
	play(t, 1<<40, func(s *script) {
		s.order(stretch(1, 1, 1, 60_000), 1)
		if _, err := s.conn.Subscribe(s.subjects.Hello(wire.Any), func(msg *nats.Msg) {
			text, err := json.Marshal(wire.Welcome{Wire: 2, Hub: "of another form"})
			if err == nil {
				err = s.conn.Publish(msg.Reply, text)
			}
			if err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		s.set(func() { s.mute = true })
		s.suspends <- struct{}{}
		err := <-s.ended
		s.ended <- nil
		if _, ok := errors.AsType[*RefusedError](err); !ok || !strings.Contains(err.Error(), "version 2 of the messages, and this worker version 1") {
			t.Errorf("%v", err)
		}
		if st := s.link.Status(); st.State != upstream.Refused || !strings.Contains(st.String(), "version 2") || s.miner.Current().Running != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestAnyOrders has a worker hear whatever comes, in order or not, in bounds or not: it holds no more than a hub
// may give, and goes on working for it.
func TestAnyOrders(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		small := rapid.Uint64Range(0, 6)
		var messages [][2]string // to the orders or the beacon, and what
		for range rapid.IntRange(1, 30).Draw(rt, "messages") {
			hub := rapid.SampledFrom([]string{strings.Repeat("0", 32), strings.Repeat("1", 32)}).Draw(rt, "hub")
			numbers := rapid.SliceOfN(small, 0, wire.MaxLeases+1).Draw(rt, "numbers")
			switch rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0:
				text, _ := json.Marshal(wire.Beacon{Hub: hub, Jobs: numbers, Upto: small.Draw(rt, "upto")})
				messages = append(messages, [2]string{"beacon", string(text)})
			case 1:
				messages = append(messages, [2]string{"orders", rapid.String().Draw(rt, "text")})
			default:
				o := wire.Orders{Hub: hub, Out: numbers}
				if rapid.Bool().Draw(rt, "with a lease") {
					start := small.Draw(rt, "start")
					o.Lease = stretch(small.Draw(rt, "number"), small.Draw(rt, "job"), start, start+rapid.Uint64Range(0, 50).Draw(rt, "span"))
				}
				text, _ := json.Marshal(o)
				messages = append(messages, [2]string{"orders", string(text)})
			}
		}
		most, last := 0, 0
		play(t, 1<<40, func(s *script) {
			s.set(func() { s.hub = strings.Repeat("0", 32) })
			<-time.After(3 * time.Second)
			for _, m := range messages {
				subject := map[string]string{"beacon": s.subjects.Beacon(), "orders": s.subjects.Orders(s.link.id)}[m[0]]
				if err := s.conn.Publish(subject, []byte(m[1])); err != nil {
					s.t.Error(err)
				}
				synctest.Wait()
				most = max(most, s.link.Status().Leases, s.miner.Current().Running)
			}
			<-time.After(5 * time.Second)
			s.order(stretch(1<<63, 1<<63, 1, 2000), 1<<63)
			last = s.link.Status().Leases
		})
		if most > wire.MaxLeases || last != 1 {
			rt.Fatalf("it held up to %d leases, and %d at last", most, last)
		}
	})
}
