package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine/fast"
	"github.com/quantus-network/quantus-miner/internal/httpapi"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startMiner serves a real miner, its answers changed by tamper if that is not nil.
func startMiner(t *testing.T, tamper func(path string, answer map[string]any)) (url string) {
	log := slog.New(slog.DiscardHandler)
	miner := mining.New(fast.Engine{}, 1, log)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { miner.Run(ctx) })
	handler := httpapi.New(miner, log)
	if tamper != nil {
		handler = tampering(t, handler, tamper)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() { server.Close(); cancel(); running.Wait() })
	return server.URL
}

func tampering(t *testing.T, handler http.Handler, tamper func(string, map[string]any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		d := json.NewDecoder(recorder.Body)
		d.UseNumber()
		var answer map[string]any
		if err := d.Decode(&answer); err != nil {
			t.Error(err)
		}
		tamper(r.URL.Path, answer)
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	})
}

func node(url string) Node {
	return Node{Miner: url, Blocks: 3, BlockTime: 5 * time.Millisecond, Poll: time.Millisecond, Patience: time.Minute}
}

func TestRun(t *testing.T) {
	var blocks []Block
	n := node(startMiner(t, nil))
	n.Report = func(b Block) { blocks = append(blocks, b) }
	if err := n.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(blocks) != n.Blocks {
		t.Fatalf("%d blocks reported, want %d", len(blocks), n.Blocks)
	}
	for _, b := range blocks {
		if !b.Sealed || b.Nonce.IsZero() || b.Distance.Cmp(b.Threshold) > 0 || b.Tries == 0 || b.Elapsed <= 0 {
			t.Errorf("odd block: %+v", b)
		}
	}
}

// TestRivals gives the miner no time at all: every head is lost, running jobs
// are cancelled, and in the end the miner is taken for one that finds nothing.
func TestRivals(t *testing.T) {
	lost := 0
	n := node(startMiner(t, nil))
	n.Patience, n.Poll = time.Nanosecond, time.Hour
	n.Report = func(b Block) {
		if !b.Sealed {
			lost++
		}
	}
	// Once in a while the first nonces hold a winner even so, and it counts.
	if err := n.Run(t.Context()); lost == 0 || err != nil && !errors.Is(err, ErrMisbehaved) {
		t.Errorf("%d heads lost, %v", lost, err)
	}
}

// TestMisbehaviour has a miner break its contract in every way that the node
// would suffer from.
func TestMisbehaviour(t *testing.T) {
	on := func(prefix, status string, change func(map[string]any)) func(string, map[string]any) {
		return func(path string, answer map[string]any) {
			if strings.HasPrefix(path, prefix) && (status == "" || answer["status"] == status) {
				change(answer)
			}
		}
	}
	set := func(key string, value any) func(map[string]any) {
		return func(answer map[string]any) { answer[key] = value }
	}
	completed := 0
	for name, c := range map[string]struct {
		tamper func(string, map[string]any)
		want   string
	}{
		"wrong seal": {on("/result", "completed", func(a map[string]any) {
			a["nonce"], a["work"] = "7", u512.From64(7).PaddedHex()
		}), "WRONG SEAL"},
		"nonce 0": {on("/result", "completed", func(a map[string]any) {
			a["nonce"], a["work"] = "0", u512.Uint{}.PaddedHex()
		}), "WRONG SEAL"},
		"nonce and work differ":  {on("/result", "completed", set("nonce", "7")), "do not belong together"},
		"upper-case work":        {on("/result", "completed", set("work", strings.Repeat("F", 128))), "do not belong together"},
		"no work":                {on("/result", "completed", set("work", nil)), "work null"},
		"work while running":     {on("/result", "running", set("work", u512.From64(7).PaddedHex())), "running job with nonce null"},
		"no hash_count":          {on("/result", "", func(a map[string]any) { delete(a, "hash_count") }), "lacks a field"},
		"hash_count null":        {on("/result", "", set("hash_count", nil)), "lacks a field"},
		"hash_count a fraction":  {on("/result", "", set("hash_count", 1.5)), "does not decode"},
		"hash_count 0":           {on("/result", "completed", set("hash_count", 0)), "by evaluating none"},
		"another job's result":   {on("/result", "", set("job_id", "x")), "about job"},
		"failed":                 {on("/result", "completed", func(a map[string]any) { a["status"], a["nonce"], a["work"] = "failed", nil, nil }), "ended as failed"},
		"runs on after a cancel": {on("/result", "completed", func(a map[string]any) { a["status"], a["nonce"], a["work"] = "running", nil, nil }), "still running"},
		"refuses":                {on("/mine", "", func(a map[string]any) { a["status"], a["message"] = "error", "no" }), "/mine: no"},
		"does not accept":        {on("/mine", "", set("status", "running")), "want accepted"},
		"accepts another":        {on("/mine", "", set("job_id", "x")), "about job"},
		"answers without job_id": {on("/mine", "", func(a map[string]any) { delete(a, "job_id") }), "lacks status or job_id"},
		"knows no job to cancel": {on("/cancel", "", set("status", "not_found")), "want cancelled"},
		"changes a final result": {on("/result", "completed", func(a map[string]any) {
			completed++
			a["hash_count"] = completed
		}), "changed from"},
	} {
		t.Run(name, func(t *testing.T) {
			n := node(startMiner(t, c.tamper))
			if strings.Contains(name, "runs on") {
				n.Patience = 100 * time.Millisecond
			}
			err := n.Run(t.Context())
			if !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want misbehaviour: %s", err, c.want)
			}
		})
	}
}

func TestNoMiner(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if err := node(server.URL).Run(t.Context()); err == nil || errors.Is(err, ErrMisbehaved) {
		t.Errorf("got %v, want an error of the connection", err)
	}
}

func TestNoJSON(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if err := node(server.URL).Run(t.Context()); !errors.Is(err, ErrMisbehaved) {
		t.Errorf("got %v, want misbehaviour", err)
	}
}

// TestInterrupted gives up in the middle of a job, which the miner is told.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var paths bytes.Buffer
	n := node(startMiner(t, func(path string, answer map[string]any) {
		mu.Lock()
		defer mu.Unlock()
		paths.WriteString(path + " ")
		if strings.HasPrefix(path, "/mine") {
			cancel()
		}
	}))
	n.Poll = time.Hour
	if err := n.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(paths.String(), "/cancel/") {
		t.Errorf("the job was not cancelled: %s", &paths)
	}
}

func TestAdjust(t *testing.T) {
	// A million tries in two seconds, aiming at four: one nonce in two million.
	got := adjust(Block{Tries: 1_000_000, Elapsed: 2 * time.Second}, 4*time.Second)
	if want := u512.Max().Div64(2_000_000); got != want {
		t.Errorf("threshold %s, want %s", got, want)
	}
	for _, b := range []Block{{}, {Tries: 1 << 63, Elapsed: 1}, {Elapsed: time.Second}} {
		if adjust(b, time.Second).IsZero() {
			t.Errorf("%+v leads to an impossible threshold", b)
		}
	}
}
