package mining

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// far is a machine far away, for tests: an engine behind the interface of one.
type far struct {
	engine engine.Engine
	size   uint64
	// early, if not nil, says how a search ends early.
	early func() engine.Status
}

func (f far) LeaseSize() uint64 { return f.size }

func (f far) Search(_ *Job, r engine.Range, p *engine.Progress) (s engine.Status, done uint64) {
	if f.early != nil {
		return f.early(), 0
	}
	search, err := f.engine.Prepare([32]byte{}, u512.Uint{})
	if err != nil {
		return engine.Stopped, 0
	}
	before := p.Evaluated()
	return search.Search(r, p).Status, p.Evaluated() - before
}

// TestRemote has a machine far away and a thread search a range. The machine's leases are as large as it
// wants them, and it counts as one thread.
func TestRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		e := &steady{name: "fleet", perNonce: time.Millisecond, batch: 10, book: &b}
		m := New(slog.New(slog.DiscardHandler),
			&Crew{Engine: &steady{name: "cpu", perNonce: time.Millisecond, batch: 10, book: &b}, Workers: 1},
			&Crew{Name: "rig7", Engine: e, Workers: 2, Remote: far{engine: e, size: 777}})
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: nonces(1, 50_000)})
		<-job.Done()
		if s := job.Snapshot(); s.Err != ErrExhausted || s.Evaluated != 50_000 {
			t.Errorf("%+v", s)
		}
		if err := b.check(nonces(1, 50_000)); err != nil {
			t.Error(err)
		}
		whole := 0
		for _, r := range b.searched {
			if r.End.SubWrap(r.Start) == number(776) {
				whole++
			}
		}
		if whole < 30 {
			t.Errorf("%d searches of the size that the machine wants", whole)
		}
		o := m.Overview()
		if len(o.Jobs[0].Threads) != 2 || o.Crews[1] != (CrewOverview{"rig7", "fleet", "test", 1, true}) || o.Crews[1].Worker(0) != "rig7" || m.Workers() != 3 {
			t.Errorf("threads %+v, crews %+v", o.Jobs[0].Threads, o.Crews)
		}
	})
}

// TestRemoteLost has a machine be lost and come again, whatever it was at. Others search the rest.
func TestRemoteLost(t *testing.T) {
	for name, early := range map[string]func() engine.Status{
		"unavailable": func() engine.Status { <-time.After(time.Second); return engine.Unavailable },
		"fails":       func() engine.Status { return engine.Stopped },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b book
				e := &steady{name: "fleet", perNonce: time.Millisecond, batch: 10, book: &b}
				m := New(slog.New(slog.DiscardHandler))
				m.Add(&Crew{Name: "a", Engine: e, Workers: 2, Remote: far{engine: e, size: 777, early: early}, Recover: func(ctx context.Context) error {
					<-time.After(time.Second) // for time to pass in this bubble
					return ctx.Err()
				}})
				m.Add(&Crew{Name: "b", Engine: e, Workers: 2, Remote: far{engine: e, size: 777}})
				stop := run(m)
				defer stop()
				job := submit(t, m, Request{ID: "job", Range: nonces(1, 20_000)})
				<-job.Done()
				if s := job.Snapshot(); s.Err != ErrExhausted || s.Evaluated != 20_000 {
					t.Errorf("%+v", s)
				}
				if err := b.check(nonces(1, 20_000)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestOffer offers winners, right ones and others, to jobs of each kind.
func TestOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reference := &steady{finds: 10}
		waits := far{size: 100, early: func() engine.Status { <-time.After(time.Hour); return engine.Unavailable }}
		c := &Crew{Name: "rig7", Engine: &steady{name: "fleet"}, Workers: 1, Remote: waits}
		m := New(slog.New(slog.DiscardHandler), c)
		stop := run(m)
		defer func() {
			stop()
			<-time.After(2 * time.Hour)
		}()
		offer := func(job *Job, nonce uint64, want Verdict) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if v, err := c.Offer(ctx, job, reference, number(nonce)); v != want || err != nil {
				t.Errorf("nonce %d of %s: %d (%v), want %d", nonce, job.ID(), v, err, want)
			}
		}
		once := submit(t, m, Request{ID: "once", Range: nonces(1, 1000)})
		offer(once, 50, Taken)
		offer(once, 50, Known)
		offer(once, 60, Over)
		if s := once.Snapshot(); s.Status != Completed || s.Nonce != number(50) {
			t.Errorf("%+v", s)
		}
		many := submit(t, m, Request{ID: "many", Range: nonces(1, 1000), GoOn: true})
		for n := uint64(10); n <= 40; n += 10 {
			offer(many, n, Taken)
		}
		offer(many, 10, Known)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Offer(ctx, many, reference, number(50)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a full queue: %v", err)
		}
		if w := <-many.Winners(); w.Nonce != number(10) || w.Distance != number(10) {
			t.Errorf("%+v", w)
		}
		offer(many, 50, Taken) // which is not known for having waited
		m.Cancel("many")
		offer(many, 60, Over)
		if o := m.Overview(); o.Winners != 6 || o.Rejected != 0 {
			t.Errorf("%+v", o.Totals)
		}
		m.CountLate("fleet", 5)
		if n := m.Overview().Evaluated; n != 5 {
			t.Errorf("%d nonces in all", n)
		}
		for _, nonce := range []uint64{15, 2000} { // not valid, and not of the range
			next := submit(t, m, Request{ID: "next", Range: nonces(1, 1000)})
			offer(next, nonce, Wrong)
			if s := next.Snapshot(); s.Status != Running || !m.Working() || m.Workers() != 0 {
				t.Errorf("%+v, with %d workers", s, m.Workers())
			}
			m.Cancel("next")
			delete(m.jobs, "next")
		}
	})
}

// TestInTurn has three jobs in turn: a worker goes on with the next when nothing is left of the one
// before, also when that comes back.
func TestInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		e := &steady{name: "a", perNonce: time.Millisecond, batch: 10, book: &b}
		m, stop := start(e, 2, nil)
		defer stop()
		var jobs []*Job
		for i, id := range []string{"a", "b", "c"} {
			jobs = append(jobs, submit(t, m, Request{ID: id, Range: nonces(uint64(i)*10_000, uint64(i)*10_000+9999), InTurn: true}))
		}
		done := func() (counts [3]uint64) {
			for i, j := range jobs {
				counts[i] = j.Snapshot().Evaluated
			}
			return counts
		}
		<-time.After(3 * time.Second)
		if got := done(); got[0] < 5900 || got[1] != 0 || got[2] != 0 {
			t.Errorf("after 3 s: %v", got)
		}
		m.Pause() // what was out comes back in front
		m.Resume()
		<-jobs[0].Done()
		if got := done(); got[1] > 500 || got[2] != 0 {
			t.Errorf("at the end of the first: %v", got)
		}
		<-jobs[1].Done()
		if got := done(); got[2] > 500 {
			t.Errorf("at the end of the second: %v", got)
		}
		<-jobs[2].Done()
		if err := b.check(nonces(0, 29_999)); err != nil {
			t.Error(err)
		}
	})
}

// TestCovered has the start of a range be searched without a gap as far as is said, at any time, and no less
// than is behind the leases that are out.
func TestCovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		m := New(slog.New(slog.DiscardHandler),
			&Crew{Engine: &steady{name: "slow", perNonce: time.Millisecond, batch: 5, book: &b}, Workers: 2},
			&Crew{Name: "gpu0", Engine: &steady{name: "fast", perNonce: 10 * time.Microsecond, batch: 500, book: &b}, Workers: 1})
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: nonces(1, 1_000_000)})
		for job.Snapshot().Status == Running {
			<-time.After(97 * time.Millisecond)
			covered, evaluated := job.Covered(), job.Snapshot().Evaluated
			if covered > evaluated || job.Snapshot().Status == Running && evaluated-covered > 130_000 { // what is searched in the time of two leases
				t.Fatalf("%d are searched without a gap, of %d", covered, evaluated)
			}
		}
		whole := submit(t, m, Request{ID: "whole", Range: engine.Range{End: u512.Max()}})
		if n := whole.Covered(); n != 0 {
			t.Errorf("%d of a job that has just begun", n)
		}
		m.Cancel("whole")
		<-time.After(time.Second) // its leases are back
		if n := whole.Covered(); n != 0 {
			t.Errorf("%d of a job that was cancelled", n)
		}
	})
}

// TestNonceSet holds a set to its bound.
func TestNonceSet(t *testing.T) {
	var s nonceSet
	for i := range uint64(3 * maxNonceSet) {
		if !s.add(number(i)) || s.add(number(i)) {
			t.Fatalf("nonce %d", i)
		}
	}
	if len(s.has) != maxNonceSet || len(s.order) != maxNonceSet || s.add(number(2*maxNonceSet)) || !s.add(number(0)) {
		t.Errorf("%d, %d", len(s.has), len(s.order))
	}
	s.remove(number(0))
	if !s.add(number(0)) {
		t.Error("it was not removed")
	}
}
