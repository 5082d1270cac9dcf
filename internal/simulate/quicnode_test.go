package simulate

import (
	"context"
	"encoding/binary"

	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// running is a node of a test's that runs.
type running struct {
	*QUICNode
	ended  chan struct{}
	err    error // when it has
	mu     sync.Mutex
	blocks []Block
}

// startNode runs a node until the test ends, after it was changed. Its first blocks
// are easy.
func startNode(t *testing.T, change func(*QUICNode)) *running {
	t.Helper()
	return startLoggingNode(t, io.Discard, change)
}

// startLoggingNode does so with a log.
func startLoggingNode(t *testing.T, log io.Writer, change func(*QUICNode)) *running {
	t.Helper()
	identity, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	n, err := ListenQUIC("127.0.0.1:0", identity, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock() // as it answers already
	n.Blocks, n.BlockTime, n.BlockTimeout, n.difficulty = 3, time.Millisecond, time.Minute, u512.From64(16)
	r := &running{QUICNode: n, ended: make(chan struct{})}
	n.Report = func(b Block) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.blocks = append(r.blocks, b)
	}
	if change != nil {
		change(n)
	}
	n.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(r.ended)
		defer n.Close()
		r.err = n.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

// reported returns the blocks that were.
func (r *running) reported() []Block {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.blocks)
}

// wait returns how the run ended.
func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(time.Minute):
		t.Fatal("the node runs on")
	}
	return r.err
}

// caller is the other side of a node's.
type caller struct {
	t      *testing.T
	conn   *quic.Conn
	stream *quic.Stream
}

// call connects to a node until the test ends.
func call(t *testing.T, n *running) (*caller, error) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	t.Cleanup(func() {
		_ = transport.Close()
		_ = socket.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := transport.Dial(ctx, n.address, wire.ClientTLS(n.identity.Pin()), nil)
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &caller{t, conn, stream}, nil
}

// enter connects to a node, and is let in if the token is right.
func enter(t *testing.T, n *running, token string) *caller {
	t.Helper()
	c, err := call(t, n)
	if err != nil {
		t.Fatal(err)
	}
	c.say(wire.Ready{Token: token})
	return c
}

func (c *caller) say(m wire.Message) {
	c.t.Helper()
	if err := wire.Write(c.stream, m); err != nil {
		c.t.Fatal(err)
	}
}

// job reads a job.
func (c *caller) job() wire.NewJob {
	c.t.Helper()
	m, err := wire.Read(c.stream)
	if err != nil {
		c.t.Fatal(err)
	}
	return m.(wire.NewJob)
}

// refused reads until the node closes the connection, and returns the reason.
func (c *caller) refused() string {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c.stream)
	closed, ok := errors.AsType[*quic.ApplicationError](err)
	if !ok || !closed.Remote {
		c.t.Fatalf("the connection ended with %v", err)
	}
	return closed.ErrorMessage
}

// valid reports whether a nonce seals a job.
func valid(job wire.NewJob, nonce u512.Uint) bool {
	rule, err := poseidon2.NewReference(job.Header, job.Difficulty)
	if err != nil {
		panic(err)
	}
	_, ok := rule.Verify(nonce)
	return ok
}

// mined returns a seal of a job, the first one from a nonce on.
func mined(job wire.NewJob, from uint64) wire.JobResult {
	began, x := time.Now(), from
	for !valid(job, u512.From64(x)) {
		x++
	}
	return wire.JobResult{
		Status: wire.Completed, JobID: job.ID, Nonce: u512.From64(x), HashCount: x - from + 1, ElapsedTime: time.Since(began).Seconds(),
	}
}

func TestQUICRun(t *testing.T) {
	n := startNode(t, nil)
	c := enter(t, n, n.identity.Token)
	var jobs []wire.NewJob
	for range n.Blocks {
		job := c.job()
		if slices.ContainsFunc(jobs, func(j wire.NewJob) bool { return j.ID == job.ID || j.Header == job.Header }) {
			t.Errorf("not every job is a new one: %+v", job)
		}
		jobs = append(jobs, job)
		c.say(mined(job, 0))
	}
	if err := n.wait(t); err != nil {
		t.Fatal(err)
	}
	if reason := c.refused(); reason != "the node ends" {
		t.Errorf("the node left with %q", reason)
	}
	if len(n.blocks) != n.Blocks || jobs[0].ID != "1" {
		t.Fatalf("the blocks are %+v, of the jobs %+v", n.blocks, jobs)
	}
	for i, b := range n.blocks {
		if !b.Sealed || b.Threshold != jobs[i].Difficulty || b.Tries == 0 || b.Elapsed <= 0 || b.Distance.IsZero() {
			t.Errorf("odd block: %+v", b)
		}
	}
	if got := n.Tally(); got.Admitted != 1 || got.Seals != 3 || got.Jobs != 3 || got.Late != 0 || got.Refused != 0 || got.Miners != 0 {
		t.Errorf("the tally is %+v", got)
	}
}

// TestQUICMisbehaviour has miners do what no node should have to bear.
func TestQUICMisbehaviour(t *testing.T) {
	// change has the right result be wrong.
	change := func(how func(*wire.JobResult)) func(*caller, wire.NewJob) {
		return func(c *caller, job wire.NewJob) {
			result := mined(job, 0)
			how(&result)
			c.say(result)
		}
	}
	for name, test := range map[string]struct {
		do   func(*caller, wire.NewJob)
		want string
	}{
		"wrong seal": {func(c *caller, job wire.NewJob) {
			result := mined(job, 0)
			for valid(job, result.Nonce) {
				result.Nonce = result.Nonce.AddWrap(u512.From64(1))
			}
			c.say(result)
		}, "WRONG SEAL"},
		"unknown job":        {change(func(r *wire.JobResult) { r.JobID = "7" }), `job "7", of which this connection was not told`},
		"no nonces tried":    {change(func(r *wire.JobResult) { r.HashCount = 0 }), "by evaluating none"},
		"older than the job": {change(func(r *wire.JobResult) { r.ElapsedTime = 3600 }), "3600 s, and has had the job for"},
		"failed": {change(func(r *wire.JobResult) {
			r.Status, r.Nonce = "failed", u512.Uint{}
		}), "ended as failed"},
		"twice": {func(c *caller, job wire.NewJob) {
			c.say(mined(job, 0))
			c.say(mined(job, 0))
		}, "a second time"},
		"a job": {func(c *caller, job wire.NewJob) { c.say(job) }, "it says wire.NewJob"},
		"the token again": {func(c *caller, _ wire.NewJob) {
			c.say(wire.Ready{Token: "x"})
		}, "it says wire.Ready"},
		"too long a frame": {func(c *caller, _ wire.NewJob) {
			_, _ = c.stream.Write(inFrame(make([]byte, wire.MaxFrame+1)))
		}, "1025"},
		"no JSON": {func(c *caller, _ wire.NewJob) {
			_, _ = c.stream.Write(inFrame([]byte("x")))
		}, "not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, nil)
			c := enter(t, n, n.identity.Token)
			test.do(c, c.job())
			if err := n.wait(t); !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want misbehaviour: %s", err, test.want)
			}
			if reason := c.refused(); !strings.Contains(reason, test.want) {
				t.Errorf("the miner was told %q", reason)
			}
		})
	}
}

// TestQUICLate seals a job that a rival has sealed, which is nobody's fault, and then
// the present one.
func TestQUICLate(t *testing.T) {
	n := startNode(t, func(n *QUICNode) { n.Blocks = 1 })
	c := enter(t, n, n.identity.Token)
	old := c.job()
	n.Change(func(*Trouble) {})
	job := c.job()
	if job.Header == old.Header {
		t.Error("the chain's head is no other one")
	}
	c.say(mined(old, 0))
	c.say(mined(job, 0))
	if err := n.wait(t); err != nil {
		t.Fatal(err)
	}
	if got := n.Tally(); got.Late != 1 || got.Seals != 1 {
		t.Errorf("the tally is %+v", got)
	}
}

// TestQUICOtherConnection has a result arrive by another connection than its job.
func TestQUICOtherConnection(t *testing.T) {
	for _, restart := range []bool{false, true} {
		n := startNode(t, nil)
		first := enter(t, n, n.identity.Token)
		old := first.job()
		want := `job "1", of which`
		if restart {
			n.SwitchOff()
			if err := n.SwitchOn(); err != nil {
				t.Fatal(err)
			}
			want = "WRONG SEAL"
		} else {
			n.Change(func(*Trouble) {})
		}
		second := enter(t, n, n.identity.Token)
		job := second.job()
		if restart && (job.ID != old.ID || job.Header == old.Header) {
			t.Errorf("after a restart the job is %+v, and before it was %+v", job, old)
		}
		stale := mined(old, 0)
		for from := uint64(1); restart && valid(job, stale.Nonce); from++ { // as it happens to be
			stale = mined(old, from)
		}
		second.say(stale)
		if err := n.wait(t); !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), want) {
			t.Errorf("restart %t: got %v, want misbehaviour: %s", restart, err, want)
		}
	}
}

func TestQUICTokens(t *testing.T) {
	n := startNode(t, func(n *QUICNode) { n.readyTimeout = 100 * time.Millisecond })
	if reason := enter(t, n, "another").refused(); reason != wire.ReasonAuthFailed {
		t.Errorf("a wrong token was answered with %q", reason)
	}
	silent, err := call(t, n)
	if err != nil {
		t.Fatal(err)
	}
	<-silent.conn.Context().Done()
	if err := context.Cause(silent.conn.Context()); !strings.Contains(err.Error(), wire.ReasonAuthTimeout) {
		t.Errorf("no token was answered with %v", err)
	}
	n.Change(func(trouble *Trouble) { trouble.Token = "changed" })
	if reason := enter(t, n, n.identity.Token).refused(); reason != wire.ReasonAuthFailed {
		t.Errorf("the old token was answered with %q", reason)
	}
	if got := n.Tally(); got.Refused != 2 || got.Admitted != 0 {
		t.Errorf("the tally is %+v", got)
	}
	enter(t, n, "changed").job()
}

func TestQUICHandshake(t *testing.T) {
	n := startNode(t, func(n *QUICNode) { n.trouble.ALPN = "quantus-miner/3" })
	_, err := call(t, n)
	alert := quic.TransportErrorCode(0x100 + 120) // no_application_protocol
	if refused, ok := errors.AsType[*quic.TransportError](err); !ok || refused.ErrorCode != alert {
		t.Errorf("another protocol was met with %v", err)
	}
	other, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	n.Change(func(trouble *Trouble) { *trouble = Trouble{Certificate: &other.Certificate} })
	_, err = call(t, n)
	if pin, ok := errors.AsType[*wire.PinError](err); !ok || pin.Got != other.Pin() {
		t.Errorf("another certificate was met with %v", err)
	}
	n.Change(func(trouble *Trouble) { *trouble = Trouble{} })
	enter(t, n, n.identity.Token).job()
}

// TestQUICTrouble looks at what a node in trouble sends.
func TestQUICTrouble(t *testing.T) {
	n := startNode(t, func(n *QUICNode) { n.trouble.Quiet = true })
	c := enter(t, n, n.identity.Token)
	n.Change(func(trouble *Trouble) { *trouble = Trouble{Repeat: 2, Pieces: true} })
	first := c.job()
	if again := c.job(); again != first || c.job() != first {
		t.Errorf("the job %+v is not repeated, but %+v", first, again)
	}
	for pieces, want := range map[bool]int{false: 1, true: 5} { // as whatever arrives may arrive at once
		if got := len(Trouble{Pieces: pieces}.pieces([]byte("12345"))); got != want {
			t.Errorf("pieces %t: there are %d", pieces, got)
		}
	}
	n.Change(func(trouble *Trouble) { *trouble = Trouble{Fields: true, Impossible: true} })
	var head [frameHead]byte
	if _, err := io.ReadFull(c.stream, head[:]); err != nil {
		t.Fatal(err)
	}
	content := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c.stream, content); err != nil || !strings.Contains(string(content), `"colour"`) {
		t.Errorf("there are no strange fields in %s, %v", content, err)
	}
	n.Change(func(trouble *Trouble) { *trouble = Trouble{Refuse: true} })
	job := c.job()
	seal := mined(job, 0)
	c.say(seal)
	c.say(mined(job, seal.HashCount))
	if again := enter(t, n, n.identity.Token).job(); again != job {
		t.Errorf("after seals that were refused the job is %+v, and was %+v", again, job)
	}
	n.Change(func(trouble *Trouble) { *trouble = Trouble{} })
	c.say(mined(c.job(), 0))
	c.job() // so all is counted
	// Those that were refused may have come after that job was over.
	if got := n.Tally(); got.Seals+got.Late != 3 || len(n.reported()) != 1 {
		t.Errorf("the tally is %+v, the blocks %+v", got, n.reported())
	}
	n.Say(`{"Hello":{}}`)
	if _, err := wire.Read(c.stream); err == nil || !strings.Contains(err.Error(), "Hello") {
		t.Errorf("a strange message is %v", err)
	}
	n.Say(strings.Repeat("x", 2000))
	if _, err := wire.Read(c.stream); err == nil || !strings.Contains(err.Error(), "2000 bytes") {
		t.Errorf("a long frame is %v", err)
	}
	n.Drop("a reason")
	if reason := c.refused(); reason != "a reason" {
		t.Errorf("the connection was closed with %q", reason)
	}
}

// TestQUICSilence has no packet arrive, and then some, and then all.
func TestQUICSilence(t *testing.T) {
	n := startNode(t, nil)
	c := enter(t, n, n.identity.Token)
	old := c.job()
	n.Change(func(trouble *Trouble) { *trouble = Trouble{Mute: true} })
	if err := c.stream.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if m, err := wire.Read(c.stream); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a mute node says %v, %v", m, err)
	}
	if err := c.stream.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n.Change(func(trouble *Trouble) { *trouble = Trouble{Loss: 0.2} })
	for c.job(); c.job() == old; {
	}
}

// TestQUICRivals has nobody seal anything.
func TestQUICRivals(t *testing.T) {
	n := startNode(t, func(n *QUICNode) { n.BlockTimeout = 10 * time.Millisecond })
	enter(t, n, n.identity.Token)
	if err := n.wait(t); !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), "none of 10 blocks in a row") {
		t.Errorf("got %v", err)
	}
	if len(n.blocks) != maxLost || n.blocks[0].Sealed || n.difficulty != u512.From64(1) {
		t.Errorf("the blocks are %+v, and the difficulty came down to %s", n.blocks, n.difficulty)
	}
}

// TestMishaps has a node get over each thing that goes wrong.
func TestMishaps(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	end()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			n := startNode(t, nil)
			enter(t, n, n.identity.Token).job()
			n.inject(f)
			if n.wrong() != f.lasts {
				t.Errorf("what is wrong is %+v", n.wrong())
			}
			n.InjectFaults(over, time.Hour)
			enter(t, n, n.identity.Token).job()
		})
	}
}

// TestInjectFaults has all go wrong with a node that may.
func TestInjectFaults(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	n := startLoggingNode(t, &lines{wrote: func(text string) {
		for _, f := range faults {
			if !strings.Contains(text, "trouble: "+f.name) {
				return
			}
		}
		end()
	}}, nil)
	n.InjectFaults(ctx, time.Millisecond)
}

// lines is a log, which is shown to a function whenever it was written to.
type lines struct {
	mu    sync.Mutex
	text  strings.Builder
	wrote func(text string)
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.wrote(l.text.String()) }()
	return l.text.Write(line)
}

func TestIdentityFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	for range 2 { // of which the second finds the files of the first
		identity, err := NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		token, pin, err := identity.WriteFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{token: identity.Token, pin: identity.Pin().String()} {
			text, err := os.ReadFile(path)
			if err != nil || string(text) != want+"\n" {
				t.Errorf("%s holds %q, %v; want %q", path, text, err, want)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
				t.Errorf("%s may be read by others: %v, %v", path, info, err)
			}
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("there are %v, %v", files, err)
	}
}

// TestQUICListen has nodes listen on every address, of IPv4 and of both kinds, and tries
// whether that leaves the port of IPv6 to others.
func TestQUICListen(t *testing.T) {
	free, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	_ = free.Close()
	for _, c := range []struct {
		address, host string
		leavesV6      bool
	}{
		{"0.0.0.0:0", "0.0.0.0", true},
		{"127.0.0.1:0", "127.0.0.1", true},
		{"[::]:0", "::", false},
		{":0", "::", false},
	} {
		identity, err := NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		n, err := ListenQUIC(c.address, identity, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if host, _, err := net.SplitHostPort(n.Address()); host != c.host || err != nil {
			t.Errorf("%s: listens at %s", c.address, n.Address())
		}
		other, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback, Port: n.address.Port})
		if (err == nil) != c.leavesV6 {
			t.Errorf("%s: another on IPv6: %v", c.address, err)
		}
		if err == nil {
			_ = other.Close()
		}
		n.Close()
	}
}
