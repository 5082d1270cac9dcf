package mining

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// erring is an engine that after a while reports nonces which are not the
// winner, wherever it is.
func erring(after time.Duration, winner uint64) fake {
	return fake{
		search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			<-time.After(after)
			p.Advance(1)
			return engine.Outcome{Status: engine.Found, Nonce: r.End}
		},
		verify: func(nonce u512.Uint) bool { return nonce == number(winner) },
	}
}

// with is a crew's Replace that has one other engine.
func with(next engine.Engine) func(engine.Engine) (engine.Engine, error) {
	return func(engine.Engine) (engine.Engine, error) { return next, nil }
}

// TestReplace has an engine report wrong nonces from several workers and in
// several jobs at once. Another one goes on with all of them: it finds the winner
// that the first one had passed over, exhausts the range that has none, whatever
// the first one had searched of it, and serves the jobs to come.
func TestReplace(t *testing.T) {
	for _, workers := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			const winner = 1500
			var log bytes.Buffer
			var mu sync.Mutex
			var searched []engine.Range // by the second engine, of the range without a winner
			second := fake{
				name: "second",
				search: func(r engine.Range, p *engine.Progress) engine.Outcome {
					<-time.After(time.Second)
					p.Advance(r.End.SubWrap(r.Start).Sat64() + 1)
					if w := number(winner); w.Cmp(r.Start) >= 0 && w.Cmp(r.End) <= 0 {
						return engine.Outcome{Status: engine.Found, Nonce: w}
					}
					if r.Start.Cmp(number(1_000_000)) >= 0 {
						mu.Lock()
						defer mu.Unlock()
						searched = append(searched, r)
					}
					return engine.Outcome{Status: engine.Exhausted}
				},
				verify: func(nonce u512.Uint) bool { return nonce == number(winner) },
			}
			replaced := 0
			crew := &Crew{Engine: erring(time.Second, winner), Workers: workers, Replace: func(engine.Engine) (engine.Engine, error) {
				replaced++
				return second, nil
			}}
			m := New(slog.New(slog.NewTextHandler(&log, nil)), crew)
			stop := run(m)
			defer stop()
			won := submit(t, m, Request{ID: "won", Range: nonces(1, 100_000)})
			none := submit(t, m, Request{ID: "none", Range: nonces(1_000_000, 1_005_000)})
			<-won.Done()
			<-none.Done()
			<-submit(t, m, Request{ID: "later", Range: nonces(winner, winner)}).Done()

			if s := won.Snapshot(); s.Status != Completed || s.Nonce != number(winner) {
				t.Errorf("%d workers: %+v, want nonce %d", workers, s, winner)
			}
			if s := none.Snapshot(); s.Status != Failed || s.Err != ErrExhausted || s.Evaluated != 5001 {
				t.Errorf("%d workers: %+v, want failed after 5001 nonces", workers, s)
			}
			slices.SortFunc(searched, func(a, b engine.Range) int { return a.Start.Cmp(b.Start) })
			next := number(1_000_000)
			for _, r := range searched {
				if r.Start != next {
					t.Errorf("%d workers: the second engine goes on at %s, want %s", workers, r.Start, next)
				}
				next = r.End.AddWrap(number(1))
			}
			if next != number(1_005_001) {
				t.Errorf("%d workers: the second engine came to %s", workers, next)
			}
			o := m.Overview()
			if replaced != 1 || len(o.Engines) != 2 || o.Rejected == 0 || o.Engines[1].Rejected != 0 || !m.Working() {
				t.Errorf("%d workers: replaced %d times, %+v", workers, replaced, o.Engines)
			}
			if o.Engines[1].Completed != 1 || o.Completed != 2 {
				t.Errorf("%d workers: %+v", workers, o)
			}
			for _, cry := range []string{"WRONG NONCE", "ENGINE OUT OF SERVICE"} {
				if !strings.Contains(log.String(), "level=ERROR msg=\""+cry) {
					t.Errorf("%d workers: the log does not cry %s:\n%s", workers, cry, &log)
				}
			}
		})
	}
}

// TestLateWrongNonce replaces the engine when all of a range is out to the workers.
func TestLateWrongNonce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: erring(time.Second, 0), Workers: 4, Replace: with(fake{search: exhausted})})
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: nonces(1, 4)})
		<-job.Done()
		if s := job.Snapshot(); s.Status != Failed || s.Err != ErrExhausted || s.Evaluated > 4 {
			t.Errorf("%+v, want exhausted, and no more nonces than there are", s)
		}
	})
}

// TestNoEngineLeft has every engine err: all jobs fail, and there are no others.
func TestNoEngineLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := New(slog.New(slog.NewTextHandler(&log, nil)), &Crew{
			Engine: erring(time.Second, 0), Workers: 1,
			Replace: func(engine.Engine) (engine.Engine, error) {
				return nil, errors.New("the last one failed its self-test")
			},
		})
		stop := run(m)
		defer stop()
		if !m.Working() {
			t.Error("the miner does not work to begin with")
		}
		for _, job := range []*Job{submit(t, m, Request{ID: "a", Range: everything}), submit(t, m, Request{ID: "b", Range: everything})} {
			<-job.Done()
			if s := job.Snapshot(); s.Status != Failed || s.Err != ErrWrongNonce || !s.Nonce.IsZero() {
				t.Errorf("%+v, want failed", s)
			}
		}
		if _, err := m.Submit(Request{ID: "c", Range: everything}); !errors.Is(err, ErrNoEngine) || m.Working() {
			t.Errorf("another job: %v, want ErrNoEngine", err)
		}
		synctest.Wait() // until the log is written, which comes after the jobs' end
		if !strings.Contains(log.String(), "the last one failed its self-test") || strings.Count(log.String(), "job failed") != 2 {
			t.Errorf("the log:\n%s", &log)
		}
	})
}

// TestPanic has an engine panic wherever it is called. That job fails, with the
// cause in its result and the place in the log; another one goes on.
func TestPanic(t *testing.T) {
	for name, e := range map[string]fake{
		"search": {search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			if r.Start == number(13) {
				panic("bad luck")
			}
			return untilStopped(r, p)
		}},
		"verify": {
			search: func(r engine.Range, p *engine.Progress) engine.Outcome {
				if r.Start == number(13) {
					return engine.Outcome{Status: engine.Found, Nonce: r.Start}
				}
				return untilStopped(r, p)
			},
			verify: func(u512.Uint) bool { panic("bad luck") },
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			m, stop := start(e, 2, &log)
			job := submit(t, m, Request{ID: "job", Range: nonces(13, 13)})
			other := submit(t, m, Request{ID: "other", Range: everything})
			<-job.Done()
			s := job.Snapshot()
			if panicked, ok := errors.AsType[*PanicError](s.Err); s.Status != Failed || !ok || panicked.Cause != "bad luck" {
				t.Errorf("%s: %+v, want failed by bad luck", name, s)
			}
			<-time.After(time.Minute)
			if s := other.Snapshot(); s.Status != Running || s.Evaluated < 110_000 {
				t.Errorf("%s: the other job: %+v", name, s)
			}
			stop()
			if !strings.Contains(log.String(), "level=ERROR msg=\"PANIC") || !strings.Contains(log.String(), "faults_test.go") {
				t.Errorf("%s: the log does not say where:\n%s", name, &log)
			}
		})
	}
	t.Run("prepare", func(t *testing.T) {
		m, stop := start(fake{prepare: func() { panic("bad luck") }}, 1, nil)
		defer stop()
		_, err := m.Submit(Request{ID: "job", Range: everything})
		if _, ok := errors.AsType[*PanicError](err); !ok {
			t.Errorf("%v, want a panic", err)
		}
		if _, known := m.Job("job"); known {
			t.Error("the job is known")
		}
	})
	t.Run("prepare by the next engine", func(t *testing.T) {
		var prepared atomic.Int32
		broken := fake{search: untilStopped, prepare: func() { prepared.Add(1); panic("bad luck") }}
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: erring(0, 0), Workers: 1, Replace: with(broken)})
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything})
		<-job.Done()
		if _, ok := errors.AsType[*PanicError](job.Snapshot().Err); !ok || prepared.Load() != 1 {
			t.Errorf("%+v after %d tries", job.Snapshot(), prepared.Load())
		}
	})
}
