// Package enginetest is the conformance suite of engines: what an engine must
// do, as tests. An engine's own test file is
//
//	func TestConformance(t *testing.T) { enginetest.Run(t, fast.Engine{}, 1) }
//	func FuzzEquivalence(f *testing.F) { enginetest.Fuzz(f, fast.Engine{}, 1) }
//
// and runs all of it. The number is the size of the blocks of nonces that the
// engine evaluates together: at a winner it may count that many less 1 too much. The judge throughout is [qpow.Reference]. For tests of what is
// built on engines there is [Paced], which only pretends to be one.
package enginetest

import (
	"math"
	"runtime"
	"sync"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/qpow"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// subject is an engine under test.
type subject struct {
	engine.Engine
	block uint64
}

// Run holds an engine to the contract of [engine.Job].
func Run(t *testing.T, of engine.Engine, block uint64) {
	e := subject{of, block}
	t.Run("KnownAnswers", func(t *testing.T) { knownAnswers(t, e) })
	t.Run("Ranges", func(t *testing.T) { ranges(t, e) })
	t.Run("RandomSearches", func(t *testing.T) { randomized(t, e) })
	t.Run("Halves", func(t *testing.T) { halves(t, e) })
	t.Run("StoppedBefore", func(t *testing.T) { stoppedBefore(t, e) })
	t.Run("StoppedWithin", func(t *testing.T) { stoppedWithin(t, e) })
	t.Run("Concurrent", func(t *testing.T) { concurrent(t, e) })
	t.Run("Verify", func(t *testing.T) { verify(t, e) })
}

// search is one search and how it has to end.
type search struct {
	header    [32]byte
	threshold u512.Uint
	r         engine.Range
	want      result
}

type result struct {
	engine.Outcome
	evaluated uint64
}

func found(nonce u512.Uint, evaluated uint64) result {
	return result{engine.Outcome{Status: engine.Found, Nonce: nonce}, evaluated}
}

func exhausted(evaluated uint64) result {
	return result{engine.Outcome{Status: engine.Exhausted}, evaluated}
}

// check runs a search and compares how it ended.
func (s search) check(t *testing.T, e subject) {
	t.Helper()
	if got := run(t, prepare(t, e, s.header, s.threshold), s.r); !e.ended(got, s.want, s.r) {
		t.Errorf("header %x, threshold %s, nonces %s to %s:\n got %+v\nwant %+v",
			s.header, s.threshold, s.r.Start.Hex(), s.r.End.Hex(), got, s.want)
	}
}

// ended reports whether got is an acceptable end of a search of r that must end
// like want. The count at a winner may include the rest of a block, but no nonce
// beyond the range.
func (e subject) ended(got, want result, r engine.Range) bool {
	if want.Status == engine.Found && got.evaluated > want.evaluated {
		size := r.End.SubWrap(r.Start).Sat64()
		most := min(want.evaluated+e.block-1, max(size, size+1))
		return got.Outcome == want.Outcome && got.evaluated <= most
	}
	return got == want
}

func prepare(t testing.TB, e engine.Engine, header [32]byte, threshold u512.Uint) engine.Job {
	t.Helper()
	job, err := e.Prepare(header, threshold)
	if err != nil {
		t.Fatalf("preparing header %x: %v", header, err)
	}
	return job
}

// run searches r and reads the count once the search is over.
func run(t testing.TB, job engine.Job, r engine.Range) result {
	t.Helper()
	var p engine.Progress
	outcome := job.Search(r, &p)
	return result{outcome, p.Evaluated()}
}

// knownAnswers takes the answers of an independent implementation: its searches,
// and each of its nonces as a search of a range of one, at a threshold that the
// nonce just meets and at one that it just misses.
func knownAnswers(t *testing.T, e subject) {
	for _, c := range kat.Searches(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			s := search{c.Header, c.Threshold, engine.Range{Start: c.Start, End: c.End}, exhausted(c.HashCount)}
			if c.Found {
				s.want.Outcome = engine.Outcome{Status: engine.Found, Nonce: c.Nonce}
				if distance, ok := prepare(t, e, c.Header, c.Threshold).Verify(c.Nonce); !ok || distance != c.Distance {
					t.Errorf("Verify: %s, %t, want %s, true", distance.PaddedHex(), ok, c.Distance.PaddedHex())
				}
			}
			s.check(t, e)
		})
	}
	for _, c := range kat.Headers(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			for _, n := range c.Nonces {
				alone := engine.Range{Start: n.Nonce, End: n.Nonce}
				search{c.Header, n.Distance, alone, found(n.Nonce, 1)}.check(t, e)
				search{c.Header, n.Distance.SubWrap(u512.From64(1)), alone, exhausted(1)}.check(t, e)
			}
		})
	}
}

// fromEnd returns 2^512−1−n.
func fromEnd(n uint64) u512.Uint { return u512.Max().SubWrap(u512.From64(n)) }

// ranges are the shapes of range that an engine could get wrong.
func ranges(t *testing.T, e subject) {
	first := func(nonce u512.Uint) result { return found(nonce, 1) }
	number, none, all := u512.From64, u512.Uint{}, u512.Max()
	h100 := [32]byte{31: 100} // saturates at 2^512−1−100
	large := [32]byte{0: 0xff, 31: 7}

	for name, s := range map[string]search{
		"empty":                            {large, all, engine.Range{Start: number(5), End: number(4)}, exhausted(0)},
		"empty, upside down":               {large, all, engine.Range{Start: all, End: number(1)}, exhausted(0)},
		"nonce 0 alone":                    {large, all, engine.Range{}, exhausted(0)},
		"nonce 0 is skipped":               {large, all, engine.Range{End: number(9)}, first(number(1))},
		"nonce 0 is not counted":           {large, none, engine.Range{End: number(9)}, exhausted(9)},
		"one nonce, valid":                 {large, all, engine.Range{Start: number(3), End: number(3)}, first(number(3))},
		"one nonce, not valid":             {large, none, engine.Range{Start: number(3), End: number(3)}, exhausted(1)},
		"all nonces":                       {large, all, engine.Range{End: all}, first(number(1))},
		"2^64 nonces":                      {large, all, engine.Range{Start: number(1), End: number(1).Lsh(64)}, first(number(1))},
		"more than one batch":              {large, none, engine.Range{Start: number(1), End: number(1500)}, exhausted(1500)},
		"the last nonce, valid":            {large, all, engine.Range{Start: all, End: all}, first(all)},
		"the last nonce, not valid":        {large, none, engine.Range{Start: all, End: all}, exhausted(1)},
		"up to the first saturated":        {h100, none, engine.Range{Start: fromEnd(120), End: fromEnd(100)}, exhausted(21)},
		"across it":                        {h100, none, engine.Range{Start: fromEnd(120), End: fromEnd(10)}, exhausted(111)},
		"across it to the end":             {h100, none, engine.Range{Start: fromEnd(120), End: all}, exhausted(121)},
		"saturated throughout":             {h100, none, engine.Range{Start: fromEnd(90), End: fromEnd(80)}, exhausted(11)},
		"saturated throughout, valid":      {h100, all, engine.Range{Start: fromEnd(90), End: fromEnd(80)}, first(fromEnd(90))},
		"saturated tail longer than 2^64":  {large, none, engine.Range{Start: all.SubWrap(number(1).Lsh(200)), End: all}, exhausted(math.MaxUint64)},
		"never saturated, to the end":      {[32]byte{}, none, engine.Range{Start: fromEnd(5), End: all}, exhausted(6)},
		"across a carry into the top word": {large, none, engine.Range{Start: number(1).Lsh(448).SubWrap(number(3)), End: number(1).Lsh(448).AddWrap(number(3))}, exhausted(7)},
	} {
		t.Run(name, func(t *testing.T) { s.check(t, e) })
	}
}

// halves searches a range whole and in two parts, with one Progress.
func halves(t *testing.T, e engine.Engine) {
	job := prepare(t, e, [32]byte{9}, u512.Uint{})
	number := u512.From64
	var p engine.Progress
	for _, r := range []engine.Range{{Start: number(0), End: number(300)}, {Start: number(301), End: number(999)}} {
		if got := job.Search(r, &p); got.Status != engine.Exhausted {
			t.Fatalf("got %+v, want exhausted", got)
		}
	}
	if got := p.Evaluated(); got != 999 {
		t.Errorf("%d nonces evaluated in both halves, want 999", got)
	}
}

// stoppedBefore stops a search before it begins.
func stoppedBefore(t *testing.T, e engine.Engine) {
	job := prepare(t, e, [32]byte{1}, u512.Max())
	var p engine.Progress
	p.Stop()
	got := job.Search(engine.Range{Start: u512.From64(1), End: u512.Max()}, &p)
	if want := (engine.Outcome{Status: engine.Stopped}); got != want || p.Evaluated() != 0 {
		t.Errorf("got %+v after %d nonces, want %+v after none", got, p.Evaluated(), want)
	}
}

// maxBatch is the largest number of nonces that an engine may evaluate between
// two looks at its stop flag: more than the fastest does in a millisecond.
const maxBatch = 1 << 15

// stoppedWithin stops searches that would go on for ever, and counts what they
// evaluate after that. How long it takes, BenchmarkStop of each engine tells.
func stoppedWithin(t *testing.T, e engine.Engine) {
	job := prepare(t, e, [32]byte{1}, u512.Uint{})
	late := uint64(math.MaxUint64)
	// A thread that is held up before Stop counts more than there is to blame for:
	// of several tries the best one counts.
	for range 20 {
		var p engine.Progress
		done := make(chan engine.Outcome)
		go func() { done <- job.Search(engine.Range{Start: u512.From64(1), End: u512.Max()}, &p) }()
		for p.Evaluated() == 0 {
			runtime.Gosched()
		}
		before := p.Evaluated()
		p.Stop()
		if got := <-done; got != (engine.Outcome{Status: engine.Stopped}) {
			t.Errorf("got %+v, want stopped", got)
		}
		late = min(late, p.Evaluated()-before)
	}
	if late > maxBatch {
		t.Errorf("%d nonces were evaluated after the stop, want at most %d", late, maxBatch)
	}
}

// concurrent searches one job from several goroutines at a time.
func concurrent(t *testing.T, e subject) {
	header := [32]byte{2}
	ref := qpow.NewReference(header)
	job := prepare(t, e, header, ref.Distance(u512.From64(350)))
	var wg sync.WaitGroup
	for part := range uint64(5) {
		wg.Go(func() {
			r := engine.Range{Start: u512.From64(100 * part), End: u512.From64(100*part + 99)}
			if got, want := run(t, job, r), oracle(ref, r, ref.Distance(u512.From64(350))); !e.ended(got, want, r) {
				t.Errorf("part %d: got %+v, want %+v", part, got, want)
			}
		})
	}
	wg.Wait()
}

// verify compares Verify with the reference, at and around the threshold.
func verify(t *testing.T, e engine.Engine) {
	header := [32]byte{3}
	ref := qpow.NewReference(header)
	for _, nonce := range []u512.Uint{{}, u512.From64(1), u512.From64(77), fromEnd(1), fromEnd(0)} {
		want := ref.Distance(nonce)
		for _, threshold := range []u512.Uint{want, want.SubWrap(u512.From64(1)), u512.Max(), {}} {
			distance, ok := prepare(t, e, header, threshold).Verify(nonce)
			wantOK := !nonce.IsZero() && want.Cmp(threshold) <= 0
			if distance != want || ok != wantOK {
				t.Errorf("nonce %s, threshold %s: %s, %t, want %s, %t", nonce.Hex(), threshold.Hex(), distance.Hex(), ok, want.Hex(), wantOK)
			}
		}
	}
}

// BenchmarkStop measures from the call of Stop to the return of the search.
func BenchmarkStop(b *testing.B, e engine.Engine) {
	job := prepare(b, e, [32]byte{1}, u512.Uint{})
	done := make(chan engine.Outcome)
	for b.Loop() {
		b.StopTimer()
		var p engine.Progress
		go func() { done <- job.Search(engine.Range{Start: u512.From64(1), End: u512.Max()}, &p) }()
		for p.Evaluated() == 0 {
			runtime.Gosched()
		}
		b.StartTimer()
		p.Stop()
		<-done
	}
}
