package stratum

import (
	"bufio"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sha is an engine with the rule of SHA-512, which takes a millisecond for a nonce. It
// remembers what it was last asked for.
type sha struct {
	mu   *sync.Mutex
	last *puzzle // without the extranonce
	// harder is by how much what it finds is better than it need be: a factor of the difficulty.
	harder uint64
}

func newSHA() sha { return sha{mu: new(sync.Mutex), last: new(puzzle), harder: 1} }

func (sha) Name() string    { return "sha" }
func (sha) Backend() string { return "clock" }
func (e sha) Prepare(header [32]byte, difficulty u512.Uint) (engine.Job, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*e.last = puzzle{space: space{hash: header}, difficulty: difficulty.Sat64(), target: u512.Max().Div64(difficulty.Sat64())}
	return shaJob{*e.last, e.harder}, nil
}

type shaJob struct {
	puzzle
	harder uint64
}

// hashOf is the rule.
func hashOf(header [32]byte, nonce u512.Uint) u512.Uint {
	bytes := nonce.Bytes()
	return u512.FromBytes(sha512.Sum512(append(header[:], bytes[:]...)))
}

func (j shaJob) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	for nonce := r.Start; ; nonce = nonce.AddWrap(u512.From64(1)) {
		<-time.After(time.Millisecond)
		goOn := p.Advance(1)
		switch {
		case hashOf(j.hash, nonce).Cmp(j.target.Div64(j.harder)) < 0:
			return engine.Outcome{Status: engine.Found, Nonce: nonce}
		case nonce == r.End:
			return engine.Outcome{Status: engine.Exhausted}
		case !goOn:
			return engine.Outcome{Status: engine.Stopped}
		}
	}
}

func (j shaJob) Verify(nonce u512.Uint) (u512.Uint, bool) {
	hash := hashOf(j.hash, nonce)
	return hash, hash.Cmp(j.target) < 0
}

// call is a pool's end of a connection.
type call struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
	login loginParams
	token string // what the session is called
	nonce string // its extranonce
}

// said is what the miner says.
type said struct {
	ID     json.RawMessage
	Method string
	Params struct {
		loginParams
		ID    string
		JobID string `json:"job_id"`
		Nonce string
	}
	Error *struct{ Code int }
}

// read reads the miner's next line.
func (c *call) read() (s said, err error) {
	line, err := c.lines.ReadString('\n')
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(line), &s); err != nil {
		c.t.Errorf("the miner says %q: %v", line, err)
	}
	return s, nil
}

// hear reads the miner's next line, which must be a request with that method.
func (c *call) hear(method string) said {
	c.t.Helper()
	s, err := c.read()
	if err != nil || s.Method != method {
		c.t.Fatalf("the miner says %+v, %v: want %s", s, err, method)
	}
	return s
}

// say sends a line.
func (c *call) say(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format+"\n", args...); err != nil {
		c.t.Errorf("sending %s: %v", format, err)
	}
}

// job returns a job.
func (c *call) job(id string, header byte, difficulty uint64) string {
	return jobText(id, header, c.nonce, difficulty)
}

func jobText(id string, header byte, extranonce string, difficulty uint64) string {
	return fmt.Sprintf(`{"algo":"qpow-poseidon2","job_id":%q,"mining_hash":"%x","extranonce":%q,"target":%q,"difficulty":%d}`,
		id, [32]byte{header}, extranonce, u512.Max().Div64(difficulty).PaddedHex(), difficulty)
}

// notify sends a job.
func (c *call) notify(id string, header byte, difficulty uint64) {
	c.t.Helper()
	c.say(`{"jsonrpc":"2.0","method":"job","params":{"clean_jobs":true,"job":%s}}`, c.job(id, header, difficulty))
}

// welcome accepts a login, with a job or null.
func (c *call) welcome(job string) {
	c.t.Helper()
	c.say(`{"id":1,"result":{"id":%q,"status":"OK","extensions":["keepalive"],"job":%s}}`, c.token, job)
}

// share reads a share, which must be one of a job.
func (c *call) share(id string, header byte, difficulty uint64) said {
	c.t.Helper()
	s := c.hear("submit")
	nonce, err := u512.ParseHex(s.Params.Nonce)
	switch {
	case err != nil || len(s.Params.Nonce) != 128 || !strings.HasPrefix(s.Params.Nonce, c.nonce):
		c.t.Errorf("a share has the nonce %q, %v", s.Params.Nonce, err)
	case s.Params.ID != c.token || s.Params.JobID != id:
		c.t.Errorf("a share is of job %s of session %s, want %s of %s", s.Params.JobID, s.Params.ID, id, c.token)
	case hashOf([32]byte{header}, nonce).Cmp(u512.Max().Div64(difficulty)) >= 0:
		c.t.Errorf("a share does not meet the target of job %s", id)
	}
	return s
}

// ok accepts a share.
func (c *call) ok(s said) {
	c.t.Helper()
	c.say(`{"id":%s,"result":{"status":"OK"}}`, s.ID)
}

// ended waits for the miner to close the connection.
func (c *call) ended() {
	c.t.Helper()
	for {
		s, err := c.read()
		if err != nil {
			return
		}
		if s.Method != "submit" {
			c.t.Errorf("the miner says %+v", s)
		}
	}
}

// rig is a miner that works for pools.
type rig struct {
	t        *testing.T
	calls    map[string]chan *call
	sessions int
	engine   sha
	miner    *mining.Miner
	link     *Link
	log      *locked
	settled  []Share
	mu       sync.Mutex
	down     map[string]error
	done     chan error
	stop     func()
}

// bubble runs a test with a miner that works for pools of these names, at the clock of a bubble.
func bubble(t *testing.T, e sha, test func(r *rig), pools ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, e, pools...)
		defer r.stop()
		test(r)
	})
}

func start(t *testing.T, e sha, pools ...string) *rig {
	r := &rig{t: t, calls: make(map[string]chan *call), engine: e, log: new(locked), down: make(map[string]error), done: make(chan error, 1)}
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.miner = mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: e, Workers: 2})
	r.miner.Limits.Over = 4
	var list []Pool
	for _, name := range pools {
		r.calls[name] = make(chan *call)
		list = append(list, Pool{URL: name, Login: func() (Login, error) { return Login{"qzuser." + name, "secret"}, nil }})
	}
	r.link = New(r.miner, list, "miner/1", logger)
	r.link.dial = r.dial
	r.link.Settled = func(s Share) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.settled = append(r.settled, s)
	}
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

func (r *rig) dial(ctx context.Context, pool Pool) (net.Conn, error) {
	r.mu.Lock()
	down := r.down[pool.URL]
	r.mu.Unlock()
	if down != nil {
		return nil, down
	}
	ours, theirs := net.Pipe()
	select {
	case r.calls[pool.URL] <- &call{t: r.t, Conn: theirs, lines: bufio.NewReader(theirs)}:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// set says why a pool cannot be reached from now on, or nil.
func (r *rig) set(pool string, down error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[pool] = down
}

// answer takes a call to a pool, and the login with which it begins.
func (r *rig) answer(pool string) *call {
	r.t.Helper()
	c := <-r.calls[pool]
	s := c.hear("login")
	if string(s.ID) != "1" {
		r.t.Errorf("the login has the ID %s", s.ID)
	}
	r.sessions++
	c.login, c.token, c.nonce = s.Params.loginParams, fmt.Sprint("session ", r.sessions), hex.EncodeToString([]byte{0, 4, byte(r.sessions), 0x45})
	return c
}

// is checks the link's state, when all is at rest.
func (r *rig) is(state upstream.State, pool string) {
	r.t.Helper()
	synctest.Wait()
	if s := r.link.Status(); s.State != state || s.Server != pool {
		r.t.Errorf("the link is %v for %s, want %v for %s", s.State, s.Server, state, pool)
	}
}

// counted checks the counts, when all is at rest.
func (r *rig) counted(want Counts) {
	r.t.Helper()
	synctest.Wait()
	if got := r.link.Status().Shares; got != want {
		r.t.Errorf("the shares are %v, want %v", got, want)
	}
}

// searches checks what is searched, when all is at rest: nothing if the difficulty is 0.
func (r *rig) searches(header byte, extranonce string, difficulty uint64) {
	r.t.Helper()
	synctest.Wait()
	jobs := r.miner.Current().Jobs
	if difficulty == 0 {
		if len(jobs) > 0 {
			r.t.Errorf("%d jobs are searched", len(jobs))
		}
		return
	}
	if len(jobs) != 1 {
		r.t.Fatalf("%d jobs are searched", len(jobs))
	}
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	nonces := jobs[0].Job.Range()
	if r.engine.last.hash != [32]byte{header} || r.engine.last.difficulty != difficulty ||
		nonces.Start.PaddedHex() != extranonce+strings.Repeat("0", 120) || nonces.End.PaddedHex() != extranonce+strings.Repeat("f", 120) {
		r.t.Errorf("%x is searched for difficulty %d from %s, want %x for %d from %s",
			r.engine.last.hash, r.engine.last.difficulty, nonces.Start.PaddedHex()[:8], [32]byte{header}, difficulty, extranonce)
	}
}

// says checks that the log has a text.
func (r *rig) says(text string) {
	r.t.Helper()
	synctest.Wait()
	if !strings.Contains(r.log.String(), text) {
		r.t.Errorf("the log has no %s:\n%s", text, r.log)
	}
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
