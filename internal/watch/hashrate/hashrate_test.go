package hashrate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// metered is an engine whose threads evaluate as many nonces as batch says, ten
// times a second.
type metered struct{ batch *atomic.Uint64 }

func (metered) Name() string                                      { return "metered" }
func (metered) Backend() string                                   { return "test" }
func (e metered) Prepare([32]byte, u512.Uint) (engine.Job, error) { return e, nil }
func (metered) Verify(u512.Uint) (distance u512.Uint, ok bool)    { return u512.Uint{}, false }
func (e metered) Search(_ engine.Range, p *engine.Progress) engine.Outcome {
	for p.Advance(0) {
		<-time.After(100 * time.Millisecond)
		p.Advance(e.batch.Load())
	}
	return engine.Outcome{Status: engine.Stopped}
}

// inBubble runs a miner of two workers, its sampler and its reports in a bubble of
// time. The test begins 50 ms after a second has, and so do the jobs it submits at
// once: their batches never coincide with the ticks of what watches them.
func inBubble(t *testing.T, reportEvery time.Duration, log *slog.Logger, test func(*mining.Miner, *Sampler, *atomic.Uint64)) {
	synctest.Test(t, func(t *testing.T) {
		var batch atomic.Uint64
		batch.Store(100)
		m := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: metered{&batch}, Workers: 2})
		s := NewSampler(m, plain)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		running.Go(func() { s.Run(ctx) })
		running.Go(func() { Reports{Miner: m, Difficulty: plain, Interval: reportEvery, Log: log}.Run(ctx) })
		<-time.After(50 * time.Millisecond)
		test(m, s, &batch)
		cancel()
		running.Wait()
	})
}

func submit(t *testing.T, m *mining.Miner, id string) *mining.Job {
	t.Helper()
	job, err := m.Submit(mining.Request{ID: id, Range: engine.Range{Start: u512.From64(1), End: u512.Max()}})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// TestThreadRates follows the two threads of a job whose speed changes, second by
// second, by the formula of the moving average.
func TestThreadRates(t *testing.T) {
	inBubble(t, time.Hour, slog.New(slog.DiscardHandler), func(m *mining.Miner, s *Sampler, batch *atomic.Uint64) {
		if got := s.Sample(); got.Total != 0 || len(got.Rates) != 0 {
			t.Errorf("without a job: %+v", got)
		}
		job := submit(t, m, "job")
		<-time.After(870 * time.Millisecond)
		rates := func(when string, want float64) {
			t.Helper()
			got := s.Sample()
			for thread, rate := range got.Rates[job] {
				if math.Abs(rate-want) > want/1e9 {
					t.Errorf("%s: thread %d has %g nonces/s, want %g", when, thread, rate, want)
				}
			}
			if len(got.Rates[job]) != 2 || math.Abs(got.Job(job)-2*want) > want/1e9 || got.Total != got.Job(job) {
				t.Errorf("%s: %d threads, job %g, total %g", when, len(got.Rates[job]), got.Job(job), got.Total)
			}
		}
		rates("before the first update", 800/0.87) // eight batches
		<-time.After(100 * time.Millisecond)
		want := 900 / 0.95 // nine, at the tick
		rates("first update", want)
		for i, perSecond := range []uint64{1000, 3000, 0, 0, 500} {
			batch.Store(perSecond / 10)
			<-time.After(time.Second)
			want = 0.2*float64(perSecond) + 0.8*want
			rates(fmt.Sprint("update ", i+2), want)
		}
		m.Cancel("job")
		if got := s.Sample(); got.Total != 0 || got.Job(job) != 0 || len(got.Rates) != 0 {
			t.Errorf("after the job's end: %+v", got)
		}
	})
}

// TestNoGap has one job follow the other at once, as a node does: the total shows
// no gap, and a job that is too young for an update gets none.
func TestNoGap(t *testing.T) {
	inBubble(t, time.Hour, slog.New(slog.DiscardHandler), func(m *mining.Miner, s *Sampler, _ *atomic.Uint64) {
		for i := range 20 {
			job := submit(t, m, fmt.Sprint(i))
			for range 4 {
				<-time.After(350 * time.Millisecond) // at 50 ms, 400 ms, 750 ms of a second
				if got := s.Sample(); got.Total < 1500 || got.Total > 2000.001 || got.Total != got.Job(job) {
					t.Errorf("at %s of job %d: %g nonces/s, want up to 2000", job.Snapshot().Elapsed, i, got.Total)
				}
			}
			m.Cancel(fmt.Sprint(i))
			<-time.After(100 * time.Millisecond) // the workers notice
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.jobs) > 1 {
			t.Errorf("the sampler holds %d jobs, of which none runs", len(s.jobs))
		}
	})
}

// TestYoungJob starts a job shortly before a tick, at which it has not come to a
// batch yet: that must not pass for its rate, and weigh on it for seconds.
func TestYoungJob(t *testing.T) {
	inBubble(t, time.Hour, slog.New(slog.DiscardHandler), func(m *mining.Miner, s *Sampler, _ *atomic.Uint64) {
		<-time.After(870 * time.Millisecond)
		job := submit(t, m, "job")
		for _, c := range []struct {
			after time.Duration
			want  float64 // of each thread
		}{
			{130 * time.Millisecond, 100 / 0.13}, // after the tick, by the first batch
			{time.Second, 1000 / 1.08},           // by the first update, after 1.08 s
			{time.Second, 0.2*1000 + 0.8*1000/1.08},
		} {
			<-time.After(c.after)
			if got := s.Sample().Job(job); math.Abs(got-2*c.want) > 0.001 {
				t.Errorf("after %s: %g nonces/s, want %g", job.Snapshot().Elapsed, got, 2*c.want)
			}
		}
	})
}

// TestJobBehindJob has a job follow another: from its first moment, and over the next
// tick, it has the rates of the one before. They are not those of a job that is paused,
// and not those of what ended a while ago.
func TestJobBehindJob(t *testing.T) {
	inBubble(t, time.Hour, slog.New(slog.DiscardHandler), func(m *mining.Miner, s *Sampler, _ *atomic.Uint64) {
		total := func(when string, least, most float64) {
			t.Helper()
			if got := s.Sample().Total; got < least || got > most {
				t.Errorf("%s: %g nonces/s, want from %g to %g", when, got, least, most)
			}
		}
		submit(t, m, "a")
		<-time.After(4870 * time.Millisecond)
		total("one job", 1900, 2000)
		m.Cancel("a")
		submit(t, m, "b")
		total("in the first moment", 1900, 2000)
		<-time.After(200 * time.Millisecond) // over the tick
		total("too young for an update", 1900, 2000)
		submit(t, m, "c")
		total("two jobs", 1900, 2000) // of which one has what is left over
		m.Cancel("b")
		m.Cancel("c")
		<-time.After(3 * time.Second)
		submit(t, m, "d")
		total("nothing to follow", 0, 0)
		<-time.After(3 * time.Second)
		m.Pause()
		m.Cancel("d")
		submit(t, m, "e")
		total("paused", 0, 0)
	})
}

// TestNewJob takes a sample of a job in the moment that it is submitted: a rate of
// nothing in no time is no number.
func TestNewJob(t *testing.T) {
	inBubble(t, time.Hour, slog.New(slog.DiscardHandler), func(m *mining.Miner, s *Sampler, _ *atomic.Uint64) {
		job := submit(t, m, "job")
		if got := s.Sample(); got.Total != 0 || got.Job(job) != 0 || got.Running != 1 {
			t.Errorf("%g nonces/s, %g of the job", got.Total, got.Job(job))
		}
	})
}

// TestCurve follows the rate of all jobs for longer than the curve is.
func TestCurve(t *testing.T) {
	inBubble(t, time.Hour, slog.New(slog.DiscardHandler), func(m *mining.Miner, s *Sampler, batch *atomic.Uint64) {
		curve, next := s.Curve()
		if len(curve) != 0 {
			t.Errorf("at the start it has %d points", len(curve))
		}
		submit(t, m, "a")
		submit(t, m, "b")
		<-next
		first, _ := s.Curve()
		if len(first) != 1 || first[0].Rate != 2*900 || !first[0].Time.Equal(time.Now()) {
			t.Errorf("after a second: %v", first)
		}
		<-time.After(Span - time.Second + 20*time.Millisecond)
		batch.Store(0)
		<-time.After(2 * time.Second)
		curve, _ = s.Curve()
		n := len(curve)
		if n != int(Span/time.Second) {
			t.Errorf("%d points in %s", n, Span)
		}
		if curve[0].Rate != 2000 || curve[n-3].Rate != 2000 || curve[n-1].Rate != 0 {
			t.Errorf("it begins with %v and ends with %v", curve[0], curve[n-3:])
		}
		for _, c := range []struct {
			d    time.Duration
			want float64
		}{{time.Second, 0}, {10 * time.Second, 1600}, {Span, 1996}} {
			if got, ok := s.Average(c.d); !ok || math.Abs(got-c.want) > 5 {
				t.Errorf("over %s: %g, want %g", c.d, got, c.want)
			}
		}
	})
}

func TestWindow(t *testing.T) {
	var w Window
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, ok := w.Average(time.Second); ok {
		t.Error("an empty window has an average")
	}
	// 10 a second for ten minutes, then 100 a second, past the wrap of the count.
	count := uint64(math.MaxUint64 - 20)
	for i := range 30*60 + 1 {
		w.Add(start.Add(time.Duration(i)*time.Second+time.Duration((i+2)%3)*100*time.Millisecond), count) // late, now and then
		for d, want := range map[time.Duration]bool{10 * time.Second: i >= 10, time.Minute: i >= 60, Span: i >= 900} {
			rate, ok := w.Average(d)
			if ok != want {
				t.Errorf("after %d s there is an average over %s: %t", i, d, ok)
			}
			if ok && i < 600 && math.Abs(rate-10) > 0.3 {
				t.Errorf("after %d s: %g over %s", i, rate, d)
			}
			if ok && i == 660 && d == time.Minute && math.Abs(rate-100) > 2 {
				t.Errorf("a minute after the change: %g", rate)
			}
		}
		if i < 600 {
			count += 10
		} else {
			count += 100
		}
	}
	if n := len(w.points); n > 903 {
		t.Errorf("the window holds %d points of one a second", n)
	}
}

// TestReport reads the lines of a miner whose jobs come and go.
func TestReport(t *testing.T) {
	type line struct {
		Message string   `json:"msg"`
		Rate10s *float64 `json:"hash_rate_10s"`
		Rate60s *float64 `json:"hash_rate_60s"`
		Rate15m *float64 `json:"hash_rate_15m"`
		Jobs    *int     `json:"jobs"`
	}
	value := func(rate float64) *float64 { return &rate }
	jobs := func(n int) *int { return &n }
	for _, c := range []struct {
		interval time.Duration
		lasts    time.Duration // the job
		lines    int           // in 16 minutes
		at       map[int]line
	}{
		{10 * time.Second, 5 * time.Minute, 96, map[int]line{
			0:  {"hash rate", value(1980), nil, nil, jobs(1)}, // 99 batches
			1:  {"hash rate", value(2000), nil, nil, jobs(1)},
			5:  {"hash rate", value(2000), value(1997), nil, jobs(1)},
			29: {"hash rate", value(2000), value(2000), nil, jobs(1)},
			30: {"hash rate", value(20), value(1670), nil, jobs(0)},
			89: {"hash rate", value(0), value(0), value(667), jobs(0)},
		}},
		{time.Second, 16 * time.Minute, 960, map[int]line{
			0:  {"hash rate", nil, nil, nil, jobs(1)},
			9:  {"hash rate", value(1980), nil, nil, jobs(1)},
			19: {"hash rate", value(2000), nil, nil, jobs(1)},
		}},
		{15 * time.Second, 5 * time.Minute, 64, map[int]line{
			0:  {"hash rate", value(2000), nil, nil, jobs(1)},
			1:  {"hash rate", value(2000), nil, nil, jobs(1)},
			3:  {"hash rate", value(2000), value(1997), nil, jobs(1)},
			20: {"hash rate", value(0), value(1503), nil, jobs(0)}, // of 60 s 45, and a batch
		}},
		{2 * time.Minute, time.Minute, 8, map[int]line{
			0: {"hash rate", value(0), value(3), nil, jobs(0)}, // a last batch at 60.05 s
			7: {"hash rate", value(0), value(0), value(0), jobs(0)},
		}},
	} {
		t.Run(c.interval.String(), func(t *testing.T) {
			var out bytes.Buffer
			log := slog.New(slog.NewJSONHandler(&out, nil))
			inBubble(t, c.interval, log, func(m *mining.Miner, _ *Sampler, _ *atomic.Uint64) {
				submit(t, m, "job")
				<-time.After(c.lasts + 20*time.Millisecond)
				m.Cancel("job")
				<-time.After(16*time.Minute - c.lasts)
			})
			var lines []line
			for d := json.NewDecoder(&out); d.More(); {
				var l line
				if err := d.Decode(&l); err != nil {
					t.Fatal(err)
				}
				lines = append(lines, l)
			}
			if len(lines) != c.lines {
				t.Fatalf("%d lines, want %d", len(lines), c.lines)
			}
			for i, want := range c.at {
				if diff := cmp.Diff(want, lines[i]); diff != "" {
					t.Errorf("line %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// TestReportBehindAPause reads the line of a miner that was paused until just now: the time
// to a block is by the average, as the job's own rate has only begun to rise.
func TestReportBehindAPause(t *testing.T) {
	inBubble(t, time.Hour, slog.New(slog.DiscardHandler), func(m *mining.Miner, _ *Sampler, _ *atomic.Uint64) {
		var out bytes.Buffer
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Reports{Miner: m, Difficulty: func(u512.Uint) float64 { return 1e6 }, Interval: 20 * time.Second, Log: slog.New(slog.NewTextHandler(&out, nil))}.Run(ctx)
		}()
		submit(t, m, "a")
		<-time.After(17 * time.Second)
		m.Pause()
		m.Cancel("a")
		submit(t, m, "b")
		<-time.After(2900 * time.Millisecond)
		m.Resume()
		<-time.After(200 * time.Millisecond)
		stop()
		<-done
		match := regexp.MustCompile(`hash_rate_10s=(\d+) .*time_to_block=(\S+)`).FindStringSubmatch(out.String())
		if match == nil {
			t.Fatal(out.String())
		}
		wait, err := time.ParseDuration(match[2])
		if average, _ := strconv.ParseFloat(match[1], 64); err != nil || average < 1000 || math.Abs(wait.Seconds()-1e6/average) > 1 {
			t.Errorf("%s a block at %g nonces/s (%v): %s", wait, average, err, &out)
		}
	})
}
