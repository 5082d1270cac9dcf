package blocks

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func nonces(start, end u512.Uint) engine.Range { return engine.Range{Start: start, End: end} }

// TestSearch has blocks of any sizes: they follow each other without a gap, and the
// search ends, with the right count, at the winner, at the end of the range, or when it
// is stopped.
func TestSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(1, 1000).Draw(t, "size")
		start := u512.From64(rapid.Uint64().Draw(t, "start")).Lsh(uint(rapid.IntRange(0, 448).Draw(t, "shift")))
		if rapid.Bool().Draw(t, "up to the last nonce") {
			start = u512.Max().SubWrap(u512.From64(size - 1))
		}
		r := nonces(start, start.AddWrap(u512.From64(size-1)))
		winner := rapid.Uint64Range(0, 2*size).Draw(t, "winner") // none from size on
		stop := rapid.Uint64Range(0, 2*size).Draw(t, "stop")     // in the block with this nonce

		var p engine.Progress
		at, largest := uint64(0), rapid.Uint64Range(1, 100).Draw(t, "largest block")
		got := Search(r, &p, func(first u512.Uint, more uint64) (uint64, u512.Uint, bool) {
			if want := start.AddWrap(u512.From64(at)); first != want || more != size-1-at {
				t.Fatalf("a block from %s on with %d more, want %s and %d", first.Hex(), more, want.Hex(), size-1-at)
			}
			if p.Evaluated() != at {
				t.Fatalf("%d nonces are counted, want %d", p.Evaluated(), at)
			}
			if at > stop {
				t.Fatalf("a block is evaluated after the stop at nonce %d", stop)
			}
			n := min(rapid.Uint64Range(1, largest).Draw(t, "block"), more+1)
			before := at
			at += n
			if before <= stop && stop < at {
				p.Stop()
			}
			if before <= winner && winner < at {
				return n, start.AddWrap(u512.From64(winner)), true
			}
			return n, u512.Uint{}, false
		})
		want := engine.Outcome{Status: engine.Stopped}
		switch {
		case winner < at:
			want = engine.Outcome{Status: engine.Found, Nonce: start.AddWrap(u512.From64(winner))}
		case at == size:
			want.Status = engine.Exhausted
		case at <= stop:
			t.Fatalf("it ended after %d nonces", at)
		}
		if got != want || p.Evaluated() != at {
			t.Fatalf("got %+v after %d nonces, want %+v after %d", got, p.Evaluated(), want, at)
		}
	})
}

// TestNoBlock has searches that evaluate nothing.
func TestNoBlock(t *testing.T) {
	block := func(u512.Uint, uint64) (uint64, u512.Uint, bool) {
		t.Error("a block is evaluated")
		return 1, u512.Uint{}, true
	}
	var p, stopped engine.Progress
	stopped.Stop()
	one, two := u512.From64(1), u512.From64(2)
	for _, c := range []struct {
		r    engine.Range
		p    *engine.Progress
		want engine.Status
	}{
		{nonces(two, one), &p, engine.Exhausted},
		{nonces(u512.Max(), u512.Uint{}), &p, engine.Exhausted},
		{nonces(one, two), &stopped, engine.Stopped},
	} {
		if got := Search(c.r, c.p, block); got != (engine.Outcome{Status: c.want}) || c.p.Evaluated() != 0 {
			t.Errorf("got %+v after %d nonces, want status %d", got, c.p.Evaluated(), c.want)
		}
	}
}

// TestMore has ranges with more nonces than a uint64 counts.
func TestMore(t *testing.T) {
	for _, c := range []struct {
		end  u512.Uint
		more uint64
	}{
		{u512.Max(), math.MaxUint64},
		{u512.From64(1).Lsh(64), math.MaxUint64},
		{u512.From64(math.MaxUint64), math.MaxUint64},
		{u512.From64(math.MaxUint64 - 1), math.MaxUint64 - 1},
	} {
		blocks := 0
		var p engine.Progress
		got := Search(nonces(u512.Uint{}, c.end), &p, func(_ u512.Uint, more uint64) (uint64, u512.Uint, bool) {
			if blocks++; blocks == 1 && more != c.more {
				t.Errorf("up to %s: %d more, want %d", c.end.Hex(), more, c.more)
			}
			return 1 << 10, u512.From64(7), blocks == 3
		})
		if got != (engine.Outcome{Status: engine.Found, Nonce: u512.From64(7)}) || p.Evaluated() != 3<<10 {
			t.Errorf("up to %s: %+v after %d nonces", c.end.Hex(), got, p.Evaluated())
		}
	}
}

// TestSearchDistinct has nonces in front of first and behind last: the former do not
// count, the latter do once last has been evaluated.
func TestSearchDistinct(t *testing.T) {
	number := u512.From64
	for _, c := range []struct {
		name        string
		r           engine.Range
		first, last u512.Uint
		winner      uint64 // 0 for none
		want        engine.Status
		evaluated   uint64
	}{
		{"exhausted", nonces(number(0), number(100)), number(1), number(10), 0, engine.Exhausted, 100},
		{"found", nonces(number(0), number(100)), number(1), number(10), 10, engine.Found, 10},
		{"a rest beyond 2^64", nonces(number(5), u512.Max()), number(5), number(5), 0, engine.Exhausted, math.MaxUint64},
		{"nothing to evaluate", nonces(number(0), number(0)), number(1), number(0), 0, engine.Exhausted, 0},
		{"empty", nonces(number(9), number(3)), number(9), number(3), 0, engine.Exhausted, 0},
	} {
		var p engine.Progress
		got := SearchDistinct(c.r, c.first, c.last, &p, func(nonce u512.Uint, _ uint64) (uint64, u512.Uint, bool) {
			return 1, nonce, nonce == number(c.winner)
		})
		if got.Status != c.want || p.Evaluated() != c.evaluated {
			t.Errorf("%s: %+v after %d nonces, want status %d after %d", c.name, got, p.Evaluated(), c.want, c.evaluated)
		}
	}
	var p engine.Progress
	got := SearchDistinct(nonces(number(1), number(100)), number(1), number(10), &p, func(nonce u512.Uint, _ uint64) (uint64, u512.Uint, bool) {
		p.Stop()
		return 1, nonce, false
	})
	if got.Status != engine.Stopped || p.Evaluated() != 1 {
		t.Errorf("stopped: %+v after %d nonces", got, p.Evaluated())
	}
}
