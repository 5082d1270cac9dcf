package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/baseline"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/simulate"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// liar is cpu-fast, but for the nonces that it finds: they are one too high.
type liar struct{ engine.Engine }

func (e liar) Name() string { return "liar" }

func (e liar) Prepare(header [32]byte, threshold u512.Uint) (engine.Job, error) {
	job, err := e.Engine.Prepare(header, threshold)
	return liarJob{job}, err
}

type liarJob struct{ engine.Job }

func (j liarJob) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	outcome := j.Job.Search(r, p)
	outcome.Nonce = outcome.Nonce.AddWrap(u512.From64(1))
	return outcome
}

// lastLiar is a liar that there is no other engine behind.
type lastLiar struct{ liar }

func (e lastLiar) Name() string { return e.Engine.Name() }

// breaker is an engine that panics when it is to search a header of zeros.
type breaker struct{ engine.Engine }

func (e breaker) Prepare(header [32]byte, threshold u512.Uint) (engine.Job, error) {
	job, err := e.Engine.Prepare(header, threshold)
	if header == [32]byte{} {
		return breakerJob{job}, err
	}
	return job, err
}

type breakerJob struct{ engine.Job }

func (breakerJob) Search(engine.Range, *engine.Progress) engine.Outcome { panic("breaking down") }

// answer returns the body of an answer, or the error.
func answer(response *http.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprint(string(body), err)
}

// TestEngineFaults has a node seal blocks with a miner whose engine breaks down in
// one job, and reports wrong nonces in all others: no seal is wrong, and no block is
// lost to it.
func TestEngineFaults(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	stopped := make(chan struct{})
	t.Run("serving", func(t *testing.T) {
		during(t, func(ctx context.Context) {
			defer close(stopped)
			s := service{proof: pow.SHA3RSA, engine: breaker{liar{fast.Engine{}}}, workers: 2, api: listener, log: slog.New(slog.NewTextHandler(&log, nil))}
			if err := s.run(ctx); err != nil {
				t.Error(err)
			}
		})
		url := "http://" + listener.Addr().String()
		body := fmt.Sprintf(`{"job_id":"broken","mining_hash":"%064x","distance_threshold":"0","nonce_start":"%0128x","nonce_end":"%s"}`, 0, 1, strings.Repeat("f", 128))
		if got := answer(http.Post(url+"/mine", "application/json", strings.NewReader(body))); !strings.Contains(got, `"accepted"`) {
			t.Error(got)
		}
		for got := `"running"`; !strings.Contains(got, `"status":"failed"`); got = answer(http.Get(url + "/result/broken")) {
			if !strings.Contains(got, `"running"`) {
				t.Fatal(got)
			}
		}
		node := simulate.Node{Miner: url, Blocks: 5, BlockTime: 20 * time.Millisecond, Poll: time.Millisecond, BlockTimeout: time.Minute}
		if err := node.Run(t.Context()); err != nil {
			t.Error(err)
		}
	})
	<-stopped
	for _, cry := range []string{"PANIC", "breaking down", "WRONG NONCE", "ENGINE OUT OF SERVICE", "out_of_service=liar kernel=generic engine=cpu-simd"} {
		if !strings.Contains(log.String(), cry) {
			t.Errorf("the log does not say %s:\n%s", cry, &log)
		}
	}
}

// TestNoEngineLeft has the last engine report a wrong nonce: it stays here, its job
// fails, the next one is refused, and the miner says that it is not ready.
func TestNoEngineLeft(t *testing.T) {
	var listeners [2]net.Listener
	for i := range listeners {
		var err error
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	during(t, func(ctx context.Context) {
		s := service{
			proof: pow.SHA3RSA, engine: lastLiar{liar{baseline.Engine{}}}, workers: 2,
			api: listeners[0], metrics: listeners[1], limits: limitFlags{MaxConnections: 9}, log: slog.New(slog.DiscardHandler),
		}
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
	})
	url, monitor := "http://"+listeners[0].Addr().String(), "http://"+listeners[1].Addr().String()
	mine := func(id string) (*http.Response, error) {
		// The only nonce there is solves it, so that the one that is reported is not in the range.
		body := fmt.Sprintf(`{"job_id":%q,"mining_hash":"%064x","distance_threshold":%q,"nonce_start":"%0128x","nonce_end":"%0128x"}`,
			id, 16, u512.Max(), 1, 1)
		return http.Post(url+"/mine", "application/json", strings.NewReader(body))
	}
	if got := answer(http.Get(monitor + "/readyz")); !strings.HasPrefix(got, "ok") {
		t.Errorf("/readyz at first: %s", got)
	}
	if got := answer(mine("first")); !strings.Contains(got, `"accepted"`) {
		t.Fatal(got)
	}
	for got := `"running"`; !strings.Contains(got, `"status":"failed"`); got = answer(http.Get(url + "/result/first")) {
		if !strings.Contains(got, `"running"`) {
			t.Fatal(got)
		}
	}
	response, err := mine("second")
	if got := answer(response, err); err != nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "" ||
		!strings.Contains(got, `"status":"error","job_id":"second"`) || !strings.Contains(got, "no engine is left") {
		t.Errorf("another job: %s", got)
	}
	response, err = http.Get(monitor + "/readyz")
	if got := answer(response, err); err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got, "no engine is left") {
		t.Errorf("/readyz: %s", got)
	}
}
