package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pipenet"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/u512"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
	"github.com/quantus-network/quantus-miner/internal/watch/metrics"
)

// goroutines returns the stacks of the goroutines of this bubble of time, but for
// the caller's.
func goroutines() (stacks []string) {
	synctest.Wait()
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	for stack := range strings.SplitSeq(string(all), "\n\n") {
		if head, _, _ := strings.Cut(stack, "\n"); strings.Contains(head, "synctest") && !strings.Contains(head, "running") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// TestOffCostsNothing counts the goroutines of a service without metrics and of one
// with them: without there is one for each worker, and four for the API, the
// workers' owner, the shutdown and their owner. Nothing of what metrics are made of
// is there.
func TestOffCostsNothing(t *testing.T) {
	serving := func(metrics bool, reportEvery time.Duration) (stacks []string) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := service{
				engine: enginetest.Paced{}, workers: 2, api: pipenet.Listen(),
				reportEvery: reportEvery, log: slog.New(slog.DiscardHandler),
			}
			if metrics {
				s.metrics = pipenet.Listen()
				s.limits.MaxConnections = 1
			}
			var running sync.WaitGroup
			running.Go(func() {
				if err := s.run(ctx); err != nil {
					t.Error(err)
				}
			})
			for _, stack := range goroutines() {
				if !strings.Contains(stack, "testing/synctest") { // the bubble's own
					stacks = append(stacks, stack)
				}
			}
			cancel()
			running.Wait()
		})
		return stacks
	}
	watchers := func(stacks []string) (n int) {
		for _, stack := range stacks {
			for _, suspect := range []string{"internal/watch/hashrate", "internal/watch/metrics", "internal/watch/dashboard", "prometheus"} {
				if strings.Contains(stack, suspect) {
					n++
					break
				}
			}
		}
		return n
	}
	off := serving(false, 0)
	if len(off) != 2+4 || watchers(off) != 0 {
		t.Errorf("without metrics there are %d goroutines, of which %d watch:\n%s", len(off), watchers(off), strings.Join(off, "\n\n"))
	}
	if on := serving(true, 0); len(on) != len(off)+2 || watchers(on) != 1 {
		t.Errorf("with metrics there are %d goroutines, %d without, and %d watch, want two more, of which one does", len(on), len(off), watchers(on))
	}
	if reporting := serving(false, time.Minute); len(reporting) != len(off)+1 || watchers(reporting) != 1 {
		t.Errorf("with reports there are %d goroutines, %d without", len(reporting), len(off))
	}
}

// TestGarbage has garbage be collected seldom unless the operator says how often.
func TestGarbage(t *testing.T) {
	for _, c := range []struct {
		env  string
		want int
	}{{"", gcPercent}, {"50", 50}} {
		t.Setenv("GOGC", c.env)
		before := debug.SetGCPercent(50)
		collectSeldom()
		if got := debug.SetGCPercent(before); got != c.want {
			t.Errorf("with GOGC=%q garbage may be %d %%, want %d %%", c.env, got, c.want)
		}
	}
}

// TestReadiness asks for the miner's health before and after it is told to end.
func TestReadiness(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	miner := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: enginetest.Paced{}, Workers: 1})
	server := newMonitor(ctx, hashrate.NewSampler(miner, nil), metrics.Setup{}, nil, nil, nil, 100, slog.New(slog.DiscardHandler)).server
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		server.Handler.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1"+path, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	for _, want := range []string{"200 ok", "503 shutting down"} {
		if code, text := ask("/readyz"); fmt.Sprint(code, " ", text) != want {
			t.Errorf("GET /readyz: %d %s, want %s", code, text, want)
		}
		if code, text := ask("/healthz"); code != http.StatusOK || text != "ok" {
			t.Errorf("GET /healthz: %d %s", code, text)
		}
		cancel()
	}
}

// TestPageStaysOpen reads a page's events for longer than the server gives any
// other answer, and any request.
func TestPageStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		log := slog.New(slog.DiscardHandler)
		sampler := hashrate.NewSampler(mining.New(log, &mining.Crew{Engine: enginetest.Paced{}, Workers: 1}), nil)
		server := newMonitor(ctx, sampler, metrics.Setup{}, nil, nil, nil, 100, log).server
		listener := pipenet.Listen()
		var running sync.WaitGroup
		running.Go(func() { sampler.Run(ctx) })
		running.Go(func() { _ = server.Serve(listener) })
		client, err := listener.Dial()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(client, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		began, lines := time.Now(), bufio.NewScanner(client)
		for time.Since(began) < time.Minute {
			if !lines.Scan() {
				t.Fatalf("the events end after %s: %v", time.Since(began), lines.Err())
			}
		}
		go func() { _, _ = io.Copy(io.Discard, client) }()
		deadline, giveUp := context.WithTimeout(ctx, time.Minute)
		defer giveUp()
		if err := server.Shutdown(deadline); err != nil { // which closes the page
			t.Error(err)
			_ = server.Close()
		}
		cancel()
		running.Wait()
	})
}

// TestLog writes the same lines for people and for machines.
func TestLog(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 8)
	for _, c := range []struct {
		format   logFormat
		terminal bool
		want     []string
	}{
		{logAuto, false, []string{
			`"msg":"job completed","job":"a b","hashes":12345678,"elapsed_seconds":1.5,"hash_rate":8230452,"nonce":"` + long + `"}`,
			`"msg":"hash rate","hash_rate_10s":8230452,"hash_rate_15m":null,"jobs":1}`,
		}},
		{logAuto, true, []string{
			"\x1b[1;32mFOUND\x1b[0m      job a b   nonce 01234567…89abcdef   after 1.5 s\n",
			"speed      10 s 8.23 MH/s   60 s –   15 min –\n",
		}},
		{logText, false, []string{
			"FOUND      job a b   nonce 01234567…89abcdef   after 1.5 s\n",
			"speed      10 s 8.23 MH/s   60 s –   15 min –\n",
		}},
		{logJSON, true, []string{`"hash_rate":8230452`}},
	} {
		t.Run(fmt.Sprint(c.format, c.terminal), func(t *testing.T) {
			t.Setenv("NO_COLOR", "")
			t.Setenv("TERM", "xterm")
			var out bytes.Buffer
			log := newLog(streams{out: io.Discard, err: &out, terminal: c.terminal}, logStyle{format: c.format})
			log.Info("job completed", "job", "a b", "hashes", uint64(12345678), "elapsed", 1500*time.Millisecond, "hash_rate", 8230452.0, "nonce", long)
			log.Info("hash rate", "hash_rate_10s", 8230452.0, "hash_rate_15m", nil, "jobs", 1)
			for _, want := range c.want {
				if runtime.GOOS == "windows" {
					want = strings.NewReplacer("\x1b[1;32m", "", "\x1b[0m", "").Replace(want)
				}
				if !strings.Contains(out.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, &out)
				}
			}
		})
	}
	t.Run("strangers' text", func(t *testing.T) {
		for _, format := range []logFormat{logText, logJSON} {
			var out bytes.Buffer
			log := newLog(streams{out: io.Discard, err: &out, terminal: true}, logStyle{format: format})
			log.Info("x", "job", "a\n\x1b[31m\u009b31mb", "reason", "\u009b31m", "error", errors.New("\x1b[31m"), "hashes", -1)
			log.Info("new job", "job", "a\n\x1b[31m\u009b31mb", "difficulty", "\u009b31m")
			if strings.Contains(out.String(), "\x1b[31m") || strings.Contains(out.String(), "\u009b") || strings.Count(out.String(), "\n") != 2 {
				t.Errorf("a job's name paints on the terminal: %q", out.String())
			}
			log.Info("x", "job", strings.Repeat("é", 8000))
			log.Info("new job", "job", strings.Repeat("é", 8000))
			if long := out.Len() > 1000; long != (format == logJSON) {
				t.Errorf("as %s the name of 8000 letters takes %d bytes", format, out.Len())
			}
		}
	})
}

// BenchmarkMetrics compares the hash rate of a miner with metrics, which nobody
// scrapes, with that of a miner without, which takes turns with it on all CPUs.
func BenchmarkMetrics(b *testing.B) {
	start := func(b *testing.B) *mining.Miner {
		m := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: fast.Engine{}, Workers: effectiveCPUs()})
		during(b, m.Run)
		return m
	}
	without, with := start(b), start(b)
	sampler := hashrate.NewSampler(with, nil)
	exporter := newMonitor(b.Context(), sampler, metrics.Setup{}, nil, nil, nil, 100, slog.New(slog.DiscardHandler))
	during(b, sampler.Run)
	compare(b, func(watched bool) float64 {
		m, firstNonce := without, (func(time.Duration))(nil)
		if watched {
			m, firstNonce = with, exporter.FirstNonce
		}
		job := newJob(b, m, firstNonce)
		defer m.Cancel(job.ID())
		return rateOf(job)
	})
}

// BenchmarkScraped compares the hash rate of a miner that is scraped ten times a
// second with its own while it is not, on all CPUs. It knows one job, or those of
// five minutes with a block every five seconds.
func BenchmarkScraped(b *testing.B) {
	for _, jobs := range []int{1, 60} {
		b.Run(fmt.Sprint(jobs, " jobs"), func(b *testing.B) {
			m := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: fast.Engine{}, Workers: asServe(b)})
			sampler := hashrate.NewSampler(m, nil)
			monitor := newMonitor(b.Context(), sampler, metrics.Setup{}, nil, nil, nil, 100, slog.New(slog.DiscardHandler))
			during(b, m.Run)
			during(b, sampler.Run)
			server := httptest.NewServer(monitor.server.Handler)
			b.Cleanup(server.Close)
			// Scrapers run elsewhere: this one costs as little as can be.
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = conn.Close() })
			answers := bufio.NewReader(conn)
			for range jobs - 1 {
				m.Cancel(newJob(b, m, monitor.FirstNonce).ID())
			}
			job := newJob(b, m, monitor.FirstNonce)
			scrape := make(chan bool) // whether to, from now on
			during(b, func(ctx context.Context) {
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for on := false; ; {
					select {
					case on = <-scrape:
					case <-ctx.Done():
						return
					case <-tick.C:
						if !on {
							continue
						}
						if err := request(conn, answers, "/metrics"); err != nil {
							b.Error(err)
							return
						}
					}
				}
			})
			compare(b, func(scraped bool) float64 {
				scrape <- scraped
				return rateOf(job)
			})
		})
	}
}

// compare reports the ratio of the rate with something to that without, the median
// of all turns and its quartiles. The rates waver with the machine, so it wants many:
//
//	go test ./cmd/quantus-miner -run '^$' -bench 'Metrics|Scraped' -benchtime 200x
func compare(b *testing.B, rate func(with bool) float64) {
	var ratios []float64
	for first := true; b.Loop(); first = !first { // neither is always the second
		var with, without float64
		if first {
			with = rate(true)
		}
		without = rate(false)
		if !first {
			with = rate(true)
		}
		ratios = append(ratios, with/without)
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(ratios[len(ratios)/4], "lower")
	b.ReportMetric(ratios[len(ratios)*3/4], "upper")
}

// during runs a function until the test or benchmark is over, and waits for its end.
func during(tb testing.TB, run func(context.Context)) {
	ctx, cancel := context.WithCancel(tb.Context())
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	tb.Cleanup(func() { cancel(); running.Wait() })
}

// newJob submits a job that does not end by itself.
func newJob(b *testing.B, m *mining.Miner, firstNonce func(time.Duration)) *mining.Job {
	job, err := m.Submit(mining.Request{ID: fmt.Sprint(time.Now().UnixNano()), Range: engine.Range{Start: u512.From64(1), End: u512.Max()}, FirstNonce: firstNonce})
	if err != nil {
		b.Fatal(err)
	}
	return job
}

// rateOf returns a job's hash rate over the next half second.
func rateOf(job *mining.Job) float64 {
	before := job.Snapshot()
	<-time.After(500 * time.Millisecond)
	after := job.Snapshot()
	return float64(after.Evaluated-before.Evaluated) / (after.Elapsed - before.Elapsed).Seconds()
}

// request asks for a page over a connection that stays open.
func request(conn net.Conn, answers *bufio.Reader, path string) error {
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
