package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow"
)

// BenchmarkResult has ten clients ask for the result of a running job, while the
// miner, in a process of its own, mines on all CPUs. It reports how long answers
// take, and what is mined in the meantime; an operation is an answer. A tail wants
// a thousand of them, and a machine that does nothing else:
//
//	go test ./cmd/quantus-miner -run '^$' -bench 'Result' -benchtime 20s -count 5
//
// The clients take turns with the miner on the same CPUs, so their own delays
// count. Back to back they keep the machine busy, which no node does.
func BenchmarkResult(b *testing.B) {
	const clients = 10
	for _, c := range []struct {
		name  string
		pause time.Duration // between an answer and the next question; half of it at least
	}{
		{"every 50-100ms", 100 * time.Millisecond},
		{"back to back", 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			address := strings.TrimPrefix(serveElsewhere(b), "http://")
			observer := dialMiner(b, address)
			if err := observer.mine("x"); err != nil {
				b.Fatal(err)
			}
			answers := make(chan time.Duration)
			for range clients {
				client := dialMiner(b, address)
				during(b, func(ctx context.Context) {
					for {
						if c.pause > 0 {
							select {
							case <-time.After(c.pause/2 + rand.N(c.pause/2)):
							case <-ctx.Done():
								return
							}
						}
						asked := time.Now()
						if _, err := client.poll("x"); err != nil {
							b.Error(err)
							return
						}
						select {
						case answers <- time.Since(asked):
						case <-ctx.Done():
							return
						}
					}
				})
			}
			before, err := observer.result("x")
			if err != nil {
				b.Fatal(err)
			}
			var took []time.Duration
			for b.Loop() {
				select {
				case t := <-answers:
					took = append(took, t)
				case <-time.After(10 * time.Second):
					b.Fatal("no answers")
				}
			}
			after, err := observer.result("x")
			if err != nil {
				b.Fatal(err)
			}
			reportTimes(b, took)
			b.ReportMetric(float64(after.Hashes-before.Hashes)/(after.Time-before.Time)/1e3, "kH/s")
		})
	}
}

// asServe has as many threads to spare as a service has, until the benchmark is over, and
// returns the number of workers on all CPUs: which must not count those threads.
func asServe(b *testing.B) (workers int) {
	workers = effectiveCPUs()
	before := runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), workers+spareThreads))
	b.Cleanup(func() { runtime.GOMAXPROCS(before) })
	return workers
}

// BenchmarkFirstNonce submits jobs to a miner that has nothing else to do, and
// reports how long their first nonces take:
//
//	go test ./cmd/quantus-miner -run '^$' -bench FirstNonce -benchtime 2000x
func BenchmarkFirstNonce(b *testing.B) {
	workers := asServe(b)
	auto, _, err := pow.Pick(pow.SHA3RSA, pow.Auto)
	if err != nil {
		b.Fatal(err)
	}
	m := service{proof: pow.SHA3RSA, engine: auto, workers: workers, log: slog.New(slog.DiscardHandler)}.newMiner()
	first := make(chan time.Duration, 1)
	during(b, m.Run)
	var took []time.Duration
	for b.Loop() {
		job := newJob(b, m, func(after time.Duration) { first <- after })
		took = append(took, <-first)
		m.Cancel(job.ID())
		<-time.After(5 * time.Millisecond) // longer than workers take to come to rest
	}
	reportTimes(b, took)
}

// reportTimes reports the median of times, their tail and the longest.
func reportTimes(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	for _, r := range []struct {
		quantile float64
		unit     string
	}{{0.5, "p50-ms"}, {0.99, "p99-ms"}, {1, "max-ms"}} {
		b.ReportMetric(quantile(times, r.quantile), r.unit)
	}
	b.ReportMetric(0, "ns/op") // which says nothing here
}

// quantile returns a quantile of times that are in order, in milliseconds.
func quantile(times []time.Duration, q float64) float64 {
	return float64(times[int(q*float64(len(times)-1))]) / float64(time.Millisecond)
}

// serveElsewhere starts a miner in a process of its own, as [TestMain] makes it
// possible, and returns its URL.
func serveElsewhere(tb testing.TB, flags ...string) (url string) {
	path, err := exec.LookPath("quantus-miner")
	if err != nil {
		tb.Fatal(err)
	}
	command := exec.Command(path, append([]string{"--port", "0", "--report-every", "0", "--log-format", "json"}, flags...)...)
	stderr, err := command.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	lines := bufio.NewScanner(stderr)
	pattern := regexp.MustCompile(`"url":"(https?://[^"]+)"`)
	for lines.Scan() {
		if match := pattern.FindStringSubmatch(lines.Text()); match != nil {
			return match[1] // the few lines to come fit the pipe
		}
	}
	tb.Fatal("the miner ended before it listened")
	return ""
}

// minerClient is a client that costs little CPU time and makes no garbage, as it
// runs on the CPUs that are measured.
type minerClient struct {
	conn    net.Conn
	answers *bufio.Reader
}

// dialMiner connects to a miner until the benchmark is over.
func dialMiner(b *testing.B, address string) minerClient {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return minerClient{conn, bufio.NewReader(conn)}
}

// mine starts a job that does not end by itself.
func (c minerClient) mine(job string) error {
	body := fmt.Sprintf(`{"job_id":"%s","mining_hash":"%064x","distance_threshold":"0","nonce_start":"%0128x","nonce_end":"%s"}`,
		job, 1, 1, strings.Repeat("f", 128))
	_, err := c.ask(fmt.Sprintf("POST /mine HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	return err
}

// jobState is what a benchmark wants to know of a job.
type jobState struct {
	Hashes uint64  `json:"hash_count"`
	Time   float64 `json:"elapsed_time"`
}

// poll asks for the result of a job.
func (c minerClient) poll(job string) (body []byte, err error) {
	return c.ask("GET /result/" + job + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

// result asks for the result of a job, and reads it.
func (c minerClient) result(job string) (s jobState, err error) {
	body, err := c.poll(job)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(body, &s)
}

// ask sends a request and returns the body of its answer, which is valid until the
// next. An answer other than 200 is an error.
func (c minerClient) ask(request string) (body []byte, err error) {
	if _, err := io.WriteString(c.conn, request); err != nil {
		return nil, err
	}
	length, ok := 0, false
	for {
		line, err := c.answers.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			ok = true
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return nil, err
			}
		}
	}
	if body, err = c.answers.Peek(length); err != nil {
		return nil, err
	}
	if _, err := c.answers.Discard(length); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("refused: %s", body)
	}
	return body, nil
}
