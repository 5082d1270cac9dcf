package mining

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// book is where engines of a test write down what they have searched.
type book struct {
	mu       sync.Mutex
	searched []engine.Range
}

func (b *book) add(start u512.Uint, n uint64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.searched = append(b.searched, engine.Range{Start: start, End: start.AddWrap(number(n - 1))})
}

// check returns what is wrong with the book if each nonce of the range is to be in it
// once.
func (b *book) check(r engine.Range) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.SortFunc(b.searched, func(a, b engine.Range) int { return a.Start.Cmp(b.Start) })
	next := r.Start
	for _, s := range b.searched {
		if s.Start != next {
			return fmt.Errorf("a search of %s to %s, want one from %s", s.Start.Hex(), s.End.Hex(), next.Hex())
		}
		next = after(s.End)
	}
	if next != after(r.End) {
		return fmt.Errorf("searched up to %s of %s", next.Hex(), r.End.Hex())
	}
	return nil
}

// steady is an engine that takes a certain time for each nonce, and evaluates them in
// batches. It finds the nonces that are multiples of a number, unless that is 0.
type steady struct {
	name     string
	perNonce time.Duration
	batch    uint64
	finds    uint64
	book     *book
	searches atomic.Int64 // that go on
}

func (s *steady) Name() string                                    { return s.name }
func (s *steady) Backend() string                                 { return "test" }
func (s *steady) Prepare([32]byte, u512.Uint) (engine.Job, error) { return s, nil }
func (s *steady) Verify(nonce u512.Uint) (distance u512.Uint, ok bool) {
	return nonce, s.finds > 0 && nonce[0]%s.finds == 0
}

func (s *steady) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	s.searches.Add(1)
	defer s.searches.Add(-1)
	done := uint64(0)
	if s.book != nil {
		defer func() { s.book.add(r.Start, done) }()
	}
	for p.Advance(0) {
		nonce := r.Start.AddWrap(number(done))
		n := min(s.batch, r.End.SubWrap(nonce).AddSat(number(1)).Sat64())
		outcome := engine.Outcome{Status: engine.Exhausted}
		if s.finds > 0 {
			if ahead := (s.finds - nonce[0]%s.finds) % s.finds; ahead < n {
				n = ahead + 1
				outcome = engine.Outcome{Status: engine.Found, Nonce: nonce.AddWrap(number(ahead))}
			}
		}
		<-time.After(time.Duration(n) * s.perNonce)
		done += n
		p.Advance(n)
		if outcome.Status == engine.Found || nonce.AddWrap(number(n-1)) == r.End {
			return outcome
		}
	}
	return engine.Outcome{Status: engine.Stopped}
}

// TestUnlikeCrews has crews search one range whose speeds differ by a factor of
// 10,000. Every nonce is searched once and counted once, and at the end nobody waits
// longer than the slowest takes for a lease.
func TestUnlikeCrews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		slow := &steady{name: "slow", perNonce: time.Millisecond, batch: 8, book: &b}
		fast := &steady{name: "fast", perNonce: 100 * time.Nanosecond, batch: 50_000, book: &b}
		middle := &steady{name: "middle", perNonce: 10 * time.Microsecond, batch: 500, book: &b}
		m := New(slog.New(slog.DiscardHandler),
			&Crew{Engine: middle, Workers: 2}, &Crew{Name: "gpu0", Engine: fast, Workers: 1}, &Crew{Name: "rig7", Engine: slow, Workers: 1})
		stop := run(m)
		defer stop()
		r := nonces(1, 100_000_000)
		job := submit(t, m, Request{ID: "job", Range: r})
		var idle time.Duration // of the fast one, at the end
		for over := false; !over; {
			select {
			case <-job.Done():
				over = true
			case <-time.After(time.Millisecond):
				if fast.searches.Load() == 0 {
					idle += time.Millisecond
				} else {
					idle = 0
				}
			}
		}
		if s := job.Snapshot(); s.Err != ErrExhausted || s.Evaluated != 100_000_000 {
			t.Errorf("%+v, want exhausted after all nonces", s)
		}
		if err := b.check(r); err != nil {
			t.Error(err)
		}
		if longest := 2 * leaseTime; idle > longest {
			t.Errorf("the fast one has waited for %s at the end, longer than a lease of %s", idle, longest)
		}
		o := m.Overview()
		byThread := map[Thread]uint64{}
		for i, thread := range o.Jobs[0].Threads {
			byThread[thread] = o.Jobs[0].Workers[i]
		}
		f, s := byThread[Thread{"fast", "gpu0"}], byThread[Thread{"slow", "rig7"}]
		if len(byThread) != 4 || byThread[Thread{"middle", "0"}] == 0 || byThread[Thread{"middle", "1"}] == 0 || f < 5000*s || s == 0 {
			t.Errorf("by thread: %v", byThread)
		}
		if o.Evaluated != 100_000_000 || o.Engines[1].Evaluated != f {
			t.Errorf("%d in all, by engine: %+v", o.Evaluated, o.Engines)
		}
	})
}

// TestCrewsComeAndGo has crews of random speeds join and leave at random while
// a range is searched. Every nonce is searched once, and counted once.
func TestCrewsComeAndGo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type event struct {
			after    time.Duration
			leaves   bool
			perNonce time.Duration
			workers  int
		}
		var events []event
		for range rapid.IntRange(1, 30).Draw(rt, "events") {
			events = append(events, event{
				after:    time.Duration(rapid.IntRange(0, 300).Draw(rt, "after")) * time.Millisecond,
				leaves:   rapid.Bool().Draw(rt, "leaves"),
				perNonce: time.Duration(rapid.SampledFrom([]int{500, 5_000, 50_000, 5_000_000}).Draw(rt, "ns a nonce")),
				workers:  rapid.IntRange(1, 3).Draw(rt, "workers"),
			})
		}
		r := nonces(7, 7+rapid.Uint64Range(0, 2_000_000).Draw(rt, "span"))
		var b book
		var s Snapshot
		var o Overview
		synctest.Test(t, func(t *testing.T) {
			m, stop := start(&steady{name: "first", perNonce: time.Microsecond, batch: 10_000, book: &b}, 1, nil)
			job := submit(t, m, Request{ID: "job", Range: r})
			var crews []*Crew
			for i, e := range events {
				<-time.After(e.after)
				if e.leaves && len(crews) > 0 {
					m.Remove(crews[0])
					crews = crews[1:]
					continue
				}
				c := &Crew{
					// Names come again, as machines do.
					Name:    fmt.Sprint("crew ", i),
					Engine:  &steady{name: fmt.Sprint("engine ", i%3), perNonce: e.perNonce, batch: uint64(10*time.Millisecond/e.perNonce) + 1, book: &b},
					Workers: e.workers,
				}
				m.Add(c)
				crews = append(crews, c)
			}
			for _, c := range crews {
				m.Remove(c)
			}
			<-job.Done()
			s, o = job.Snapshot(), m.Overview()
			stop()
		})
		span := r.End.SubWrap(r.Start).Sat64() + 1
		if err := b.check(r); err != nil || s.Err != ErrExhausted || s.Evaluated != span {
			rt.Fatalf("%v; %+v, want %d nonces", err, s, span)
		}
		if o.Evaluated != span || sum(o.Jobs[0].Workers) != span || len(o.Jobs[0].Workers) != len(o.Jobs[0].Threads) {
			rt.Fatalf("%d in all, %v of %v", o.Evaluated, o.Jobs[0].Workers, o.Jobs[0].Threads)
		}
	})
}

// TestNoCrew submits a job to a miner without a crew. It waits, also when the crew that
// comes leaves again, and is done by the one that comes then.
func TestNoCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(slog.New(slog.DiscardHandler))
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: nonces(1, 2000)})
		<-time.After(time.Hour)
		if s := job.Snapshot(); s.Status != Running || !m.Working() || m.Workers() != 0 {
			t.Fatalf("without a crew: %+v", s)
		}
		var b book
		first := &Crew{Engine: &steady{name: "a", perNonce: time.Millisecond, batch: 1, book: &b}, Workers: 1}
		m.Add(first)
		<-time.After(500*time.Millisecond + time.Microsecond)
		m.Remove(first)
		<-time.After(time.Hour)
		if s := job.Snapshot(); s.Status != Running || s.Evaluated != 501 {
			t.Fatalf("after the first crew has left: %+v", s)
		}
		m.Add(&Crew{Engine: &steady{name: "b", perNonce: time.Millisecond, batch: 1, book: &b}, Workers: 2})
		<-job.Done()
		if s := job.Snapshot(); s.Err != ErrExhausted || s.Evaluated != 2000 {
			t.Errorf("after the second: %+v", s)
		}
		if err := b.check(nonces(1, 2000)); err != nil {
			t.Error(err)
		}
		if job.Engine() != "a" {
			t.Errorf("the job counts to %s, want the engine that began it", job.Engine())
		}
	})
}

// faults are the ways in which a crew can fail that has searched some of its leases.
var faults = map[string]func(m *Miner, b *book) *Crew{
	"wrong nonce": func(_ *Miner, b *book) *Crew {
		return &Crew{Engine: fake{
			name: "faulty",
			search: func(r engine.Range, _ *engine.Progress) engine.Outcome {
				return engine.Outcome{Status: engine.Found, Nonce: r.End}
			},
			verify: func(u512.Uint) bool { return false },
		}}
	},
	"panic": func(_ *Miner, b *book) *Crew {
		return &Crew{Engine: fake{name: "faulty", search: func(engine.Range, *engine.Progress) engine.Outcome { panic("bad luck") }}}
	},
	"stops unasked": func(_ *Miner, b *book) *Crew {
		return &Crew{Engine: fake{name: "faulty", search: func(engine.Range, *engine.Progress) engine.Outcome { return engine.Outcome{} }}}
	},
	"cannot prepare": func(_ *Miner, b *book) *Crew {
		return &Crew{Engine: fake{name: "faulty", prepare: func() { panic("bad luck") }}}
	},
	"never returns": func(_ *Miner, b *book) *Crew {
		return &Crew{Deadline: time.Second, Engine: fake{name: "faulty", search: func(engine.Range, *engine.Progress) engine.Outcome {
			<-time.After(time.Hour)
			return engine.Outcome{Status: engine.Exhausted}
		}}}
	},
	"removed": func(m *Miner, b *book) *Crew {
		c := &Crew{Engine: &steady{name: "faulty", perNonce: time.Millisecond, batch: 10, book: b}}
		time.AfterFunc(700*time.Millisecond, func() { m.Remove(c) })
		return c
	},
	"unavailable": func(_ *Miner, b *book) *Crew {
		e := &steady{name: "faulty", perNonce: time.Millisecond, batch: 10, book: b}
		return &Crew{Engine: fake{name: "faulty", search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			first := engine.Range{Start: r.Start, End: r.Start.AddWrap(number(9))} // of a lease of 64 at least
			if e.Search(first, p).Status == engine.Stopped {
				return engine.Outcome{Status: engine.Stopped}
			}
			return engine.Outcome{Status: engine.Unavailable}
		}}}
	},
}

// TestFaultyCrew has a crew fail beside one that does not: the job ends as if the first
// had not been there. Nothing is lost, and nothing counts twice.
func TestFaultyCrew(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b book
				m := New(slog.New(slog.DiscardHandler), &Crew{Engine: &steady{name: "good", perNonce: 100 * time.Microsecond, batch: 50, book: &b}, Workers: 2})
				faulty := fault(m, &b)
				faulty.Name, faulty.Workers = "faulty", 1
				m.Add(faulty)
				stop := run(m)
				r := nonces(1, 100_000)
				job := submit(t, m, Request{ID: "job", Range: r})
				<-job.Done()
				if s := job.Snapshot(); s.Err != ErrExhausted || s.Evaluated != 100_000 {
					t.Errorf("%+v, want exhausted after all nonces", s)
				}
				if err := b.check(r); err != nil && name != "wrong nonce" { // after which all is searched again
					t.Error(err)
				}
				next := submit(t, m, Request{ID: "next", Range: nonces(1, 1000)})
				<-next.Done()
				if s := next.Snapshot(); s.Err != ErrExhausted || s.Evaluated != 1000 {
					t.Errorf("the next job: %+v, want exhausted after all nonces", s)
				}
				began := time.Now()
				stop()
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("the end took %s", took)
				}
				<-time.After(2 * time.Hour) // what never returned does
			})
		})
	}
}

// TestLowestNonce has a crew of one worker fail in the middle of a range, and another
// go on: the search finds the lowest winner.
func TestLowestNonce(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := New(slog.New(slog.DiscardHandler))
				faulty := fault(m, new(book))
				faulty.Name, faulty.Workers = "faulty", 1
				m.Add(faulty)
				stop := run(m)
				job, err := m.Submit(Request{ID: "job", Range: nonces(1, 100_000)})
				if err == nil {
					<-time.After(100 * time.Millisecond)
					err = job.Snapshot().Err
				}
				// Who has nobody beside it fails the job, or would not begin it.
				if alone := slices.Contains([]string{"wrong nonce", "panic", "stops unasked", "cannot prepare"}, name); alone != (err != nil) {
					t.Errorf("with one crew: %v", err)
				}
				if err != nil {
					stop()
					return
				}
				m.Add(&Crew{Engine: &steady{name: "good", perNonce: 100 * time.Microsecond, batch: 50, finds: 3000}, Workers: 1})
				<-job.Done()
				if s := job.Snapshot(); s.Status != Completed || s.Nonce != number(3000) {
					t.Errorf("%+v, want nonce 3000", s)
				}
				stop()
				<-time.After(2 * time.Hour)
			})
		})
	}
}

// TestEveryCrewFails has two crews panic at the same job: it fails when the second does.
func TestEveryCrewFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := func(after time.Duration) engine.Engine {
			return fake{search: func(engine.Range, *engine.Progress) engine.Outcome { <-time.After(after); panic("bad luck") }}
		}
		m := New(slog.New(slog.DiscardHandler),
			&Crew{Engine: faulty(time.Second), Workers: 2}, &Crew{Name: "b", Engine: faulty(time.Minute), Workers: 1})
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything})
		<-job.Done()
		s := job.Snapshot()
		if _, ok := errors.AsType[*PanicError](s.Err); !ok || s.Elapsed != time.Minute {
			t.Errorf("%+v, want a panic after a minute", s)
		}
	})
}

// TestLastCrewLeaves has the only sound crew leave while another has failed at the job:
// then nobody is left to search it.
func TestLastCrewLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sound := &Crew{Name: "sound", Engine: fake{search: untilStopped}, Workers: 1}
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: fake{search: func(engine.Range, *engine.Progress) engine.Outcome { panic("bad luck") }}, Workers: 1}, sound)
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything})
		<-time.After(time.Minute)
		m.Remove(sound)
		m.Remove(sound) // changes nothing
		<-job.Done()
		if _, ok := errors.AsType[*PanicError](job.Snapshot().Err); !ok || !m.Working() {
			t.Errorf("%+v, working: %t", job.Snapshot(), m.Working())
		}
	})
}

// TestLateWinner has a worker find a winner after its deadline: the job takes it, if it
// still runs, and is told of it once.
func TestLateWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := New(slog.New(slog.NewTextHandler(&log, nil)), &Crew{Deadline: time.Second, Workers: 1, Engine: fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			<-time.After(time.Minute)
			p.Advance(5)
			return engine.Outcome{Status: engine.Found, Nonce: r.Start}
		}}})
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything})
		<-job.Done()
		if s := job.Snapshot(); s.Status != Completed || s.Nonce != number(1) || s.Elapsed != time.Minute || s.Evaluated != 5 {
			t.Errorf("%+v, want nonce 1 after a minute", s)
		}
		synctest.Wait()
		m.mu.Lock()
		if m.present != 1 {
			t.Errorf("%d workers are waited for, want the one that is back", m.present)
		}
		m.mu.Unlock()
		if !strings.Contains(log.String(), "level=ERROR msg=\"DEADLINE MISSED") {
			t.Errorf("the log says nothing of it:\n%s", &log)
		}
	})
}

// TestRecover has an engine that is unavailable for a while, and one that stays so:
// the crew of the first goes on, that of the second leaves.
func TestRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, lasts := range []bool{false, true} {
			var b book
			available := true
			good := &steady{name: "device", perNonce: time.Millisecond, batch: 10, book: &b}
			c := &Crew{Name: "gpu0", Workers: 1}
			c.Engine = fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
				if available = !available; available {
					return engine.Outcome{Status: engine.Unavailable}
				}
				return good.Search(r, p)
			}}
			c.Recover = func(ctx context.Context) error {
				if lasts {
					return errors.New("it is gone for good")
				}
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
				return ctx.Err()
			}
			m := New(slog.New(slog.DiscardHandler), c)
			stop := run(m)
			job := submit(t, m, Request{ID: "job", Range: nonces(1, 5000)})
			<-time.After(time.Hour)
			if s := job.Snapshot(); lasts != (s.Status == Running) || lasts != (m.Workers() == 0) || !lasts && s.Err != ErrExhausted {
				t.Errorf("lasts %t: %+v, %d workers", lasts, s, m.Workers())
			}
			if err := b.check(nonces(1, 5000)); !lasts && err != nil {
				t.Error(err)
			}
			stop()
		}
	})
}

// TestPause stops all searching for a while. Nothing is lost by it, and nothing counts
// twice.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		m, stop := start(&steady{name: "a", perNonce: time.Millisecond, batch: 7, book: &b}, 3, nil)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: nonces(1, 30_000)})
		for range 3 {
			<-time.After(time.Second)
			m.Pause()
			<-time.After(10 * time.Millisecond)
			before := job.Snapshot().Evaluated
			<-time.After(time.Hour)
			if n := job.Snapshot().Evaluated; n != before || !m.Paused() || !m.Overview().Paused {
				t.Errorf("while the miner is paused %d nonces become %d", before, n)
			}
			m.Resume()
		}
		<-job.Done()
		if s := job.Snapshot(); s.Err != ErrExhausted || s.Evaluated != 30_000 {
			t.Errorf("%+v, want exhausted after all nonces", s)
		}
		if err := b.check(nonces(1, 30_000)); err != nil {
			t.Error(err)
		}
		if n := len(m.Overview().Jobs[0].Threads); n != 3 {
			t.Errorf("%d threads are known", n)
		}
		m.Pause()
		waiting := submit(t, m, Request{ID: "waiting", Range: everything})
		m.Pause()
		if n := len(waiting.assignments); n != 0 {
			t.Errorf("%d assignments are kept of a job that nobody has begun", n)
		}
	})
}

// preparing is an engine that takes a minute to prepare the jobs whose header is not
// zero, and reports wrong nonces of the others.
type preparing struct{ t *testing.T }

func (preparing) Name() string    { return "preparing" }
func (preparing) Backend() string { return "test" }
func (e preparing) Prepare(header [32]byte, _ u512.Uint) (engine.Job, error) {
	if header == [32]byte{} {
		return erring(time.Second, 0), nil
	}
	<-time.After(time.Minute)
	return fake{search: func(_ engine.Range, p *engine.Progress) engine.Outcome {
		if p.Advance(0) {
			e.t.Error("a job is searched with what an engine prepared that is out of service")
		}
		return engine.Outcome{Status: engine.Stopped}
	}}, nil
}

// TestPreparedForItsEngine replaces an engine while it prepares a job. What it has
// prepared must never be searched in the name of the next one.
func TestPreparedForItsEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := []engine.Engine{preparing{t}, fake{name: "next", search: untilStopped}}
		replace := func(engine.Engine) (engine.Engine, error) {
			next := engines[0]
			engines = engines[1:]
			return next, nil
		}
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: erring(0, 0), Workers: 2, Replace: replace})
		stop := run(m)
		defer stop()
		// Of the first there is one lease, so that the other worker takes one of the second.
		first := submit(t, m, Request{ID: "first", Header: [32]byte{1}, Range: nonces(13, 13)})
		second := submit(t, m, Request{ID: "second", Range: everything})
		<-time.After(3 * time.Minute)
		if len(engines) != 0 {
			t.Errorf("%d engines have not come into service", len(engines))
		}
		for _, job := range []*Job{first, second} {
			if s := job.Snapshot(); s.Status != Running || s.Evaluated == 0 {
				t.Errorf("job %s: %+v, want one that the last engine searches", job.ID(), s)
			}
		}
		o := m.Overview()
		if e := o.Engines[len(o.Engines)-1]; e.Name != "next" || e.Evaluated < 100_000 {
			t.Errorf("by engine: %+v", o.Engines)
		}
	})
}

// TestSameName refuses a second crew of a name, whose workers nobody could tell from
// those of the first.
func TestSameName(t *testing.T) {
	m := New(slog.New(slog.DiscardHandler), &Crew{Name: "gpu0", Engine: fake{}, Workers: 1})
	defer func() {
		if recover() == nil {
			t.Error("two crews share a name")
		}
	}()
	m.Add(&Crew{Name: "gpu0", Engine: fake{}, Workers: 1})
}

// BenchmarkOverview looks at a miner with 2,000 crews that search one job: for so long
// it holds the lock that workers need for their next lease.
func BenchmarkOverview(b *testing.B) {
	m := New(slog.New(slog.DiscardHandler))
	for i := range 2000 {
		m.Add(&Crew{Name: fmt.Sprint("rig", i), Engine: fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			for p.Advance(1) {
				<-time.After(time.Second)
			}
			return engine.Outcome{}
		}}, Workers: 1})
	}
	stop := run(m)
	defer stop()
	job := submit(b, m, Request{ID: "job", Anywhere: true})
	for len(m.Overview().Jobs[0].Threads) < 2000 {
		<-time.After(time.Millisecond)
	}
	for b.Loop() {
		m.Current()
	}
	m.Cancel(job.ID())
}
