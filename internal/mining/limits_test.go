package mining

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
)

// TestLimits fills a miner with as many jobs as may run, and then with as many as
// may be known. What there is no room for is refused, changes nothing, and finds
// room when it is told to come again.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: fake{search: untilStopped}, Workers: 1})
		m.Limits = Limits{Running: 2, Known: 5}
		stop := run(m)
		defer stop()
		refused := func(id, why string) (retryAfter time.Duration) {
			t.Helper()
			_, err := m.Submit(Request{ID: id, Range: everything})
			busy, ok := errors.AsType[*BusyError](err)
			if !ok || !strings.Contains(err.Error(), why) || busy.RetryAfter <= 0 {
				t.Fatalf("submitting %s: %v, want a refusal because %s", id, err, why)
			}
			if _, known := m.Job(id); known {
				t.Errorf("%s was refused and is known", id)
			}
			return busy.RetryAfter
		}
		for i := range 5 {
			submit(t, m, Request{ID: fmt.Sprint(i), Range: everything})
			if i == 1 {
				refused("third", "running, 2")
				if _, err := m.Submit(Request{ID: "0", Range: everything}); !errors.Is(err, ErrExists) {
					t.Errorf("submitting a known job to a full miner: %v, want ErrExists", err)
				}
			}
			if i > 0 {
				<-time.After(time.Second)
				m.Cancel(fmt.Sprint(i - 1))
			}
		}
		wait := refused("sixth", "known, 5")
		if want := Retention - 3*time.Second; wait != want { // since the first of four ends
			t.Errorf("come again after %s, want %s", wait, want)
		}
		<-time.After(wait)
		submit(t, m, Request{ID: "sixth", Range: everything})
		for i := 1; i < 5; i++ {
			if _, known := m.Job(fmt.Sprint(i)); !known {
				t.Errorf("job %d was forgotten early", i)
			}
		}
	})
}

// TestLimitOver has a miner forget the oldest of its jobs instead of refusing new
// ones: however many there are, none is refused and few are known.
func TestLimitOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: fake{search: untilStopped}, Workers: 1})
		m.Limits.Over = 3
		stop := run(m)
		defer stop()
		const jobs = 1000
		for i := range jobs {
			submit(t, m, Request{ID: fmt.Sprint(i), Range: everything})
			if i != 1 { // which runs on, and is not forgotten
				m.Cancel(fmt.Sprint(i))
			}
		}
		o := m.Overview()
		var known []string
		for _, job := range o.Jobs {
			known = append(known, job.Job.ID())
		}
		if got := strings.Join(known, " "); got != "1 997 998 999" {
			t.Errorf("known are %s", got)
		}
		if o.Cancelled != jobs-1 || o.Running != 1 {
			t.Errorf("%d cancelled, %d running", o.Cancelled, o.Running)
		}
		if len(m.jobs) != 4 {
			t.Errorf("%d jobs are held", len(m.jobs))
		}
	})
}

// TestLimitsHoldBetween submits more jobs at once than may run: those that pass the
// first look while others are being prepared do not all get in.
func TestLimitsHoldBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: fake{search: untilStopped, prepare: func() { <-time.After(time.Second) }}, Workers: 1})
		m.Limits.Running = 3
		stop := run(m)
		defer stop()
		results := make(chan error)
		for i := range 10 {
			go func() {
				_, err := m.Submit(Request{ID: fmt.Sprint(i), Range: engine.Range{End: number(1)}})
				results <- err
			}()
		}
		accepted := 0
		for range 10 {
			if <-results == nil {
				accepted++
			}
		}
		if accepted != 3 {
			t.Errorf("%d jobs run, want 3", accepted)
		}
	})
}

// TestAbandoned follows jobs that somebody asks about, rarely enough, and jobs that
// nobody asks about, among them one that somebody asked about for a while.
func TestAbandoned(t *testing.T) {
	for _, after := range []time.Duration{0, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			m := New(slog.New(slog.NewTextHandler(&log, nil)), &Crew{Engine: fake{search: func(_ engine.Range, p *engine.Progress) engine.Outcome {
				return every(time.Second, p)
			}}, Workers: 2})
			m.Limits.AbandonAfter = after
			stop := run(m)
			defer stop()
			<-time.After(time.Minute)
			abandoned := submit(t, m, Request{ID: "abandoned", Range: everything})
			<-time.After(time.Minute)
			submit(t, m, Request{ID: "asked about", Range: everything})
			for range 20 {
				<-time.After(5*time.Minute - time.Nanosecond)
				if job, known := m.Job("asked about"); !known || job.Snapshot().Status != Running {
					t.Fatal("a job was abandoned that somebody asks about")
				}
			}
			late := submit(t, m, Request{ID: "asked about once", Range: everything})
			<-time.After(4 * time.Minute)
			m.Job("asked about once")
			<-time.After(6 * time.Minute)
			if after == 0 {
				for _, job := range []*Job{abandoned, late} {
					if s := job.Snapshot(); s.Status != Running {
						t.Errorf("without a limit %s is %s", job.ID(), s.Status)
					}
				}
				return
			}
			for job, want := range map[*Job]time.Duration{abandoned: 5 * time.Minute, late: 9 * time.Minute} {
				if s := job.Snapshot(); s.Status != Cancelled || s.Err != ErrAbandoned || s.Elapsed != want {
					t.Errorf("%s: %+v, want cancelled after %s", job.ID(), s, want)
				}
			}
			if o := m.Overview(); o.Abandoned != 3 || o.Cancelled != 3 || o.Running != 0 {
				t.Errorf("%+v", o.Totals)
			}
			stop() // and the log is complete
			if n := strings.Count(log.String(), `level=WARN msg="job abandoned`); n != 3 {
				t.Errorf("%d of 3 abandoned jobs are logged:\n%s", n, &log)
			}
		})
	}
}

// TestStopped has nobody look for abandoned jobs for a while, as if the process was stopped:
// no job is abandoned because its owner could not ask in the meantime.
func TestStopped(t *testing.T) {
	const after = 5 * time.Minute
	for _, late := range []time.Duration{stopped - 1, stopped, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			m := New(slog.New(slog.DiscardHandler), &Crew{Engine: fake{}, Workers: 1}) // which does not run
			m.Limits.AbandonAfter = after
			job := submit(t, m, Request{ID: "job", Range: everything})
			due := time.Now().Add(after)
			<-time.After(after + late)
			want := Running
			if late < stopped {
				want = Cancelled
			}
			next := m.abandon(due)
			if s := job.Snapshot(); s.Status != want || next != after {
				t.Errorf("%s late: the job is %s and the next look in %s, want %s and %s", late, s.Status, next, want, after)
			}
			due = time.Now().Add(next)
			<-time.After(next)
			m.abandon(due)
			if s := job.Snapshot(); s.Status != Cancelled {
				t.Errorf("the job is %s, and nobody has asked for a second time as long", s.Status)
			}
		})
	}
}

// TestThrottle has workers search for a quarter of the time: not in the average
// of minutes alone, but of every second, as the rest belongs to a lease's time.
func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(slog.New(slog.DiscardHandler), &Crew{Throttle: 0.25, Engine: fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			for range r.End.SubWrap(r.Start).Sat64() + 1 {
				<-time.After(100 * time.Microsecond)
				p.Advance(1)
			}
			return engine.Outcome{Status: engine.Exhausted}
		}}, Workers: 2})
		stop := run(m)
		job := submit(t, m, Request{ID: "job", Range: everything})
		<-time.After(2 * time.Second) // its leases have grown
		for range 10 {
			before := job.Snapshot()
			<-time.After(time.Second)
			if n := job.Snapshot().Evaluated - before.Evaluated; n < 4000 || n > 6000 {
				t.Errorf("%d nonces in a second of two workers with ten thousand each, want a quarter", n)
			}
		}
		began := time.Now()
		stop() // does not wait for workers that rest
		if took := time.Since(began); took > 2*leaseTime/4 {
			t.Errorf("the end took %s", took)
		}
	})
}
