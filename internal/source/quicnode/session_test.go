package quicnode

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/quic-go/quic-go"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
	"github.com/quantus-network/quantus-miner/internal/watch/console"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// onDemand is an engine of a thousand nonces a second, which has a winner when the test
// wants one.
type onDemand struct{ wanted *atomic.Bool }

func (onDemand) Name() string                                      { return "cpu-simd" }
func (onDemand) Backend() string                                   { return "clock" }
func (e onDemand) Prepare([32]byte, u512.Uint) (engine.Job, error) { return e, nil }
func (onDemand) Verify(u512.Uint) (distance u512.Uint, ok bool)    { return u512.Uint{}, true }
func (e onDemand) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	for nonce := r.Start; ; nonce = nonce.AddWrap(u512.From64(1)) {
		<-time.After(time.Millisecond)
		goOn := p.Advance(1)
		switch {
		case e.wanted.CompareAndSwap(true, false):
			return engine.Outcome{Status: engine.Found, Nonce: nonce}
		case nonce == r.End:
			return engine.Outcome{Status: engine.Exhausted}
		case !goOn:
			return engine.Outcome{Status: engine.Stopped}
		}
	}
}

// logged runs a miner of one thread that works for a node, as connect does, with a log
// of its own and reports in it. Nonces never coincide with what the test does.
func logged(t *testing.T, handler slog.Handler, test func(n *network, log *slog.Logger, win func(), ended <-chan error)) {
	synctest.Test(t, func(t *testing.T) {
		time.Local = time.UTC
		log := slog.New(console.Rationed(handler))
		var wanted atomic.Bool
		miner := mining.New(slog.New(console.Lowered(log.Handler(), "job failed")), &mining.Crew{Engine: onDemand{&wanted}, Workers: 1})
		n := newNetwork(t, "10.0.0.5:9833")
		link := New(miner, []Node{{"10.0.0.5:9833", func() (Credentials, error) { return Credentials{Token: "token"}, nil }}}, log)
		link.dial = n.dial
		reports := hashrate.Reports{Miner: miner, Difficulty: pow.Poseidon2.Difficulty, Interval: 10 * time.Second, Log: log, More: func() []any {
			s := link.Status()
			return []any{"node", s.String(), "state", s.State.String()}
		}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		var g sync.WaitGroup
		g.Go(func() { miner.Run(ctx) })
		g.Go(func() { ended <- link.Run(ctx) })
		g.Go(func() { reports.Run(ctx) })
		<-time.After(500 * time.Microsecond)
		test(n, log, func() { wanted.Store(true) }, ended)
		stop()
		g.Wait()
	})
}

// TestSession holds the log of a minute to golden files, for people and for machines: two
// winners, a connection that is lost, and a token that is refused.
func TestSession(t *testing.T) {
	for file, handler := range map[string]func(io.Writer) slog.Handler{
		"testdata/session.txt":  func(w io.Writer) slog.Handler { return console.New(w, console.Options{Clock: time.TimeOnly}) },
		"testdata/session.json": func(w io.Writer) slog.Handler { return console.ForMachines(w, slog.LevelInfo, false) },
	} {
		t.Run(file, func(t *testing.T) {
			out := new(locked)
			logged(t, handler(out), func(n *network, log *slog.Logger, win func(), ended <-chan error) {
				began := time.Now()
				at := func(second float64) {
					<-time.After(time.Until(began.Add(time.Duration(second * float64(time.Second)))))
				}
				c := n.answer("10.0.0.5:9833")
				at(1)
				c.job("27", 1, 25_000)
				at(5.0003)
				win()
				c.result("27", 1)
				at(5.2)
				c.job("28", 2, 26_000)
				at(24.0003)
				win()
				c.result("28", 1)
				at(24.2)
				c.job("29", 3, 26_500)
				at(31.5)
				c.end(&quic.IdleTimeoutError{})
				c = n.answer("10.0.0.5:9833")
				at(41)
				c.job("1", 4, 27_000)
				at(59.5)
				c.end(&quic.ApplicationError{Remote: true, ErrorMessage: "the node ends"})
				c = n.answer("10.0.0.5:9833")
				c.end(&quic.ApplicationError{Remote: true, ErrorMessage: wire.ReasonAuthFailed})
				if err := <-ended; !errors.Is(err, ErrTokenRefused) {
					t.Errorf("the session ends with %v", err)
				}
			})
			// What is drawn by lot: nonces, and pauses between two tries.
			text := regexp.MustCompile(`[0-9a-f]{8}…[0-9a-f]{8}|[0-9a-f]{120,128}`).ReplaceAllString(out.String(), "NONCE")
			text = regexp.MustCompile(`next try in [0-9.]+ m?s`).ReplaceAllString(text, "next try in 1 s")
			text = regexp.MustCompile(`\.[0-9]+Z`).ReplaceAllString(text, "Z")
			text = regexp.MustCompile(`("next_try_seconds":|next try at )[0-9.:]+`).ReplaceAllString(text, "${1}1")
			// Whether a tick comes before the report of the same moment is a matter of luck.
			text = strings.NewReplacer("cpu 999 H/s", "cpu 1 kH/s", `"cpu":999}`, `"cpu":1000}`).Replace(text)
			golden(t, file, text)
		})
	}
}

// TestFlood has a node send a thousand jobs a second.
func TestFlood(t *testing.T) {
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return console.New(w, console.Options{}) },
		"json": func(w io.Writer) slog.Handler { return console.ForMachines(w, slog.LevelInfo, false) },
	} {
		t.Run(name, func(t *testing.T) {
			out := new(locked)
			logged(t, handler(out), func(n *network, _ *slog.Logger, _ func(), _ <-chan error) {
				c := n.answer("10.0.0.5:9833")
				written := 0
				for second := range 15 {
					for i := range 1000 {
						c.job(fmt.Sprint(second*1000+i), byte(i), 1<<40)
						<-time.After(time.Millisecond)
					}
					if now := len(out.String()); now-written >= 5000 {
						t.Errorf("second %d: %d bytes", second, now-written)
					}
					written = len(out.String())
				}
				c.Close()
			})
			if !strings.Contains(out.String(), "999") { // are not shown
				t.Errorf("nobody is told:\n%s", out)
			}
		})
	}
}

// TestLinesOfABlock counts what is said of blocks that come every three seconds.
func TestLinesOfABlock(t *testing.T) {
	out := new(locked)
	logged(t, console.New(out, console.Options{}), func(n *network, _ *slog.Logger, win func(), _ <-chan error) {
		c := n.answer("10.0.0.5:9833")
		const blocks = 20
		synctest.Wait()
		before := strings.Count(out.String(), "\n")
		for i := range blocks {
			c.job(fmt.Sprint(i), byte(i), 3000)
			<-time.After(3 * time.Second)
			win()
			c.result(fmt.Sprint(i), 1)
		}
		synctest.Wait()
		reports := strings.Count(out.String(), "speed ")
		if lines := strings.Count(out.String(), "\n") - before - reports; lines != 2*blocks || reports != 6 {
			t.Errorf("%d lines and %d reports for %d blocks:\n%s", lines, reports, blocks, out)
		}
		c.Close()
	})
}

// golden compares with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
