// Package enginetest is the conformance suite of engines: what an engine must
// do, as tests. An engine's own test file is
//
//	func TestConformance(t *testing.T) { enginetest.Run(t, enginetest.SHA3RSA{}, fast.Engine{}, 1) }
//	func FuzzEquivalence(f *testing.F) { enginetest.Fuzz(f, enginetest.SHA3RSA{}, fast.Engine{}, 1) }
//
// and runs all of it. Each result is compared with the plain reference of the proof of
// work, which a [Rule] provides. The number is the size of the blocks of nonces that the
// engine evaluates together: if it finds a winner it may count up to that many nonces,
// less one, behind the winner. [Paced] is an engine for tests of what uses engines: it
// only pretends to search.
package enginetest

import (
	"errors"
	"maps"
	"math"
	"runtime"
	"sync"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// subject is an engine under test, and the rule that it is tested by.
type subject struct {
	Rule
	engine.Engine
	block uint64
}

// Run holds an engine of a rule to the contract of [engine.Job].
func Run(t *testing.T, rule Rule, of engine.Engine, block uint64) {
	e := subject{rule, of, block}
	t.Run("KnownAnswers", func(t *testing.T) { knownAnswers(t, e) })
	t.Run("Ranges", func(t *testing.T) { ranges(t, e) })
	t.Run("RandomSearches", func(t *testing.T) { randomized(t, e) })
	t.Run("Halves", func(t *testing.T) { halves(t, e) })
	t.Run("StoppedBefore", func(t *testing.T) { stoppedBefore(t, e) })
	t.Run("StoppedWithin", func(t *testing.T) { stoppedWithin(t, e) })
	t.Run("Resumed", func(t *testing.T) { resumed(t, e) })
	t.Run("Concurrent", func(t *testing.T) { concurrent(t, e) })
	t.Run("Verify", func(t *testing.T) { verify(t, e) })
	t.Run("Refused", func(t *testing.T) { refused(t, e) })
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
func (s search) check(t testing.TB, e subject) {
	t.Helper()
	if got := run(t, prepare(t, e, s.header, s.threshold), s.r); !e.ended(got, s.want, s.r) {
		t.Errorf("%s, header %x, threshold %s, nonces %s to %s:\n got %+v\nwant %+v",
			e.Backend(), s.header, s.threshold, s.r.Start.Hex(), s.r.End.Hex(), got, s.want)
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
// and each of its nonces as a search of a range of one, at the hardest threshold
// that the nonce meets and at one that it just misses.
func knownAnswers(t *testing.T, e subject) {
	for _, c := range e.searches(t) {
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
	for _, c := range e.nonces(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			alone := engine.Range{Start: c.nonce, End: c.nonce}
			met, missed := e.Around(c.distance)
			search{c.header, met, alone, found(c.nonce, 1)}.check(t, e)
			search{c.header, missed, alone, exhausted(1)}.check(t, e)
		})
	}
}

// fromEnd returns 2^512−1−n.
func fromEnd(n uint64) u512.Uint { return u512.Max().SubWrap(u512.From64(n)) }

// around returns the range of the nonces up to n away from the given one.
func around(nonce u512.Uint, n uint64) engine.Range {
	return engine.Range{Start: nonce.SubWrap(u512.From64(n)), End: nonce.AddWrap(u512.From64(n))}
}

// ranges are the shapes of range that an engine could get wrong.
func ranges(t *testing.T, e subject) {
	number, end := u512.From64, u512.Max()
	none, all := e.Never(), e.Always()
	header := [32]byte{0: 0xff, 31: 7}
	lowest := e.Lowest()
	first := func(nonce u512.Uint) result { return found(nonce, 1) }

	shapes := map[string]search{
		"empty":                            {header, all, engine.Range{Start: number(5), End: number(4)}, exhausted(0)},
		"empty, upside down":               {header, all, engine.Range{Start: end, End: number(1)}, exhausted(0)},
		"from nonce 0, valid":              {header, all, engine.Range{End: number(9)}, first(lowest)},
		"from nonce 0, not valid":          {header, none, engine.Range{End: number(9)}, exhausted(10 - lowest[0])},
		"one nonce, valid":                 {header, all, engine.Range{Start: number(3), End: number(3)}, first(number(3))},
		"one nonce, not valid":             {header, none, engine.Range{Start: number(3), End: number(3)}, exhausted(1)},
		"all nonces":                       {header, all, engine.Range{End: end}, first(lowest)},
		"2^64 nonces":                      {header, all, engine.Range{Start: number(1), End: number(1).Lsh(64)}, first(number(1))},
		"more than one batch":              {header, none, engine.Range{Start: number(1), End: number(1500)}, exhausted(1500)},
		"the last nonce, valid":            {header, all, engine.Range{Start: end, End: end}, first(end)},
		"the last nonce, not valid":        {header, none, engine.Range{Start: end, End: end}, exhausted(1)},
		"across a carry into the top word": {header, none, around(number(1).Lsh(448), 3), exhausted(7)},
	}
	maps.Copy(shapes, e.shapes())
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) { s.check(t, e) })
	}
}

// halves searches a range whole and in two parts, with one Progress.
func halves(t *testing.T, e subject) {
	job := prepare(t, e, [32]byte{9}, e.Never())
	number := u512.From64
	var p engine.Progress
	for _, r := range []engine.Range{{Start: number(0), End: number(300)}, {Start: number(301), End: number(999)}} {
		if got := job.Search(r, &p); got.Status != engine.Exhausted {
			t.Fatalf("got %+v, want exhausted", got)
		}
	}
	if got, want := p.Evaluated(), 1000-e.Lowest()[0]; got != want {
		t.Errorf("%d nonces evaluated in both halves, want %d", got, want)
	}
}

// stoppedBefore stops a search before it begins.
func stoppedBefore(t *testing.T, e subject) {
	job := prepare(t, e, [32]byte{1}, e.Always())
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
// evaluate after that. BenchmarkStop measures how long it takes.
func stoppedWithin(t *testing.T, e subject) {
	job := prepare(t, e, [32]byte{1}, e.Never())
	late := uint64(math.MaxUint64)
	// If this thread is held up before Stop, the search goes on meanwhile and the count
	// is too large. So the best of several tries counts.
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

// resumed stops a search after each of its batches, and has the next one go on where it
// ended by its count: nothing is passed over, and nothing is evaluated twice.
func resumed(t *testing.T, e subject) {
	header := [32]byte{4}
	ref := e.Reference(header)
	whole := engine.Range{Start: u512.From64(3), End: u512.From64(1500)}
	met, _ := e.Around(lowest(ref, e, whole))
	long := engine.Range{Start: u512.From64(3), End: u512.From64(2 + 500 + 3*min(e.block, maxBatch))}
	for _, c := range []struct {
		threshold u512.Uint
		whole     engine.Range
		want      result
	}{
		{met, whole, oracle(ref, e, whole, met)},
		{e.Never(), long, exhausted(500 + 3*min(e.block, maxBatch))},
	} {
		whole, want := c.whole, c.want
		job := prepare(t, e, header, c.threshold)
		got := result{Outcome: engine.Outcome{Status: engine.Stopped}}
		for r := whole; got.Status == engine.Stopped; {
			var p engine.Progress
			p.NotifyFirst(p.Stop)
			got.Outcome = job.Search(r, &p)
			if got.Status == engine.Stopped && p.Evaluated() == 0 {
				t.Fatal("stopped before the first nonce")
			}
			got.evaluated += p.Evaluated()
			r.Start = r.Start.AddWrap(u512.From64(p.Evaluated()))
		}
		if !e.ended(got, want, whole) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// concurrent searches one job from several goroutines at a time.
func concurrent(t *testing.T, e subject) {
	header := [32]byte{2}
	ref := e.Reference(header)
	threshold, _ := e.Around(distance(ref, e, u512.From64(350)))
	job := prepare(t, e, header, threshold)
	var wg sync.WaitGroup
	for part := range uint64(5) {
		wg.Go(func() {
			r := engine.Range{Start: u512.From64(100 * part), End: u512.From64(100*part + 99)}
			if got, want := run(t, job, r), oracle(ref, e, r, threshold); !e.ended(got, want, r) {
				t.Errorf("part %d: got %+v, want %+v", part, got, want)
			}
		})
	}
	wg.Wait()
}

// verify compares Verify with the reference, at and around the threshold.
func verify(t *testing.T, e subject) {
	header := [32]byte{3}
	ref := e.Reference(header)
	for _, nonce := range []u512.Uint{{}, u512.From64(1), u512.From64(77), fromEnd(1), fromEnd(0)} {
		want := distance(ref, e, nonce)
		met, missed := e.Around(want)
		for _, threshold := range []u512.Uint{met, missed, e.Always(), e.Never()} {
			distance, ok := prepare(t, e, header, threshold).Verify(nonce)
			wantOK := nonce.Cmp(e.Lowest()) >= 0 && (threshold == met || threshold == e.Always())
			if distance != want || ok != wantOK {
				t.Errorf("nonce %s, threshold %s: %s, %t, want %s, %t", nonce.Hex(), threshold.Hex(), distance.Hex(), ok, want.Hex(), wantOK)
			}
		}
	}
}

// refused has the engine prepare invalid thresholds.
func refused(t *testing.T, e subject) {
	for _, threshold := range e.Invalid() {
		job, err := e.Prepare([32]byte{1}, threshold)
		if _, ok := errors.AsType[*engine.ThresholdError](err); !ok || job != nil {
			t.Errorf("threshold %s: got %v, %v, want a ThresholdError", threshold, job, err)
		}
	}
}

// BenchmarkStop measures from the call of Stop to the return of the search.
func BenchmarkStop(b *testing.B, rule Rule, e engine.Engine) {
	job := prepare(b, e, [32]byte{1}, rule.Never())
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
