package mining

import (
	"bytes"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// TestGoOn takes the winners of a job that goes on: each of them, once, and by one
// worker in order, with counts and times that say when it was found.
func TestGoOn(t *testing.T) {
	for _, workers := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			var b book
			m, stop := start(&steady{name: "a", perNonce: time.Millisecond, batch: 10, finds: 100, book: &b}, workers, nil)
			defer stop()
			began := time.Now()
			job := submit(t, m, Request{ID: "job", Range: nonces(1, 100_000), GoOn: true})
			var got []uint64
			for over := false; !over; {
				select {
				case w := <-job.Winners():
					got = append(got, w.Nonce[0])
					if w.Distance != w.Nonce {
						t.Errorf("nonce %d: distance %s", w.Nonce[0], w.Distance.Hex())
					}
					if len(got)%100 == 99 { // and what is left of the leases is searched later
						m.Pause()
						<-time.After(20 * time.Millisecond)
						m.Resume()
					}
					at, want := w.Found.Sub(began), time.Duration(w.Nonce[0])*time.Millisecond
					if workers == 1 && (w.Evaluated != w.Nonce[0] || len(got) < 100 && at != want) {
						t.Errorf("nonce %d was found after %d nonces and %s", w.Nonce[0], w.Evaluated, at)
					}
				case <-job.Done():
					over = true
				}
			}
			if s := job.Snapshot(); s.Err != ErrExhausted || s.Evaluated != 100_000 || !s.Nonce.IsZero() {
				t.Errorf("%d workers: %+v, want exhausted after all nonces", workers, s)
			}
			if workers > 1 {
				slices.Sort(got)
			}
			for len(job.Winners()) > 0 {
				w := <-job.Winners()
				got = append(got, w.Nonce[0])
			}
			if len(got) != 1000 || m.Overview().Winners != 1000 {
				t.Fatalf("%d workers: %d winners, want 1000; %d are counted", workers, len(got), m.Overview().Winners)
			}
			for i, nonce := range got {
				if nonce != uint64(100*(i+1)) {
					t.Fatalf("%d workers: winner %d is %d", workers, i, nonce)
				}
			}
			if err := b.check(nonces(1, 100_000)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWinnersWait leaves the winners of a job where they are: the search waits, and
// goes on when there is room. The deadline is for the engine, and does not matter to
// winners that wait.
func TestWinnersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := &steady{name: "a", perNonce: time.Millisecond, batch: 10, finds: 10}
		m := New(slog.New(slog.NewTextHandler(&log, nil)), &Crew{Engine: e, Workers: 1, Deadline: 10 * time.Second})
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: everything, GoOn: true})
		<-time.After(time.Hour)
		if s := job.Snapshot(); s.Status != Running || s.Evaluated != 10*(winnerQueue+1) {
			t.Errorf("%+v, want %d nonces", s, 10*(winnerQueue+1))
		}
		for i := range uint64(100) {
			if w := <-job.Winners(); w.Nonce[0] != 10*(i+1) {
				t.Errorf("winner %d is %d", i, w.Nonce[0])
			}
		}
		<-time.After(time.Minute)
		m.Cancel("job")
		if n := len(job.Winners()); n == 0 {
			t.Error("what was found before the end can no longer be received")
		}
		if s := job.Snapshot(); s.Status != Cancelled {
			t.Errorf("%+v, want cancelled", s)
		}
	})
}

// TestWinnersOnce has a worker miss its deadline and find winners nevertheless, which
// another finds as well.
func TestWinnersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &steady{name: "good", perNonce: time.Millisecond, batch: 10, finds: 100}
		late := fake{name: "late", verify: func(n u512.Uint) bool { _, ok := e.Verify(n); return ok }, search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			<-time.After(time.Minute)
			return e.Search(r, p)
		}}
		m := New(slog.New(slog.DiscardHandler), &Crew{Name: "late", Engine: late, Workers: 1, Deadline: time.Second})
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: nonces(1, 100_000), GoOn: true})
		<-time.After(1500 * time.Millisecond)
		m.Add(&Crew{Engine: e, Workers: 1})
		seen := make(map[u512.Uint]int)
		for over := false; !over; {
			select {
			case w := <-job.Winners():
				seen[w.Nonce]++
			case <-job.Done():
				over = true
			}
		}
		for nonce, n := range seen {
			if n != 1 {
				t.Errorf("nonce %d came %d times", nonce[0], n)
			}
		}
		if len(seen) != 1000 || m.Overview().Winners != 1000 {
			t.Errorf("%d winners, %d are counted, want 1000", len(seen), m.Overview().Winners)
		}
	})
}

// TestWrongNonceOfMany has an engine report a wrong nonce after some winners: the next
// one goes on where it was, and no winner comes twice.
func TestWrongNonceOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := &steady{name: "good", perNonce: time.Millisecond, batch: 10, finds: 100}
		erring := fake{verify: func(n u512.Uint) bool { _, ok := good.Verify(n); return ok }, search: func(r engine.Range, p *engine.Progress) engine.Outcome {
			if r.Start.Cmp(number(5000)) > 0 {
				return engine.Outcome{Status: engine.Found, Nonce: r.Start}
			}
			return good.Search(r, p)
		}}
		m := New(slog.New(slog.DiscardHandler), &Crew{Engine: erring, Workers: 2, Replace: with(good)})
		stop := run(m)
		defer stop()
		job := submit(t, m, Request{ID: "job", Range: nonces(1, 100_000), GoOn: true})
		seen := make(map[u512.Uint]bool)
		for over := false; !over; {
			select {
			case w := <-job.Winners():
				if seen[w.Nonce] {
					t.Errorf("nonce %s came twice", w.Nonce.Hex())
				}
				seen[w.Nonce] = true
			case <-job.Done():
				over = true
			}
		}
		if len(seen) < 900 { // all but those of two leases
			t.Errorf("%d winners", len(seen))
		}
		if m.Overview().Rejected == 0 {
			t.Error("no wrong nonce was reported")
		}
	})
}

// TestAnywhere searches jobs whose owner does not care which nonces: all have the
// prefix, none is tried twice, and two jobs begin at different ones.
func TestAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, length := range []int{62, 63, 64} {
			prefix := bytes.Repeat([]byte{0xa7}, length)
			var b book
			m, stop := start(&steady{name: "a", perNonce: time.Millisecond, batch: 7, book: &b}, 2, nil)
			job := submit(t, m, Request{ID: "job", Anywhere: true, Prefix: prefix})
			<-job.Done()
			all := engine.Range{Start: u512.FromBytes([64]byte(append(bytes.Clone(prefix), 0, 0)[:64])), End: u512.FromBytes([64]byte(append(bytes.Clone(prefix), 0xff, 0xff)[:64]))}
			if err := b.check(all); err != nil {
				t.Errorf("prefix of %d bytes: %v", length, err)
			}
			if s := job.Snapshot(); s.Err != ErrExhausted || s.Evaluated != 1<<(8*(64-length)) || job.Range() != all {
				t.Errorf("prefix of %d bytes: %+v of %v", length, s, job.Range())
			}
			stop()
		}
	})
	starts := make(map[u512.Uint]bool)
	for i := range 3 {
		prefix := []byte{0, 4, 0xee, byte(i)}
		_, first, err := Request{Anywhere: true, Prefix: prefix}.nonces()
		if bytes := first.Bytes(); err != nil || !slices.Equal(bytes[:4], prefix) {
			t.Errorf("it begins at %s", first.PaddedHex())
		}
		starts[first.Lsh(32)] = true
	}
	if len(starts) != 3 {
		t.Error("several jobs begin at the same nonce")
	}
	if _, err := New(slog.New(slog.DiscardHandler)).Submit(Request{Anywhere: true, Prefix: make([]byte, 65)}); err == nil {
		t.Error("a prefix longer than a nonce was taken")
	}
}

// BenchmarkGoOn is what a winner costs a job that goes on.
func BenchmarkGoOn(b *testing.B) {
	m, stop := start(fake{search: func(r engine.Range, p *engine.Progress) engine.Outcome {
		p.Advance(1)
		return engine.Outcome{Status: engine.Found, Nonce: r.Start}
	}}, 1, nil)
	defer stop()
	job := submit(b, m, Request{ID: "job", Anywhere: true, GoOn: true})
	for b.Loop() {
		<-job.Winners()
	}
}
