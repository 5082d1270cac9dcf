package mining

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// sum adds up counts of workers.
func sum(counts []uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// TestEveryHashCountsOnce looks at three jobs while they run together and after
// each has ended in a way of its own: the workers' counts always add up to the
// job's, and the jobs' to the miner's.
func TestEveryHashCountsOnce(t *testing.T) {
	m, stop := start(fast.Engine{}, 3, nil)
	check := func(o Overview) {
		t.Helper()
		total := uint64(0)
		for _, job := range o.Jobs {
			if got := sum(job.Workers); got != job.Evaluated || len(job.Workers) != 3 {
				t.Errorf("job %s: %d nonces, %v by worker", job.Job.ID(), job.Evaluated, job.Workers)
			}
			if job.Status != Running && job.Evaluated != job.Job.Snapshot().Evaluated {
				t.Errorf("job %s: %d nonces in the overview, %d in its result", job.Job.ID(), job.Evaluated, job.Job.Snapshot().Evaluated)
			}
			total += job.Evaluated
		}
		if total != o.Evaluated {
			t.Errorf("%d nonces in all, %d by job", o.Evaluated, total)
		}
	}
	found := submit(t, m, Request{ID: "found", Threshold: u512.Max().Rsh(14), Range: everything})
	submit(t, m, Request{ID: "cancelled", Header: [32]byte{1}, Range: everything})
	exhausted := submit(t, m, Request{ID: "exhausted", Header: [32]byte{2}, Range: nonces(1, 50_000)})
	for over := false; !over; {
		o := m.Overview()
		check(o)
		over = o.Running <= 1
	}
	<-found.Done()
	<-exhausted.Done()
	m.Cancel("cancelled")
	after := m.Overview()
	check(after)
	if want := (Totals{Evaluated: after.Evaluated, Completed: 1, Failed: 1, Cancelled: 1, Winners: 1, Exhausted: 1}); after.Totals != want || after.Running != 0 {
		t.Errorf("%+v and %d running, want %+v and none", after.Totals, after.Running, want)
	}
	if e := exhausted.Snapshot().Evaluated; e != 50_000 {
		t.Errorf("%d of 50,000 nonces counted", e)
	}
	stop() // what the workers of the cancelled job did until they noticed is not counted
	m.Cancel("found")
	m.Cancel("exhausted")
	again := m.Overview()
	if check(again); again.Totals != after.Totals {
		t.Errorf("after the end %+v became %+v", after.Totals, again.Totals)
	}
}

// TestOverview follows three jobs in a miner's overview until they are forgotten.
func TestOverview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: untilStopped}, 2, nil)
		defer stop()
		type row struct {
			ID      string
			Status  Status
			Elapsed time.Duration
		}
		rows := func() (rows []row) {
			for _, job := range m.Overview().Jobs {
				if job.Job.Range() != everything || !job.Job.Started().Equal(time.Now().Add(-job.Elapsed)) && job.Status == Running {
					t.Errorf("job %s: range %v, started %s", job.Job.ID(), job.Job.Range(), job.Job.Started())
				}
				rows = append(rows, row{job.Job.ID(), job.Status, job.Elapsed})
			}
			all, current := m.Overview(), m.Current()
			all.Jobs = slices.DeleteFunc(all.Jobs, func(job JobOverview) bool { return job.Status != Running })
			if len(current.Jobs) != len(all.Jobs) || current.Totals != all.Totals || current.Running != len(current.Jobs) {
				t.Errorf("%+v of the current jobs, %+v of all", current, all)
			}
			return rows
		}
		want := func(want ...row) {
			t.Helper()
			if diff := cmp.Diff(want, rows()); diff != "" {
				t.Errorf("jobs (-want +got):\n%s", diff)
			}
		}
		want()
		for _, id := range []string{"c", "a", "b"} {
			submit(t, m, Request{ID: id, Range: everything})
			<-time.After(time.Second)
		}
		want(row{"c", Running, 3 * time.Second}, row{"a", Running, 2 * time.Second}, row{"b", Running, time.Second})
		m.Cancel("a")
		<-time.After(time.Second)
		want(row{"c", Running, 4 * time.Second}, row{"a", Cancelled, 2 * time.Second}, row{"b", Running, 2 * time.Second})
		before := m.Overview()
		if before.Running != 2 || before.Cancelled != 1 || !before.Time.Equal(time.Now()) {
			t.Errorf("%d running, %d cancelled, at %s", before.Running, before.Cancelled, before.Time)
		}
		<-time.After(Retention)
		want(row{"c", Running, 4*time.Second + Retention}, row{"b", Running, 2*time.Second + Retention})
		if after := m.Overview(); after.Cancelled != 1 || after.Evaluated < before.Evaluated {
			t.Errorf("with the job its counts are forgotten: %+v", after.Totals)
		}
	})
}

// TestRejected counts wrong winners, by the engine that reported them, and also
// one of a job that is over by then.
func TestRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := fake{
			verify: func(u512.Uint) bool { return false },
			search: func(r engine.Range, p *engine.Progress) engine.Outcome {
				<-time.After(time.Second)
				p.Advance(1)
				return engine.Outcome{Status: engine.Found, Nonce: r.Start}
			},
		}
		spare := 1
		replace := func(engine.Engine) (engine.Engine, error) {
			if spare == 0 {
				return nil, errors.New("there are two engines")
			}
			spare--
			wrong.name = "spare"
			return wrong, nil
		}
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: wrong, Workers: 1, Replace: replace})
		stop := run(m)
		defer stop()
		submit(t, m, Request{ID: "cancelled", Range: everything})
		<-time.After(time.Millisecond)
		m.Cancel("cancelled")
		<-time.After(time.Second)
		<-submit(t, m, Request{ID: "failed", Range: everything}).Done()
		o := m.Overview()
		if want := (Totals{Evaluated: 1, Failed: 1, Cancelled: 1, Rejected: 2}); o.Totals != want {
			t.Errorf("%+v, want %+v", o.Totals, want)
		}
		if len(o.Engines) != 2 || o.Engines[0].Totals != (Totals{Cancelled: 1, Rejected: 1}) || o.Engines[1].Totals != (Totals{Evaluated: 1, Failed: 1, Rejected: 1}) {
			t.Errorf("by engine: %+v", o.Engines)
		}
	})
}

// TestPartsOfTheMaximum has two workers that both count up to 2^64−1: the parts
// still add up to the whole.
func TestPartsOfTheMaximum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: func(_ engine.Range, p *engine.Progress) engine.Outcome {
			p.Advance(math.MaxUint64 - 10)
			return every(time.Minute, p)
		}}, 2, nil)
		defer stop()
		submit(t, m, Request{ID: "job", Range: everything})
		synctest.Wait()
		m.Cancel("job")
		o := m.Overview()
		if got, want := o.Jobs[0].Workers, []uint64{math.MaxUint64 - 9, 9}; !cmp.Equal(got, want) || o.Evaluated != math.MaxUint64 {
			t.Errorf("%v of %d, want %v", got, o.Evaluated, want)
		}
	})
}

// TestFirstNonce measures how long jobs take to start: on free workers, on
// workers that are busy, and never.
func TestFirstNonce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			if !p.Advance(0) {
				return engine.Outcome{Status: engine.Stopped}
			}
			<-time.After(100 * time.Millisecond) // the exponentiation
			for range 3 {
				p.Advance(1)
				<-time.After(100 * time.Millisecond)
			}
			return engine.Outcome{Status: engine.Exhausted}
		}}, Workers: 2})
		var mu sync.Mutex
		var took []string
		first := func(after time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			took = append(took, fmt.Sprint(after))
		}
		submit(t, m, Request{ID: "cancelled", Range: everything, FirstNonce: first})
		m.Cancel("cancelled")

		stop := run(m)
		defer stop()
		submit(t, m, Request{ID: "a", Range: everything, Received: time.Now().Add(-time.Second), FirstNonce: first})
		<-time.After(350 * time.Millisecond)
		submit(t, m, Request{ID: "b", Range: everything, FirstNonce: first}) // its turn is at 400 ms
		<-time.After(time.Minute)
		m.Cancel("a")
		m.Cancel("b")
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]string{"1.1s", "150ms"}, took); diff != "" {
			t.Errorf("first nonces (-want +got):\n%s", diff)
		}
	})
}

// TestFirstNonceOfAnyWorker lets the worker that sets out last be the first, and
// the others be stopped before they have counted anything.
func TestFirstNonceOfAnyWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var searching, told atomic.Int32
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			if searching.Add(1) < 3 {
				<-time.After(time.Second)
				p.Advance(1)
				return engine.Outcome{Status: engine.Stopped}
			}
			<-time.After(time.Millisecond)
			p.Advance(1)
			return engine.Outcome{Status: engine.Found, Nonce: r.Start}
		}}, Workers: 3})
		first := func(after time.Duration) {
			if told.Add(1); after != time.Millisecond {
				t.Errorf("the first nonces came after %s, want 1 ms", after)
			}
		}
		stop := run(m)
		defer stop()
		<-submit(t, m, Request{ID: "job", Range: everything, FirstNonce: first}).Done()
		<-time.After(2 * time.Second)
		if told.Load() != 1 {
			t.Errorf("it was told %d times", told.Load())
		}
	})
}

// TestReceived counts a job's time from the moment that it was asked for.
func TestReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: untilStopped, prepare: func() { <-time.After(time.Second) }}, 1, nil)
		defer stop()
		early := submit(t, m, Request{ID: "early", Range: everything, Received: time.Now().Add(-time.Second)})
		if got := early.Snapshot().Elapsed; got != 2*time.Second {
			t.Errorf("asked for a second before Submit, which took another: %s have passed", got)
		}
		now := submit(t, m, Request{ID: "now", Range: everything})
		if got := now.Snapshot().Elapsed; got != time.Second {
			t.Errorf("Submit took a second: %s have passed", got)
		}
	})
}

// TestFirstFetch asks how long a result has waited, before there is one, when
// there is, and again.
func TestFirstFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			<-time.After(time.Second)
			return engine.Outcome{Status: engine.Found, Nonce: r.Start}
		}}, 1, nil)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything})
		if waited, first := job.FirstFetch(); first {
			t.Errorf("a result has waited for %s while the job runs", waited)
		}
		<-time.After(1500 * time.Millisecond)
		if waited, first := job.FirstFetch(); !first || waited != 500*time.Millisecond {
			t.Errorf("the result has waited for %s (%t), want 500 ms", waited, first)
		}
		if _, first := job.FirstFetch(); first {
			t.Error("it was fetched for the first time twice")
		}
		cancelled := submit(t, m, Request{ID: "cancelled", Range: everything})
		m.Cancel("cancelled")
		if _, first := cancelled.FirstFetch(); first {
			t.Error("a cancelled job has a result to be fetched")
		}
	})
}
