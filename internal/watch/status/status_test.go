package status

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/u512"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite the golden files")

// inBubble runs a miner of one worker, which evaluates 100 nonces a second, with its
// board in a bubble of time. The test begins 5 ms after a second has, so that nonces never
// coincide with the ticks of what watches them.
func inBubble(t *testing.T, node func() Node, test func(*mining.Miner, *Board)) {
	synctest.Test(t, func(t *testing.T) {
		m := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: enginetest.Paced{Interval: 10 * time.Millisecond, Winner: u512.From64(500)}, Workers: 1})
		s := hashrate.NewSampler(m, pow.Poseidon2.Difficulty)
		b := New(s, Program{"v1.2.3", "0123456789abcdef", "poseidon2", pow.Poseidon2.Difficulty}, node)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		running.Go(func() { s.Run(ctx) })
		<-time.After(5 * time.Millisecond)
		test(m, b)
		cancel()
		running.Wait()
	})
}

func submit(t *testing.T, m *mining.Miner, id string, first uint64) *mining.Job {
	t.Helper()
	job, err := m.Submit(mining.Request{ID: id, Threshold: u512.From64(4000), Range: engine.Range{Start: u512.From64(first), End: u512.Max()}})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// ask returns what the board answers, indented, after it was held to the contract.
func ask(t *testing.T, b *Board) string {
	t.Helper()
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/status", nil))
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %s", got)
	}
	hold(t, w.Body.Bytes())
	var text bytes.Buffer
	if err := json.Indent(&text, w.Body.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// hold holds an answer to api/status.yaml.
func hold(t *testing.T, answer []byte) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../../api/status.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(answer, &value); err != nil {
		t.Fatal(err)
	}
	schema := doc.Components.Schemas["Status"].Value
	if err := schema.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		t.Errorf("the answer breaks the contract: %v\n%s", err, answer)
	}
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

// TestServing holds the whole status of a miner that serves an API to golden files:
// before its first job, and while one runs and others have ended.
func TestServing(t *testing.T) {
	inBubble(t, nil, func(m *mining.Miner, b *Board) {
		golden(t, "testdata/idle.json", ask(t, b))
		<-submit(t, m, "fetched", 1).Done()
		b.Fetched("fetched", 250*time.Millisecond)
		<-submit(t, m, "<not> fetched", 401).Done()
		submit(t, m, "cancelled", 1000)
		<-time.After(1003 * time.Millisecond)
		m.Cancel("cancelled")
		submit(t, m, "running", 1000)
		<-time.After(time.Minute + 504*time.Millisecond)
		golden(t, "testdata/serving.json", ask(t, b))
	})
}

// TestConnected holds the status of a miner that works for a node, and has lost it.
func TestConnected(t *testing.T) {
	var node Node
	inBubble(t, func() Node { return node }, func(m *mining.Miner, b *Board) {
		node = Node{
			Address: "node.example:9833", State: "working", Since: time.Now(),
			Connections: 1, Jobs: 2, Results: 1, Summary: "working for node.example:9833",
		}
		submit(t, m, "27#1", 1000)
		<-time.After(10*time.Second + 502*time.Millisecond)
		golden(t, "testdata/working.json", ask(t, b))
		m.Cancel("27#1")
		next := time.Now().Add(time.Second).UTC()
		node.State, node.Since, node.Reason, node.NextTry = "not_connected", time.Now(), "timeout: no recent network activity", &next
		node.Failures, node.Summary = 1, "not connected to node.example:9833: timeout: no recent network activity; next try at 00:00:11"
		golden(t, "testdata/lost.json", ask(t, b))
	})
}

// TestPool holds the status of a miner that works for a pool, and has none.
func TestPool(t *testing.T) {
	inBubble(t, nil, func(m *mining.Miner, b *Board) {
		latency := 0.034
		pool := Pool{
			URL: "stratum+ssl://pool.example:3333", State: "working", Since: time.Now(), Connections: 1, Jobs: 2, Difficulty: 18446744073709551615,
			Shares: Shares{Accepted: 12, Stale: 1, Unacknowledged: 2}, Latency: &latency, Summary: "working for stratum+ssl://pool.example:3333",
		}
		b.Pool = func() Pool { return pool }
		<-submit(t, m, "22729#2", 1).Done()
		b.Settled("22729#2", u512.From64(500), "accepted", 35*time.Millisecond)
		submit(t, m, "22729#3", 1000)
		<-time.After(10*time.Second + 502*time.Millisecond)
		golden(t, "testdata/pool.json", ask(t, b))
		pool.State, pool.Summary, pool.Latency, pool.Difficulty = "waiting", "connected to stratum+ssl://pool.example:3333, which has no job yet", nil, 0
		if s := b.Status(); s.State != "waiting" || s.Reason != pool.Summary {
			t.Errorf("the state is %s: %s", s.State, s.Reason)
		}
		hold(t, []byte(ask(t, b)))
	})
}

// TestGPUs holds the status of a miner with GPUs: one that searches, and one that does not.
func TestGPUs(t *testing.T) {
	inBubble(t, nil, func(m *mining.Miner, b *Board) {
		b.GPUs = func() []Device {
			return []Device{
				{Name: "gpu0", Engine: "gpu", Backend: "opencl", GPU: &GPU{Model: "a card", Driver: "1.0", State: "ready", Restarts: 1, Launch: 0.025, Queued: 1}},
				{Name: "gpu1", Engine: "gpu", Backend: "cuda", GPU: &GPU{Model: "another", Driver: "CUDA 12.2", State: "waiting", Reason: "the device was lost"}},
			}
		}
		m.Add(&mining.Crew{Name: "gpu0", Engine: enginetest.Paced{Interval: 10 * time.Millisecond, Winner: u512.From64(500)}, Workers: 1})
		submit(t, m, "running", 1000)
		<-time.After(10*time.Second + 502*time.Millisecond)
		golden(t, "testdata/gpus.json", ask(t, b))
	})
}

// TestWinners finds more winners than a board remembers, and asks for them when their
// jobs are forgotten.
func TestWinners(t *testing.T) {
	const latest = 50
	inBubble(t, nil, func(m *mining.Miner, b *Board) {
		for i := range latest + 5 {
			<-submit(t, m, fmt.Sprint(i), 491).Done() // 0.1 s
		}
		b.Fetched("0", time.Second) // it is not there any more, and nothing comes of it
		<-time.After(2 * mining.Retention)
		if known := len(m.Overview().Jobs); known != 0 {
			t.Fatalf("%d jobs are known", known)
		}
		s := b.Status()
		if s.Found != latest+5 || len(s.Winners) != latest {
			t.Fatalf("%d winners, of which %d are there", s.Found, len(s.Winners))
		}
		for i, w := range s.Winners {
			if want := fmt.Sprint(latest + 4 - i); w.Job != want || w.Took != 0.1 || w.Nonce != "1f4" || w.Answer != "none" || w.After != nil {
				t.Errorf("winner %d is that of job %s: %+v", i, want, w)
			}
		}
	})
}

// TestEarlyAnswer has a pool answer before the miner has noted the winner, and the board forget
// what is long over.
func TestEarlyAnswer(t *testing.T) {
	inBubble(t, nil, func(m *mining.Miner, b *Board) {
		b.Settled("a", u512.From64(500), "accepted", time.Millisecond)
		<-submit(t, m, "a", 491).Done()
		if w := b.Status().Winners; len(w) != 1 || w[0].Answer != "accepted" || *w[0].After != 0.001 {
			t.Errorf("the winners are %+v", w)
		}
		for i := range uint64(1000) {
			b.Settled("b", u512.From64(i), "stale", 0)
		}
		if w := b.Status().Winners; len(b.answers) != maxAnswers || len(b.order) != maxAnswers || w[0].Answer != "none" {
			t.Errorf("%d answers are kept, and the winners are %+v", len(b.answers), w)
		}
	})
}

// TestNoEngine asks a miner that takes no jobs.
func TestNoEngine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: enginetest.Paced{}, Workers: 1})
	b := New(hashrate.NewSampler(m, nil), Program{}, nil)
	m.Run(ctx)
	if s := b.Status(); s.State != "no_engine" || s.Reason == "" {
		t.Errorf("%s: %s", s.State, s.Reason)
	}
	hold(t, []byte(ask(t, b)))
}
