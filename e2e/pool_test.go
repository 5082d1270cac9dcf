package e2e

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// pool is a pool, played by the test.
type pool struct {
	*simulate.Pool
	ca    string          // the file with its CA
	alive context.Context // until the pool ends
}

// playPool plays a pool until the test ends, which fails if a miner has done wrong by then.
// A share takes 50 ms.
func playPool(t *testing.T) *pool {
	t.Helper()
	identity, err := simulate.NewPoolIdentity("")
	must(t, err)
	p := new(pool)
	p.Pool, err = simulate.ListenPool("127.0.0.1:0", identity, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	must(t, err)
	p.ca, _, err = identity.WriteFiles(t.TempDir())
	must(t, err)
	p.ShareTime, p.Keepalive, p.Grace = 50*time.Millisecond, 2*time.Second, 10*time.Second
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	var over context.CancelFunc
	p.alive, over = context.WithCancel(context.Background())
	go func() {
		err := p.Run(ctx)
		p.Close()
		over()
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the pool ended with %v", err)
		}
	})
	return p
}

// minePool starts a miner that knows a pool by two names, TLS and TCP: so the refusal of a
// login is not the end.
func minePool(t *testing.T, p *pool) (m miner) {
	t.Helper()
	command := exec.Command(binary, "pool", "--url", "stratum+ssl://"+p.Address(), "--url", "stratum+tcp://"+p.Address(),
		"--tls-ca", p.ca, "--user", simulate.PoolUser, "--keepalive", "2s", "--metrics-port", "0", "--log-format", "json")
	shown := make(chan struct{})
	m.process = start(t, command, func(e entry) {
		if e.Page != "" {
			m.Monitor = e.Page
			close(shown)
		}
	})
	select {
	case <-shown:
	case <-m.ended:
		t.Fatal("the miner did not come to show its metrics")
	}
	return m
}

// works waits until some shares of the miner's are accepted.
func (p *pool) works(t *testing.T) {
	t.Helper()
	from := p.Tally().Accepted
	eventually(t, "shares are accepted", func() bool { return p.Tally().Accepted >= from+5 })
}

// TestPool has a miner come to a pool that is well, through all that it may do: no share is
// refused, and the miner stays until it is told to end.
func TestPool(t *testing.T) {
	p := playPool(t)
	m := minePool(t, p)
	eventually(t, "the pool has made all its moves", func() bool { return p.Tally().Answers >= 2 && p.Tally().Keepalives > 0 })
	if got := p.Tally(); got.Left+got.Unanswered+got.Turned != 0 || got.Logins != 1 || len(got.Refused) > 0 {
		t.Errorf("the tally is %+v", got)
	}
	m.stop(t)
	must(t, m.end(t))
	eventually(t, "the pool knows that the miner is gone", func() bool { return p.Tally().Miners == 0 })
}

// TestSimulatePoolListens has the binary play the pool, and does what it says to have a
// miner come to it.
func TestSimulatePoolListens(t *testing.T) {
	command := exec.Command(binary, "simulate", "--pool", "--listen", "127.0.0.1:0", "--dir", t.TempDir(), "--blocks", "5", "--block-time", "20ms")
	out, err := command.StdoutPipe()
	must(t, err)
	p := start(t, command, func(entry) {})
	lines := bufio.NewScanner(out)
	says := ""
	for !strings.Contains(says, "quantus-miner pool ") && lines.Scan() {
		says = lines.Text()
	}
	words := strings.Fields(says)
	if len(words) < 2 {
		t.Fatalf("it says %q: %v", says, lines.Err())
	}
	start(t, exec.Command(binary, append(words[1:], "--log-format", "json")...), func(entry) {})
	for lines.Scan() {
		says = lines.Text()
	}
	if err := p.end(t); err != nil || !strings.HasPrefix(says, "accepted 5 of 5 shares, no share wrong, refused 0;") {
		t.Errorf("the pool ended with %v, and said %q", err, says)
	}
}
