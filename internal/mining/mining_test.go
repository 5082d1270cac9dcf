package mining

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an engine whose searches do what a test says.
type fake struct {
	name    string // "fake" if it is empty
	search  func(engine.Range, *engine.Progress) engine.Outcome
	verify  func(u512.Uint) bool
	prepare func()
}

func (f fake) Name() string { return cmp.Or(f.name, "fake") }

func (fake) Backend() string { return "test" }

func (f fake) Prepare([32]byte, u512.Uint) (engine.Job, error) {
	if f.prepare != nil {
		f.prepare()
	}
	return f, nil
}

func (f fake) Search(r engine.Range, p *engine.Progress) engine.Outcome { return f.search(r, p) }

func (f fake) Verify(nonce u512.Uint) (u512.Uint, bool) {
	return u512.Uint{}, f.verify == nil || f.verify(nonce)
}

// untilStopped is a search that finds nothing for ever, a nonce every
// millisecond of the bubble's time.
func untilStopped(_ engine.Range, p *engine.Progress) engine.Outcome {
	return every(time.Millisecond, p)
}

// every evaluates a nonce at each interval, until it is stopped.
func every(interval time.Duration, p *engine.Progress) engine.Outcome {
	for p.Advance(1) {
		<-time.After(interval)
	}
	return engine.Outcome{Status: engine.Stopped}
}

// exhausted is a search that finds nothing at once.
func exhausted(engine.Range, *engine.Progress) engine.Outcome {
	return engine.Outcome{Status: engine.Exhausted}
}

func number(n uint64) u512.Uint { return u512.From64(n) }

func nonces(first, last uint64) engine.Range {
	return engine.Range{Start: number(first), End: number(last)}
}

// everything is the range that the node asks for.
var everything = engine.Range{Start: u512.From64(1), End: u512.Max()}

// start runs a miner until the returned function is called, which waits for
// its end. Log lines go to log, unless that is nil.
func start(e engine.Engine, workers int, log *bytes.Buffer) (m *Miner, stop func()) {
	logger := slog.New(slog.DiscardHandler)
	if log != nil {
		logger = slog.New(slog.NewTextHandler(log, nil))
	}
	m = New(logger, &Crew{Engine: e, Workers: workers})
	return m, run(m)
}

// run runs a miner until the returned function is called, as start does.
func run(m *Miner) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

func submit(t testing.TB, m *Miner, r Request) *Job {
	t.Helper()
	job, err := m.Submit(r)
	if err != nil {
		t.Fatalf("submitting %q: %v", r.ID, err)
	}
	return job
}

// TestSplit deals out ranges of every shape, to any number of workers, and puts
// them together again: nothing is lost, doubled or out of range.
func TestSplit(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, r engine.Range, workers int) {
		var mu sync.Mutex
		var searched []engine.Range
		m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			mu.Lock()
			defer mu.Unlock()
			searched = append(searched, r)
			return engine.Outcome{Status: engine.Exhausted}
		}}, workers, nil)
		job, err := m.Submit(Request{ID: "job", Range: r})
		if err != nil {
			t.Fatalf("%v", err)
		}
		<-job.Done()
		stop()
		if got := job.Snapshot().Status; got != Failed {
			t.Fatalf("status %s, want failed", got)
		}
		slices.SortFunc(searched, func(a, b engine.Range) int { return a.Start.Cmp(b.Start) })
		next := r.Start
		for i, s := range searched {
			if s.Start != next || s.Empty() || s.End.Cmp(r.End) > 0 {
				t.Fatalf("%v on %d workers: search %d is %v, want one from %s", r, workers, i, s, next.Hex())
			}
			next = s.End.AddWrap(number(1))
		}
		if next != r.End.AddWrap(number(1)) {
			t.Fatalf("%v on %d workers: searched up to %s", r, workers, next.Hex())
		}
	}
	for _, workers := range []int{1, 2, 3, 64} {
		for _, r := range []engine.Range{
			nonces(0, 0), nonces(7, 7), nonces(1, 2), nonces(0, 63), nonces(1, 64), nonces(1, 65), nonces(0, 1_000_000),
			everything, {End: u512.Max()}, {Start: u512.Max(), End: u512.Max()},
			{Start: u512.Max().SubWrap(number(1000)), End: u512.Max()},
		} {
			check(t, r, workers)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) u512.Uint {
			var x u512.Uint
			for i := range x {
				x[i] = rapid.Uint64().Draw(t, label)
			}
			return x.Rsh(uint(rapid.IntRange(0, u512.Bits).Draw(t, label+" zeros")))
		}
		first := draw("start")
		check(t, engine.Range{Start: first, End: first.AddSat(draw("span"))}, rapid.IntRange(1, 80).Draw(t, "workers"))
	})
}

// TestEnter keeps the workers where they set out: all of them come there, and
// none searches before it is let go.
func TestEnter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var entered, searching atomic.Int32
		release := make(chan struct{})
		m := New(slog.New(slog.DiscardHandler), &Crew{
			Engine: fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
				searching.Add(1)
				return untilStopped(r, p)
			}},
			Workers: 3,
			Enter: func() {
				entered.Add(1)
				<-release
			},
		})
		stop := run(m)
		defer stop()
		submit(t, m, Request{ID: "job", Range: everything})
		synctest.Wait()
		if entered.Load() != 3 || searching.Load() != 0 {
			t.Errorf("%d workers have entered and %d search, want 3 and 0", entered.Load(), searching.Load())
		}
		close(release)
		synctest.Wait()
		if entered.Load() != 3 || searching.Load() != 3 {
			t.Errorf("%d workers have entered and %d search, want 3 and 3", entered.Load(), searching.Load())
		}
	})
}

func TestFirstWinnerEndsTheSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var searching, stopped atomic.Int32
		m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			if searching.Add(1) == 3 { // the third worker finds one, later
				<-time.After(time.Second)
				p.Advance(10)
				return engine.Outcome{Status: engine.Found, Nonce: r.Start}
			}
			outcome := untilStopped(r, p)
			stopped.Add(1)
			return outcome
		}}, 4, nil)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything})
		<-job.Done()
		s := job.Snapshot()
		if s.Status != Completed || s.Nonce.IsZero() || s.Elapsed != time.Second {
			t.Errorf("got %+v, want completed after 1 s", s)
		}
		if s.Evaluated < 3*999+10 || s.Evaluated > 3*1001+10 {
			t.Errorf("%d nonces evaluated, want 10 of the winner and about 1000 of each other worker", s.Evaluated)
		}
		<-time.After(2 * time.Millisecond)
		synctest.Wait()
		if stopped.Load() != 3 {
			t.Errorf("%d of 3 other workers stopped", stopped.Load())
		}
		if again := job.Snapshot(); again != s {
			t.Errorf("the result changed from %+v to %+v", s, again)
		}
	})
}

func TestProgressIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: untilStopped}, 2, nil)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything})
		last := uint64(0)
		for range 5 {
			<-time.After(time.Second)
			s := job.Snapshot()
			if s.Status != Running || s.Evaluated < last+1990 || s.Evaluated > last+2010 {
				t.Errorf("after %s: %s, %d nonces, %d a second before", s.Elapsed, s.Status, s.Evaluated, last)
			}
			last = s.Evaluated
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: untilStopped}, 2, nil)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything})
		<-time.After(10 * time.Second)
		if !m.Cancel("job") {
			t.Error("job is not known")
		}
		s := job.Snapshot() // at once, before any worker has noticed
		if s.Status != Cancelled || s.Elapsed != 10*time.Second || s.Evaluated == 0 {
			t.Errorf("got %+v, want cancelled after 10 s", s)
		}
		<-time.After(time.Second)
		if !m.Cancel("job") || job.Snapshot() != s {
			t.Errorf("cancelled again, it changed to %+v", job.Snapshot())
		}
		if m.Cancel("another") {
			t.Error("a job that nobody submitted is known")
		}
	})
}

// TestCancelWaitingJob cancels a job that no worker has come to yet.
func TestCancelWaitingJob(t *testing.T) {
	m := New(slog.New(slog.DiscardHandler), &Crew{Engine: fake{}, Workers: 1})
	job := submit(t, m, Request{ID: "job", Range: everything})
	m.Cancel("job")
	if s := job.Snapshot(); s.Status != Cancelled || s.Evaluated != 0 {
		t.Errorf("got %+v, want cancelled before it began", s)
	}
	if len(m.queue) != 0 {
		t.Error("it is still queued")
	}
}

// TestTerminalStateStands lets a winner arrive after the cancellation, and a
// cancellation after a winner.
func TestTerminalStateStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			<-time.After(time.Second)
			p.Advance(1)
			return engine.Outcome{Status: engine.Found, Nonce: r.Start}
		}}, 1, nil)
		defer stop()
		early := submit(t, m, Request{ID: "early", Range: everything})
		<-time.After(time.Millisecond)
		m.Cancel("early")
		<-time.After(2 * time.Second)
		if s := early.Snapshot(); s.Status != Cancelled || !s.Nonce.IsZero() || s.Evaluated != 0 {
			t.Errorf("cancelled, then found: %+v", s)
		}

		late := submit(t, m, Request{ID: "late", Range: everything})
		<-late.Done()
		want := late.Snapshot()
		m.Cancel("late")
		if s := late.Snapshot(); s.Status != Completed || s != want {
			t.Errorf("found, then cancelled: %+v, want %+v", s, want)
		}
	})
}

// TestWrongNonce gives the miner an engine that errs: nothing it reports may
// ever look like a result.
func TestWrongNonce(t *testing.T) {
	for name, e := range map[string]fake{
		"refused by the reference": {verify: func(u512.Uint) bool { return false }},
		"above the range": {search: func(r engine.Range, _ *engine.Progress) engine.Outcome {
			return engine.Outcome{Status: engine.Found, Nonce: number(21)}
		}},
		"below the range": {search: func(r engine.Range, _ *engine.Progress) engine.Outcome {
			return engine.Outcome{Status: engine.Found, Nonce: number(9)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if e.search == nil {
				e.search = func(r engine.Range, _ *engine.Progress) engine.Outcome {
					return engine.Outcome{Status: engine.Found, Nonce: r.Start}
				}
			}
			var log bytes.Buffer
			m, stop := start(e, 1, &log)
			job := submit(t, m, Request{ID: "job", Range: nonces(10, 20)})
			<-job.Done()
			stop()
			if s := job.Snapshot(); s.Status != Failed || s.Err != ErrWrongNonce || !s.Nonce.IsZero() {
				t.Errorf("got %+v, want failed and no nonce", s)
			}
			if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "WRONG NONCE") {
				t.Errorf("the log does not cry out:\n%s", &log)
			}
		})
	}
}

// TestEngineStopsUnasked makes sure that nonces which an engine gave up on do
// not leave their job running for ever, nor pass for searched.
func TestEngineStopsUnasked(t *testing.T) {
	for _, outcome := range []engine.Outcome{{Status: engine.Stopped}, {}, {Status: 99}} {
		m, stop := start(fake{search: func(engine.Range, *engine.Progress) engine.Outcome { return outcome }}, 1, nil)
		job := submit(t, m, Request{ID: "job", Range: nonces(1, 100)})
		<-job.Done()
		if s := job.Snapshot(); s.Status != Failed || s.Err != ErrStopped {
			t.Errorf("%+v led to %+v, want failed", outcome, s)
		}
		stop()
	}
}

// TestAllWorkersWake submits a job to workers that all sleep.
func TestAllWorkersWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var searching atomic.Int32
		m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			searching.Add(1)
			return untilStopped(r, p)
		}}, 8, nil)
		defer stop()
		synctest.Wait()
		submit(t, m, Request{ID: "job", Range: everything})
		synctest.Wait()
		if searching.Load() != 8 {
			t.Errorf("%d of 8 workers search", searching.Load())
		}
	})
}

// TestStartIsLoggedBeforeEnd looks at jobs that end as soon as they begin.
func TestStartIsLoggedBeforeEnd(t *testing.T) {
	for range 50 {
		var log bytes.Buffer
		m, stop := start(fake{search: exhausted}, 4, &log)
		<-submit(t, m, Request{ID: "job", Range: nonces(1, 2)}).Done()
		stop()
		first, _, _ := strings.Cut(log.String(), "\n")
		if !strings.Contains(first, "job started") {
			t.Fatalf("the log begins with %s", first)
		}
	}
}

// TestCountStaysAtItsMaximum adds up workers of which each has evaluated, or
// skipped over, as many nonces as can be counted.
func TestCountStaysAtItsMaximum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: func(_ engine.Range, p *engine.Progress) engine.Outcome {
			p.Advance(math.MaxUint64)
			return every(time.Second, p)
		}}, 2, nil)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything})
		<-time.After(time.Minute)
		if s := job.Snapshot(); s.Evaluated != math.MaxUint64 {
			t.Errorf("%d nonces evaluated, want 2^64−1", s.Evaluated)
		}
	})
}

func TestSubmitErrors(t *testing.T) {
	m, stop := start(fake{search: exhausted}, 1, nil)
	if _, err := m.Submit(Request{ID: "job", Range: nonces(2, 1)}); err == nil {
		t.Error("an empty range was taken")
	}
	job := submit(t, m, Request{ID: "job", Range: nonces(1, 2)})
	<-job.Done()
	if _, err := m.Submit(Request{ID: "job", Range: nonces(1, 2)}); !errors.Is(err, ErrExists) {
		t.Errorf("the name of a known job: %v, want ErrExists", err)
	}
	if got, known := m.Job("job"); !known || got != job {
		t.Errorf("the first job gave way to %v", got)
	}
	stop()
	if _, err := m.Submit(Request{ID: "new", Range: nonces(1, 2)}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end of Run: %v, want ErrClosed", err)
	}
}

// TestSubmitRace submits one name from many goroutines, all of which find it
// free at first: one of them gets it.
func TestSubmitRace(t *testing.T) {
	const submitters = 50
	var preparing sync.WaitGroup
	preparing.Add(submitters)
	m, stop := start(fake{search: exhausted, prepare: func() { preparing.Done(); preparing.Wait() }}, 2, nil)
	defer stop()
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range submitters {
		wg.Go(func() {
			if _, err := m.Submit(Request{ID: "job", Range: nonces(1, 2)}); err == nil {
				taken.Add(1)
			} else if !errors.Is(err, ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Errorf("the name was given to %d jobs", taken.Load())
	}
}

// TestRetention follows a job of an hour: it is never forgotten while it runs,
// and known for five minutes from its end.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: func(_ engine.Range, p *engine.Progress) engine.Outcome {
			return every(time.Minute, p)
		}}, 1, nil)
		defer stop()
		submit(t, m, Request{ID: "job", Range: everything})
		<-time.After(time.Hour)
		if _, known := m.Job("job"); !known {
			t.Fatal("a running job was forgotten")
		}
		m.Cancel("job")
		<-time.After(Retention - time.Nanosecond)
		if _, known := m.Job("job"); !known {
			t.Error("forgotten before five minutes had passed")
		}
		m.Cancel("job") // does not count as another end
		<-time.After(time.Nanosecond)
		if _, known := m.Job("job"); known {
			t.Error("still known after five minutes")
		}
		if m.Cancel("job") {
			t.Error("a forgotten job can be cancelled")
		}
		submit(t, m, Request{ID: "job", Range: everything}) // the name is free again
		if len(m.jobs) != 1 || len(m.over) != 0 {
			t.Errorf("%d jobs and %d ends are kept", len(m.jobs), len(m.over))
		}
	})
}

// TestJobsShareTheWorkers runs three jobs on two workers: never more than two
// searches at a time, and every job gets on.
func TestJobsShareTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var searching, most atomic.Int32
		m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			most.Store(max(most.Load(), searching.Add(1)))
			defer searching.Add(-1)
			<-time.After(200 * time.Millisecond)
			p.Advance(1)
			return engine.Outcome{Status: engine.Exhausted}
		}}, 2, nil)
		defer stop()
		var jobs []*Job
		for i := range 3 {
			jobs = append(jobs, submit(t, m, Request{ID: fmt.Sprint(i), Range: everything}))
		}
		<-time.After(time.Minute)
		for _, job := range jobs {
			if s := job.Snapshot(); s.Evaluated < 195 || s.Evaluated > 205 {
				t.Errorf("job %s had %d of 600 leases, want a third", job.ID(), s.Evaluated)
			}
		}
		if most.Load() != 2 {
			t.Errorf("%d searches at a time on 2 workers", most.Load())
		}
	})
}

// TestLeasesTakeAFractionOfASecond gives the miner an engine whose speed changes
// by factors of up to a thousand, and looks how long its leases become.
func TestLeasesTakeAFractionOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var perNonce, last atomic.Int64 // in nanoseconds
		m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			took := perNonce.Load() * int64(r.End.SubWrap(r.Start).Sat64()+1)
			<-time.After(time.Duration(took))
			last.Store(took)
			return engine.Outcome{Status: engine.Exhausted}
		}}, 8, nil)
		defer stop()
		for i, ns := range []int64{500, 5, 5_000, 50} {
			perNonce.Store(ns)
			if i == 0 {
				submit(t, m, Request{ID: "job", Range: everything})
			}
			// The first leases at a lower speed take minutes.
			<-time.After(20 * time.Minute)
			if took := time.Duration(last.Load()); took < leaseTime/2 || took > 2*leaseTime {
				t.Errorf("at %d ns a nonce a lease takes %s", ns, took)
			}
		}
		m.Cancel("job")
	})
}

// TestNextJob looks at the first lease of a job that follows another: it is large
// already, as the crew's speed is known.
func TestNextJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first atomic.Uint64 // the size of the next first lease
		m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			n := r.End.SubWrap(r.Start).Sat64() + 1
			first.CompareAndSwap(0, n)
			<-time.After(time.Microsecond * time.Duration(n))
			return engine.Outcome{Status: engine.Exhausted}
		}}, 1, nil)
		defer stop()
		for i, want := range []uint64{1 << firstLeaseBits, 1 << 14} { // of 2^17, which take 0.13 s
			first.Store(0)
			submit(t, m, Request{ID: fmt.Sprint(i), Range: everything})
			<-time.After(time.Minute)
			if n := first.Load(); n != want {
				t.Errorf("the first lease of job %d has %d nonces, want %d", i, n, want)
			}
			m.Cancel(fmt.Sprint(i))
			<-time.After(time.Second)
		}
	})
}

// TestRestIsShared searches a range whose leases could be as large as half of
// it: at its end they are small, so that all workers end at the same time.
func TestRestIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			<-time.After(time.Microsecond * time.Duration(r.End.SubWrap(r.Start).Sat64()+1))
			return engine.Outcome{Status: engine.Exhausted}
		}}, 4, nil)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: nonces(1, 500_000)})
		<-job.Done()
		// 500,000 µs on 4 workers are 125 ms, if none is left over.
		if s := job.Snapshot(); s.Elapsed > 126*time.Millisecond {
			t.Errorf("the search took %s, want 125 ms", s.Elapsed)
		}
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: untilStopped}, 4, nil)
		job := submit(t, m, Request{ID: "job", Range: everything})
		<-time.After(time.Second)
		stop() // returns when every worker has
		if s := job.Snapshot(); s.Status != Cancelled {
			t.Errorf("got %+v, want cancelled", s)
		}
	})
}

// TestRealEngine takes searches with a known end through the whole of it.
func TestRealEngine(t *testing.T) {
	header := [32]byte{1, 2, 3}
	ref := sha3rsa.NewReference(header)
	best, winner := u512.Max(), u512.Uint{}
	for n := range uint64(3000) {
		if d := ref.Distance(number(n + 1)); d.Cmp(best) < 0 {
			best, winner = d, number(n+1)
		}
	}
	for _, workers := range []int{1, 2, 16} {
		m, stop := start(fast.Engine{}, workers, nil)
		found := submit(t, m, Request{ID: "found", Header: header, Threshold: best, Range: nonces(0, 3000)})
		none := submit(t, m, Request{ID: "none", Header: header, Threshold: best.SubWrap(number(1)), Range: nonces(0, 3000)})
		<-found.Done()
		<-none.Done()
		stop()
		if s := found.Snapshot(); s.Status != Completed || s.Nonce != winner || s.Distance != best || workers == 1 && number(s.Evaluated) != winner {
			t.Errorf("%d workers: %+v, want nonce %s", workers, s, winner.Hex())
		}
		if s := none.Snapshot(); s.Status != Failed || s.Err != ErrExhausted || s.Evaluated != 3000 {
			t.Errorf("%d workers: %+v, want failed after 3000 nonces", workers, s)
		}
	}
}

// TestSaturatedTail searches the last 2^250 nonces, which all share a distance
// but for the first few.
func TestSaturatedTail(t *testing.T) {
	m, stop := start(fast.Engine{}, 2, nil)
	defer stop()
	job := submit(t, m, Request{
		ID: "tail", Header: [32]byte{0xff}, // int(h) > 2^255
		Range: engine.Range{Start: u512.Max().SubWrap(number(1).Lsh(250)), End: u512.Max()},
	})
	<-job.Done()
	if s := job.Snapshot(); s.Status != Failed {
		t.Errorf("got %+v, want failed", s)
	}
}

// BenchmarkOneNonce is a job from its submission to its result: the overhead
// of a job, of which 0.5 ms are three derivations and exponentiations.
func BenchmarkOneNonce(b *testing.B) {
	m, stop := start(fast.Engine{}, 1, nil)
	defer stop()
	for i := 0; b.Loop(); i++ {
		job := submit(b, m, Request{ID: fmt.Sprint(i), Header: [32]byte{1}, Threshold: u512.Max(), Range: nonces(1, 1)})
		<-job.Done()
	}
}
