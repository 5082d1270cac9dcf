package quicnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lottery is an engine to which each nonce is valid that the difficulty divides, and
// takes a millisecond. A difficulty of never has none.
type lottery struct {
	panics bool
	wrong  bool // what it finds is not valid

	prepared *atomic.Int32 // counts the jobs that it has prepared, unless it is nil
}

const never = 1 << 62

func (lottery) Name() string    { return "lottery" }
func (lottery) Backend() string { return "clock" }
func (e lottery) Prepare(_ [32]byte, difficulty u512.Uint) (engine.Job, error) {
	if e.prepared != nil {
		e.prepared.Add(1)
	}
	return ticket{e, difficulty.Sat64()}, nil
}

type ticket struct {
	lottery
	difficulty uint64
}

func (t ticket) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	if t.panics {
		panic("out of tickets")
	}
	for nonce := r.Start; ; nonce = nonce.AddWrap(u512.From64(1)) {
		<-time.After(time.Millisecond)
		goOn := p.Advance(1)
		_, valid := t.Verify(nonce)
		switch {
		case valid != t.wrong:
			return engine.Outcome{Status: engine.Found, Nonce: nonce}
		case nonce == r.End:
			return engine.Outcome{Status: engine.Exhausted}
		case !goOn:
			return engine.Outcome{Status: engine.Stopped}
		}
	}
}

func (t ticket) Verify(nonce u512.Uint) (u512.Uint, bool) {
	return u512.Uint{}, nonce[0]%t.difficulty == 0
}

// pipe is a conn in memory. The other end is a call's.
type pipe struct {
	net.Conn
	mu     sync.Mutex
	reason error  // why the node has ended it
	code   uint64 // with which the miner has closed it
	closed bool   // by the miner
}

func (p *pipe) why(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason != nil {
		return p.reason
	}
	return err
}

func (p *pipe) close(code uint64, _ string) {
	p.mu.Lock()
	p.closed, p.code = true, code
	p.mu.Unlock()
	p.Conn.Close()
}

// call is a node's end of a connection.
type call struct {
	t     *testing.T
	miner *pipe
	net.Conn
	token string
}

// job sends a NewJob.
func (c *call) job(id string, header byte, difficulty uint64) {
	c.t.Helper()
	c.send(wire.NewJob{ID: id, Header: [32]byte{header}, Difficulty: u512.From64(difficulty)})
}

func (c *call) send(m wire.Message) {
	c.t.Helper()
	if err := wire.Write(c, m); err != nil {
		c.t.Errorf("sending %v: %v", m, err)
	}
}

// result reads the miner's next message, which must be a valid result of a job.
func (c *call) result(id string, difficulty uint64) wire.JobResult {
	c.t.Helper()
	m, err := wire.Read(c)
	r, ok := m.(wire.JobResult)
	if !ok || r.JobID != id || r.Status != wire.Completed || r.Nonce[0]%difficulty != 0 || r.HashCount == 0 {
		c.t.Fatalf("%+v, %v: want a result of job %s", m, err, id)
	}
	return r
}

// end ends the connection, for a reason that the miner is told.
func (c *call) end(reason error) {
	c.miner.mu.Lock()
	c.miner.reason = reason
	c.miner.mu.Unlock()
	c.Close()
}

// ended waits for the miner to close the connection.
func (c *call) ended() (code uint64) {
	c.t.Helper()
	if m, err := wire.Read(c); err == nil {
		c.t.Errorf("the miner sends %+v", m)
	}
	synctest.Wait()
	c.miner.mu.Lock()
	defer c.miner.mu.Unlock()
	if !c.miner.closed {
		c.t.Error("the miner does not close the connection")
	}
	return c.miner.code
}

// network has nodes, which answer their calls or refuse them.
type network struct {
	t     *testing.T
	calls map[string]chan *call // to each node
	mu    sync.Mutex
	down  map[string]error // why a node cannot be reached
	dials int              // since forget
}

func newNetwork(t *testing.T, addresses ...string) *network {
	n := &network{t: t, calls: make(map[string]chan *call), down: make(map[string]error)}
	for _, a := range addresses {
		n.calls[a] = make(chan *call)
	}
	return n
}

func (n *network) dial(ctx context.Context, address string, pin wire.Fingerprint) (conn, error) {
	n.mu.Lock()
	n.dials++
	down := n.down[address]
	n.mu.Unlock()
	if down != nil {
		return nil, down
	}
	ours, theirs := net.Pipe()
	p := &pipe{Conn: ours}
	select {
	case n.calls[address] <- &call{t: n.t, miner: p, Conn: theirs}:
		return p, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// set says why a node cannot be reached from now on, or nil.
func (n *network) set(address string, down error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down[address] = down
}

// answer takes a call to a node, and the Ready with which it begins.
func (n *network) answer(address string) *call {
	n.t.Helper()
	c := <-n.calls[address]
	m, err := wire.Read(c)
	ready, ok := m.(wire.Ready)
	if !ok {
		n.t.Fatalf("%v, %v: want Ready", m, err)
	}
	c.token = ready.Token
	return c
}

// forget returns how many calls there were since the last time, or the beginning.
func (n *network) forget() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	dials := n.dials
	n.dials = 0
	return dials
}

// rig is a miner that works for the nodes of a network.
type rig struct {
	*network
	link  *Link
	miner *mining.Miner
	log   *locked
	done  chan error // what Run returns
	stop  context.CancelFunc
}

// start starts a rig, in a bubble. It is stopped at the bubble's end.
func start(t *testing.T, e engine.Engine, addresses ...string) *rig {
	t.Helper()
	n := newNetwork(t, addresses...)
	var nodes []Node
	for _, a := range addresses {
		nodes = append(nodes, Node{a, func() (Credentials, error) { return Credentials{Token: "token of " + a}, nil }})
	}
	return n.start(e, nodes)
}

func (n *network) start(e engine.Engine, nodes []Node) *rig {
	log := new(locked)
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := &rig{network: n, miner: mining.New(logger, &mining.Crew{Engine: e, Workers: 2}), log: log, done: make(chan error, 1)}
	r.miner.Limits.Over = 4
	r.link = New(r.miner, nodes, logger)
	r.link.dial = n.dial
	r.link.Sent = func(_ string, _ u512.Uint, after time.Duration) { fmt.Fprintln(log, "sent after", after) }
	ctx, stop := context.WithCancel(context.Background())
	var g sync.WaitGroup
	g.Go(func() { r.miner.Run(ctx) })
	g.Go(func() { r.done <- r.link.Run(ctx) })
	r.stop = func() {
		stop()
		g.Wait()
	}
	return r
}

// locked is a log that may be read while others write it.
type locked struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// is checks the link's state, when all is at rest.
func (r *rig) is(state State, node string) {
	r.t.Helper()
	synctest.Wait()
	if s := r.link.Status(); s.State != state || s.Server != node {
		r.t.Errorf("the link is %v for %s, want %v for %s", s.State, s.Server, state, node)
	}
}

// running returns the names of the searches that run.
func (r *rig) running() string {
	synctest.Wait()
	var names []string
	for _, job := range r.miner.Current().Jobs {
		names = append(names, job.Job.ID())
	}
	return strings.Join(names, " ")
}

func (r *rig) runs(want string) {
	r.t.Helper()
	if got := r.running(); got != want {
		r.t.Errorf("searches that run: %q, want %q", got, want)
	}
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// TestJobs goes through what happens on a connection.
func TestJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, lottery{}, "a")
		defer r.stop()
		r.is(NotConnected, "a")
		c := r.answer("a")
		if c.token != "token of a" {
			t.Errorf("token %q", c.token)
		}
		r.is(Waiting, "a")
		r.runs("")

		// A job runs, and a repeated one changes nothing.
		c.job("1", 1, never)
		r.runs("1#1")
		r.is(Working, "a")
		<-time.After(time.Second)
		before := r.miner.Current().Jobs[0].Job.Started()
		c.job("1", 1, never)
		r.runs("1#1")
		if after := r.miner.Current().Jobs[0].Job.Started(); after != before {
			t.Error("a repeated job is begun anew")
		}
		// One that differs replaces it at once, whatever it is called.
		now := time.Now()
		c.job("1", 2, never)
		r.runs("1#2")
		c.job("1", 2, never-1)
		r.runs("1#3")
		c.job("2", 2, never-1)
		r.runs("2#4")
		if took := time.Since(now); took != 0 {
			t.Errorf("that took %s", took)
		}

		// After a result the same search goes on.
		c.job("3", 3, 1000)
		first := c.result("3", 1000)
		second := c.result("3", 1000)
		if first.Nonce == second.Nonce {
			t.Errorf("nonce %s came twice", first.Nonce.Hex())
		}
		for _, result := range []wire.JobResult{first, second} {
			if result.ElapsedTime <= 0 || result.ElapsedTime > 1 || result.HashCount > 2000 {
				t.Errorf("%d nonces in %v s", result.HashCount, result.ElapsedTime)
			}
		}
		r.runs("3#5")
		c.job("4", 3, never)
		r.runs("4#6")
		if n := strings.Count(r.log.String(), "working for the node"); n != 1 {
			t.Errorf("the log says %d times which node is worked for", n)
		}
		if s := r.link.Status(); s.Connections != 1 || s.Failures != 0 || s.Jobs != 6 || s.Results != 2 {
			t.Errorf("status %+v", s)
		}
		for _, line := range []string{
			`msg="connected to the node" node=a`,
			`msg="working for the node" node=a rank=1 of=1`,
			`msg="new job" job=2#4 difficulty=4611686018427387903 replaces=1#3`,
			`msg="result sent" node=a job=3#5`,
			"sent after 0s",
		} {
			if !strings.Contains(r.log.String(), line) {
				t.Errorf("the log lacks %s:\n%s", line, r.log)
			}
		}
	})
}

// TestReconnect ends connections in all ways that are no reason to give up, and looks
// at the pauses.
func TestReconnect(t *testing.T) {
	remote := func(message string) error { return &quic.ApplicationError{Remote: true, ErrorMessage: message} }
	for _, reason := range []error{
		remote("auth timeout"),
		remote("Auth failed, or so"),
		remote(""),
		&quic.ApplicationError{ErrorMessage: "auth failed"}, // ours
		&quic.IdleTimeoutError{},
		&quic.StatelessResetError{},
		&quic.TransportError{Remote: true, ErrorCode: 0x100 + 42, ErrorMessage: "no_application_protocol"},
		io.ErrUnexpectedEOF,
	} {
		t.Run(reason.Error(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := start(t, lottery{}, "a")
				defer r.stop()
				pauses := func(want ...time.Duration) {
					t.Helper()
					for _, w := range want {
						began := time.Now()
						c := r.answer("a")
						least, most := w*8/10, w*12/10
						if took := time.Since(began); took < least || took > most {
							t.Fatalf("tried again after %s, want %s to %s", took, least, most)
						}
						c.end(reason)
						r.is(NotConnected, "a")
						if s := r.link.Status(); s.Reason == nil || !s.Retry.After(time.Now()) {
							t.Errorf("status %+v", s)
						}
					}
				}
				const s = time.Second
				pauses(0, s, 2*s, 4*s, 8*s, 16*s, 30*s, 30*s)
				c := r.answer("a")
				c.job("1", 1, never)
				c.end(reason)
				pauses(s, 2*s)
				r.set("a", errors.New("nobody is there"))
				<-time.After(time.Minute)
				r.is(NotConnected, "a")
				if reason := r.link.Status().Reason; reason == nil || !strings.Contains(reason.Error(), "connecting: nobody is there") {
					t.Errorf("the reason is %v", reason)
				}
				r.set("a", nil)
				r.answer("a").job("1", 1, never)
				r.runs("1#2")
			})
		})
	}
}

// TestNextTry looks at what people are told before the next try, and during one that
// nobody answers.
func TestNextTry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork(t, "a")
		n.set("a", errors.New("nobody is there"))
		r := n.start(lottery{}, []Node{{"a", func() (Credentials, error) { return Credentials{Token: "1"}, nil }}})
		defer r.stop()
		r.is(NotConnected, "a")
		const told = "not connected to a: connecting: nobody is there; next try "
		if got, want := r.link.Status().String(), told+"at 00:00:0"; !strings.HasPrefix(got, want) {
			t.Errorf("%s, want %s…", got, want)
		}
		r.set("a", nil)
		<-time.After(2 * time.Second)
		if got := r.link.Status().String(); got != told+"now" {
			t.Errorf("%s, want %snow", got, told)
		}
	})
}

// TestLost has a connection break in the middle of a job: nothing is searched after it,
// and nothing that is found for it is sent to a node that means something else by the
// same name.
func TestLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, lottery{}, "a")
		defer r.stop()
		for i := range 20 {
			c := r.answer("a")
			difficulty := uint64(100 + i)
			c.job("1", byte(i), difficulty)
			for range i % 3 {
				c.result("1", difficulty)
			}
			<-time.After(time.Duration(i) * 13 * time.Millisecond)
			c.end(io.EOF)
			r.runs("")
			evaluated := r.miner.Current().Evaluated
			<-time.After(700 * time.Millisecond)
			if now := r.miner.Current().Evaluated; now != evaluated {
				t.Fatalf("%d nonces were evaluated without a connection", now-evaluated)
			}
		}
		c := r.answer("a")
		c.job("1", 77, 1009)
		c.result("1", 1009)
	})
}

// TestFatal has nodes refuse a miner in ways that no reconnecting helps against.
func TestFatal(t *testing.T) {
	pin := &wire.PinError{Want: wire.Fingerprint{1}, Got: wire.Fingerprint{2}}
	version := &quic.TransportError{Remote: true, ErrorCode: 0x178, ErrorMessage: "\x1b[31m"}
	refused := &quic.ApplicationError{Remote: true, ErrorCode: 7, ErrorMessage: "auth failed"}
	for name, c := range map[string]struct {
		dial, end error
		want      error
		state     State
	}{
		"pin":     {dial: fmt.Errorf("connecting: %w", pin), want: pin, state: NotConnected},
		"version": {dial: version, want: ErrVersion, state: NotConnected},
		"token":   {end: refused, want: ErrTokenRefused, state: Refused},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNetwork(t, "a", "b")
				n.set("a", c.dial)
				credentials := Credentials{Token: "1"}
				asked := 0
				node := Node{"a", func() (Credentials, error) {
					if asked++; asked == 2 {
						credentials.Token = "2"
					}
					return credentials, nil
				}}
				r := n.start(lottery{}, []Node{node, {"b", func() (Credentials, error) { return Credentials{}, nil }}})
				defer r.stop()
				if c.end != nil {
					// The first time, the node has renewed what is in its files.
					r.answer("a").end(c.end)
					<-time.After(2 * time.Second)
					r.is(NotConnected, "a")
					again := r.answer("a")
					if again.token != "2" {
						t.Errorf("token %q", again.token)
					}
					again.end(c.end)
				}
				err := <-r.done
				wrong, ok := errors.AsType[*NodeError](err)
				if !ok || wrong.Node != "a" || !errors.Is(err, c.want) || strings.Contains(err.Error(), "\x1b") {
					t.Errorf("%v", err)
				}
				r.is(c.state, "a")
				if took := r.log.String(); !strings.Contains(took, `level=ERROR msg="the miner ends" node=a reason=`) {
					t.Errorf("the log is\n%s", took)
				}
			})
		})
	}
}

// TestNoCredentials has files that cannot be read for a while, as a node that starts
// makes them anew.
func TestNoCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var missing atomic.Bool
		missing.Store(true)
		n := newNetwork(t, "a")
		r := n.start(lottery{}, []Node{{"a", func() (Credentials, error) {
			if missing.Load() {
				return Credentials{}, os.ErrNotExist
			}
			return Credentials{Token: "1"}, nil
		}}})
		defer r.stop()
		<-time.After(10 * time.Second)
		r.is(NotConnected, "a")
		if !errors.Is(r.link.Status().Reason, os.ErrNotExist) {
			t.Errorf("status %+v", r.link.Status())
		}
		missing.Store(false)
		r.answer("a")
		r.is(Waiting, "a")
	})
}

// TestCredentialsInTheMaking has a node refuse an old token while it writes a new one.
func TestCredentialsInTheMaking(t *testing.T) {
	bubble(t, func(t *testing.T) {
		asked := 0
		n := newNetwork(t, "a")
		r := n.start(lottery{}, []Node{{"a", func() (Credentials, error) {
			switch asked++; asked {
			case 1:
				return Credentials{Token: "old"}, nil
			case 2:
				return Credentials{}, errors.New("the file is empty")
			default:
				return Credentials{Token: "new"}, nil
			}
		}}})
		defer r.stop()
		r.answer("a").end(&quic.ApplicationError{Remote: true, ErrorMessage: wire.ReasonAuthFailed})
		select {
		case err := <-r.done:
			t.Fatalf("the miner ends: %v", err)
		case <-time.After(2 * time.Second):
		}
		if c := r.answer("a"); c.token != "new" {
			t.Errorf("token %q", c.token)
		}
	})
}

// TestViolation has a node send what it must not.
func TestViolation(t *testing.T) {
	for name, content := range map[string]string{
		"no frame":      "\xff\xff\xff\xff",
		"no JSON":       "\x00\x00\x00\x01x",
		"other message": "\x00\x00\x00\x18" + `{"Ready":{"token":"abc"}}`[:24],
		"Ready":         "\x00\x00\x00\x19" + `{"Ready":{"token":"abc"}}`,
		"unknown":       "\x00\x00\x00\x0b" + `{"Stop":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := start(t, lottery{}, "a")
				defer r.stop()
				c := r.answer("a")
				c.job("1", 1, never)
				if _, err := io.WriteString(c, content); err != nil {
					t.Fatal(err)
				}
				if code := c.ended(); code != wire.CodeViolation {
					t.Errorf("closed with code %d", code)
				}
				r.is(NotConnected, "a")
				r.runs("")
				r.answer("a").job("1", 1, never)
				r.is(Working, "a")
			})
		})
	}
}

// TestEasy has a job to which every nonce is an answer, for a node that takes its
// time: results do not pile up, and another job does not wait for them.
func TestEasy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, lottery{}, "a")
		defer r.stop()
		c := r.answer("a")
		c.job("1", 1, 1)
		began := time.Now()
		for range 100 {
			c.result("1", 1)
		}
		if took := time.Since(began); took < 99*resultInterval || took > 110*resultInterval {
			t.Errorf("100 results in %s", took)
		}
		// The node does not read any more: the search waits.
		<-time.After(writeTimeout / 4)
		before := r.miner.Current().Evaluated
		<-time.After(writeTimeout / 4)
		if n := r.miner.Current().Evaluated; n != before {
			t.Errorf("%d nonces have become %d", before, n)
		}
		if s := r.link.Status(); s.Results != 100 || s.State != Working {
			t.Errorf("%+v", s)
		}
		// Other jobs do not wait for that, and the results that do are bounded.
		for i := range 10 {
			c.job(fmt.Sprint(i), 2, never)
			r.runs(fmt.Sprintf("%d#%d", i, 2+2*i))
			c.job(fmt.Sprint(i), 3, 1)
			<-time.After(10 * time.Millisecond)
		}
		if log := r.log.String(); strings.Count(log, `msg="result dropped: the node does not read"`) < 30 {
			t.Errorf("the log is\n%s", log)
		}
		c.job("x", 2, never)
		for i := range maxUnsent + 1 { // what was being written, and what waited
			if m, err := wire.Read(c); err != nil {
				t.Errorf("result %d: %v, %v", i, m, err)
			}
		}
		r.is(Working, "a")
		// A node that does not read for good is lost.
		c.job("y", 2, 1)
		<-time.After(writeTimeout + time.Second)
		r.is(NotConnected, "a")
		r.answer("a").job("z", 2, never)
		r.is(Working, "a")
	})
}

// TestEasyBefore has an easy job replaced: its results, of which there are more than may be
// sent in the time, do not hold up the first of the next job.
func TestEasyBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, lottery{}, "a")
		defer r.stop()
		c := r.answer("a")
		for i := range 4 {
			id := fmt.Sprint(i)
			c.job(id, byte(i), 1)
			<-time.After(50 * time.Millisecond)
			next := fmt.Sprint(i, " next")
			c.job(next, byte(i+1), 1)
			began := time.Now()
			for late := 0; ; late++ {
				m, err := wire.Read(c)
				if err != nil {
					t.Fatal(err)
				}
				if m.(wire.JobResult).JobID == next {
					break
				}
				if late > 10 {
					t.Fatal("one stale result after the other")
				}
			}
			if took := time.Since(began); took > 2*time.Millisecond {
				t.Errorf("the first result of the next job came after %s", took)
			}
		}
	})
}

// TestEasyJobs has an easy job replaced by the next a thousand times a second: a node gets
// as many results in any second as it may, and no more.
func TestEasyJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, lottery{}, "a")
		defer r.stop()
		c := r.answer("a")
		const span = 5 * time.Second
		var g sync.WaitGroup
		defer g.Wait()
		g.Go(func() {
			for i := range span / time.Millisecond {
				c.job(fmt.Sprint(i), byte(i), 1)
				<-time.After(time.Millisecond)
			}
			c.job("last", 1, 1)
		})
		var came []time.Time
		for began := time.Now(); time.Since(began) < span; {
			if _, err := wire.Read(c); err != nil {
				t.Fatal(err)
			}
			came = append(came, time.Now())
			if n := len(came) - 1 - resultsPerSecond; n >= 0 && came[n+resultsPerSecond].Sub(came[n]) < time.Second {
				t.Fatalf("%d results in %v", resultsPerSecond+1, came[n+resultsPerSecond].Sub(came[n]))
			}
		}
		if len(came) < int(span/time.Second-1)*resultsPerSecond {
			t.Errorf("only %d results", len(came))
		}
	})
}

// TestMany goes through thousands of jobs, of which nothing is left.
func TestMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, lottery{}, "a")
		defer r.stop()
		c := r.answer("a")
		for i := range 5000 {
			c.job(fmt.Sprint(i), 1, never)
		}
		r.runs("4999#5000")
		if known := len(r.miner.Overview().Jobs); known != 5 {
			t.Errorf("%d jobs are known", known)
		}
	})
}

// TestInTime has a job replaced when it has winners that the link does not know of yet:
// they are sent.
func TestInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := New(mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: lottery{}, Workers: 1}), []Node{{Address: "a"}}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(context.Background())
		var g sync.WaitGroup
		g.Go(func() { l.miner.Run(ctx) })
		defer g.Wait()
		defer stop()
		p := &peer{Session: &session{results: make(chan result, maxUnsent)}}
		r := newRunning(ctx, l)
		r.source, r.job = p, wire.NewJob{ID: "1", Difficulty: u512.From64(1)}
		if err := r.searchAnywhere(time.Now()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		r.stop()
		for i := range 4 { // as many as wait for the link
			if sent := <-p.Session.results; sent.message.JobID != "1" || sent.message.HashCount == 0 {
				t.Errorf("result %d is %+v", i, sent.message)
			}
		}
	})
}

// TestRepeated has a pool repeat its job after each result, accepted or not, with a
// difficulty at which there are tens of winners a second. Nearly all that the hash rate
// promises arrive, none twice, and nothing is prepared anew.
func TestRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const perSecond, difficulty = 2000, 57 // 35 winners a second
		var prepared atomic.Int32
		r := start(t, lottery{prepared: &prepared}, "a")
		defer r.stop()
		c := r.answer("a")
		c.job("1", 1, difficulty)
		seen := make(map[u512.Uint]bool)
		const span = 10 * time.Second
		hashes := uint64(0)
		for began := time.Now(); time.Since(began) < span; {
			result := c.result("1", difficulty)
			if seen[result.Nonce] {
				t.Errorf("nonce %s came twice", result.Nonce.Hex())
			}
			seen[result.Nonce] = true
			hashes += result.HashCount
			c.job("1", 1, difficulty)
		}
		promised := perSecond * span.Seconds() / difficulty
		if n := float64(len(seen)); n < 0.95*promised {
			t.Errorf("%g results, the hash rate promises %g", n, promised)
		}
		if total := r.miner.Current().Evaluated; hashes > total || float64(hashes) < 0.95*float64(total) {
			t.Errorf("the results tell of %d nonces, %d were evaluated", hashes, total)
		}
		if n := prepared.Load(); n != 1 {
			t.Errorf("the job was prepared %d times", n)
		}
	})
}

// TestShutDown ends a miner right after each of its workers has found something. Both
// arrive.
func TestShutDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, lottery{}, "a")
		c := r.answer("a")
		c.job("1", 1, 1)
		<-time.After(time.Millisecond)
		synctest.Wait() // it is being written
		var g sync.WaitGroup
		g.Go(r.stop)
		synctest.Wait()
		for range 2 { // one of each worker
			c.result("1", 1)
		}
		if code := c.ended(); code != wire.CodeDone {
			t.Errorf("closed with code %d", code)
		}
		g.Wait()
		if err := <-r.done; err != nil {
			t.Errorf("Run returns %v", err)
		}
		r.runs("")
	})
}

// TestShutDownIdle ends miners whose winners wait for their turn while nothing is being
// written: they arrive all the same, every one that the miner counts.
func TestShutDownIdle(t *testing.T) {
	for range 50 { // as it would be luck that the writer ends after the search
		bubble(t, func(t *testing.T) {
			r := start(t, lottery{}, "a")
			c := r.answer("a")
			c.job("1", 1, 1)
			c.result("1", 1)
			<-time.After(resultInterval / 2)
			var g sync.WaitGroup
			g.Go(r.stop)
			arrived := uint64(1)
			for {
				if _, err := wire.Read(c); err != nil {
					break
				}
				arrived++
			}
			g.Wait()
			if found := r.miner.Current().Winners; arrived != found {
				t.Errorf("%d of %d winners arrived", arrived, found)
			}
		})
	}
}

// TestFallback has the first of three nodes come and go.
func TestFallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, lottery{}, "a", "b", "c")
		defer r.stop()
		gone := errors.New("nobody is there")
		r.set("a", gone)
		r.set("b", gone)
		third := r.answer("c")
		third.job("1", 3, never)
		r.is(Working, "c")
		r.runs("1#1")
		if !r.link.Status().Fallback {
			t.Error("the third node is no fallback")
		}
		// The second is back. It is turned to when it has something to do.
		r.set("b", nil)
		second := r.answer("b")
		r.is(Working, "c")
		second.job("1", 2, never)
		r.is(Working, "b")
		r.runs("1#2")
		if code := third.ended(); code != wire.CodeDone {
			t.Errorf("the third connection is closed with code %d", code)
		}
		// So is the first, but it syncs.
		r.set("a", nil)
		first := r.answer("a")
		<-time.After(time.Minute)
		r.is(Working, "b")
		second.job("2", 2, never)
		r.runs("2#3")
		first.job("1", 1, 1000)
		r.is(Working, "a")
		r.runs("1#4")
		second.ended()
		first.result("1", 1000)
		first.job("2", 1, never)
		r.forget()
		<-time.After(2 * time.Minute)
		if n := r.forget(); n > 0 {
			t.Errorf("fallbacks are dialled %d times", n)
		}
		// It breaks down, and the second takes over at once.
		r.set("a", gone)
		first.end(io.EOF)
		now := time.Now()
		second = r.answer("b")
		if took := time.Since(now); took != 0 {
			t.Errorf("the second node is turned to after %s", took)
		}
		second.job("1", 2, never)
		r.is(Working, "b")
		// What nobody can help does not end a miner that has work elsewhere.
		r.set("a", &wire.PinError{})
		<-time.After(time.Minute)
		r.is(Working, "b")
		if log := r.log.String(); !strings.Contains(log, `level=ERROR msg="cannot connect to the node" node=a`) {
			t.Errorf("the log does not have it as an error:\n%s", log)
		}
		second.end(io.EOF)
		third = r.answer("c")
		third.job("1", 3, never)
		r.is(Working, "c")
		// Nor does it end when that work is interrupted for as long as the first is tried
		// again.
		third.end(io.EOF)
		r.set("b", gone)
		r.set("c", gone)
		<-time.After(10 * time.Minute)
		r.is(NotConnected, "a")
		r.set("c", nil)
		r.answer("c").job("1", 3, never)
		r.is(Working, "c")
	})
}

// TestSyncing turns to the second node when the first has had no job for a while.
func TestSyncing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, lottery{}, "a", "b")
		defer r.stop()
		first := r.answer("a")
		began := time.Now()
		second := r.answer("b")
		if took := time.Since(began); took != firstJobTimeout {
			t.Errorf("turned to after %s", took)
		}
		r.is(Waiting, "a")
		second.job("1", 2, never)
		r.is(Working, "b")
		first.job("1", 1, never)
		r.is(Working, "a")
		second.ended()
		if !strings.Contains(r.log.String(), `msg="waiting for the first job: the node may be syncing" node=a`) {
			t.Errorf("the log is\n%s", r.log)
		}
	})
}

// TestEngines has engines that err.
func TestEngines(t *testing.T) {
	t.Run("wrong", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			r := start(t, lottery{wrong: true}, "a")
			defer r.stop()
			c := r.answer("a")
			c.job("1", 1, 1000)
			if err := <-r.done; err != mining.ErrNoEngine {
				t.Errorf("Run returns %v", err)
			}
			c.ended()
		})
	})
	t.Run("panics", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			r := start(t, lottery{panics: true}, "a")
			defer r.stop()
			c := r.answer("a")
			c.job("1", 1, 1000)
			<-time.After(10*upstream.SearchRetryDelay + upstream.SearchRetryDelay/2)
			r.is(Working, "a")
			if failed := r.miner.Current().Failed; failed != 11 {
				t.Errorf("%d searches have failed, want one a second", failed)
			}
		})
	})
}
