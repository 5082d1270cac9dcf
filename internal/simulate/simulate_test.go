package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/source/httpapi"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startMiner serves a real miner, its answers changed by tamper if that is not nil.
func startMiner(t *testing.T, tamper func(path string, answer map[string]any)) (url string) {
	log := slog.New(slog.DiscardHandler)
	miner := mining.New(log, &mining.Crew{Engine: fast.Engine{}, Workers: 1})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { miner.Run(ctx) })
	var handler http.Handler = httpapi.New(miner, log, nil, httpapi.Limits{})
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
	return Node{Miner: url, Blocks: 3, BlockTime: 5 * time.Millisecond, Poll: time.Millisecond, BlockTimeout: time.Minute}
}

func TestRun(t *testing.T) {
	var mu sync.Mutex
	var headers []string
	url := startMiner(t, nil)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/mine" {
			var request map[string]string
			if err := json.Unmarshal(body, &request); err != nil {
				t.Error(err)
			}
			if request["nonce_start"] != u512.From64(1).PaddedHex() || request["nonce_end"] != u512.Max().PaddedHex() {
				t.Errorf("the range is %s to %s", request["nonce_start"], request["nonce_end"])
			}
			mu.Lock()
			headers = append(headers, request["mining_hash"])
			mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		httputil.NewSingleHostReverseProxy(parseURL(t, url)).ServeHTTP(w, r)
	}))
	defer proxy.Close()

	var blocks []Block
	n := node(proxy.URL)
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
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(headers)
	if len(slices.Compact(headers)) != n.Blocks {
		t.Errorf("not every block has a header of its own: %s", headers)
	}
}

func parseURL(t *testing.T, s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// scripted is a miner that seals the jobs which its script has an s for, with
// nonce 1, cancels by itself those with a c, and lets the others run until they
// are cancelled. It says that it
// takes a second for a try, so that any nonce is soon good enough.
func scripted(t *testing.T, script string) (url string) {
	var mu sync.Mutex
	status := make(map[string]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		jobID := path.Base(r.URL.Path)
		answer := map[string]any{"hash_count": 1, "elapsed_time": 1.0, "nonce": nil, "work": nil}
		switch {
		case r.URL.Path == "/mine":
			var request map[string]string
			if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
				t.Error(err)
			}
			jobID = request["job_id"]
			status[jobID] = "running"
			switch script[len(status)-1] {
			case 's':
				status[jobID] = "completed"
			case 'c':
				status[jobID] = "cancelled"
			}
			answer["status"] = "accepted"
		case strings.HasPrefix(r.URL.Path, "/cancel/"):
			if status[jobID] == "running" {
				status[jobID] = "cancelled"
			}
			answer["status"] = "cancelled"
		default:
			answer["status"] = status[jobID]
			if status[jobID] == "completed" {
				answer["nonce"], answer["work"] = "1", u512.From64(1).PaddedHex()
			}
		}
		answer["job_id"] = jobID
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestRivals loses heads to rivals: nine in a row are borne, ten are not. A job
// that the miner cancels by itself is not lost to a rival.
func TestRivals(t *testing.T) {
	for script, want := range map[string]struct {
		seen string
		err  error
	}{
		".........s.........ss": {".........s.........ss", nil},
		"..........":            {"..........", ErrMisbehaved},
		"c":                     {"", ErrMisbehaved},
	} {
		seen := ""
		n := node(scripted(t, script))
		n.BlockTimeout = time.Millisecond
		if strings.Contains(script, "c") {
			n.BlockTimeout = time.Minute
		}
		n.Report = func(b Block) {
			if b.Sealed {
				seen += "s"
			} else {
				seen += "."
			}
		}
		if err := n.Run(t.Context()); seen != want.seen || !errors.Is(err, want.err) {
			t.Errorf("%s: seen %s, %v", script, seen, err)
		}
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
		"nonce and work differ": {on("/result", "completed", set("nonce", "7")), "do not belong together"},
		"work of 127 digits": {on("/result", "completed", func(a map[string]any) {
			a["work"] = strings.TrimPrefix(a["work"].(string), "0")
		}), "do not belong together"},
		"work too long": {on("/result", "completed", func(a map[string]any) {
			a["work"] = "0" + a["work"].(string)
		}), "do not belong together"},
		"negative elapsed_time": {on("/result", "", set("elapsed_time", -1)), "elapsed_time is -1"},
		"message null":          {on("/mine", "", set("message", nil)), "message is null"},
		"names in capitals": {on("/mine", "", func(a map[string]any) {
			a["JOB_ID"] = a["job_id"]
			delete(a, "job_id")
		}), "lacks job_id"},
		"no nonce":               {on("/result", "completed", set("nonce", nil)), "nonce null"},
		"no work":                {on("/result", "completed", set("work", nil)), "work null"},
		"work while running":     {on("/result", "completed", set("status", "running")), "a running job with nonce"},
		"no hash_count":          {on("/result", "", func(a map[string]any) { delete(a, "hash_count") }), "lacks hash_count"},
		"hash_count null":        {on("/result", "", set("hash_count", nil)), "hash_count is null"},
		"hash_count a fraction":  {on("/result", "", set("hash_count", 1.5)), "does not decode"},
		"hash_count 0":           {on("/result", "completed", set("hash_count", 0)), "by evaluating none"},
		"another job's result":   {on("/result", "", set("job_id", "x")), "about job"},
		"failed":                 {on("/result", "completed", func(a map[string]any) { a["status"], a["nonce"], a["work"] = "failed", nil, nil }), "ended as failed"},
		"runs on after a cancel": {on("/result", "completed", func(a map[string]any) { a["status"], a["nonce"], a["work"] = "running", nil, nil }), "still running"},
		"refuses":                {on("/mine", "", func(a map[string]any) { a["status"], a["message"] = "error", "no" }), "/mine: no"},
		"does not accept":        {on("/mine", "", set("status", "running")), "want accepted"},
		"accepts another":        {on("/mine", "", set("job_id", "x")), "about job"},
		"answers without job_id": {on("/mine", "", func(a map[string]any) { delete(a, "job_id") }), "lacks job_id"},
		"knows no job to cancel": {on("/cancel", "", set("status", "not_found")), "want cancelled"},
		"changes a final result": {on("/result", "completed", func(a map[string]any) {
			completed++
			a["hash_count"] = completed
		}), "changed from"},
	} {
		t.Run(name, func(t *testing.T) {
			n := node(startMiner(t, c.tamper))
			if strings.Contains(name, "runs on") {
				n.BlockTimeout = 100 * time.Millisecond
			}
			err := n.Run(t.Context())
			if !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want misbehaviour: %s", err, c.want)
			}
		})
	}
}

// TestStrictDecoding answers what a lenient decoder would take.
func TestStrictDecoding(t *testing.T) {
	for body, want := range map[string]string{
		`{"status":"error","status":"accepted","job_id":"x"}`: `"status" is repeated`,
		`{"status":"accepted","job_id":"x"} x`:                "the answer is not valid JSON",
		"{\"status\":\"accepted\",\"job_id\":\"\xff\"}":       "not valid UTF-8",
		`["accepted"]`: "not a JSON object",
		`null`:         "not a JSON object",
		``:             "the answer is not valid JSON",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, body)
		}))
		if err := node(server.URL).Run(t.Context()); !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want misbehaviour: %s", body, err, want)
		}
		server.Close()
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
	// No time by a clock that advances every 16 ms: a thousand tries in that time at most.
	got = adjust(Block{Tries: 1000}, 160*time.Millisecond)
	if want := u512.Max().Div64(10_000); got != want {
		t.Errorf("after no time: threshold %s, want %s", got, want)
	}
	for _, b := range []Block{{}, {Tries: 1 << 63, Elapsed: 1}, {Elapsed: time.Second}} {
		if adjust(b, time.Second).IsZero() {
			t.Errorf("%+v leads to an impossible threshold", b)
		}
	}
}
