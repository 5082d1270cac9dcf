package engine_test

import (
	"math"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestProgress(t *testing.T) {
	var p engine.Progress
	if !p.Advance(3) || !p.Advance(4) || p.Evaluated() != 7 {
		t.Errorf("after 3 and 4: %d evaluated", p.Evaluated())
	}
	p.Stop()
	if p.Advance(1) || p.Evaluated() != 8 {
		t.Errorf("stopped, after one more: %d evaluated, and the search goes on", p.Evaluated())
	}
	p.Advance(math.MaxUint64 - 3)
	if p.Evaluated() != math.MaxUint64 {
		t.Errorf("past 2^64−1: %d evaluated", p.Evaluated())
	}
}

func TestRange(t *testing.T) {
	zero, one := u512.Uint{}, u512.From64(1)
	for _, c := range []struct {
		r, withoutZero engine.Range
		empty          bool
	}{
		{engine.Range{Start: zero, End: zero}, engine.Range{Start: one, End: zero}, false},
		{engine.Range{Start: zero, End: one}, engine.Range{Start: one, End: one}, false},
		{engine.Range{Start: one, End: zero}, engine.Range{Start: one, End: zero}, true},
		{engine.Range{Start: zero, End: u512.Max()}, engine.Range{Start: one, End: u512.Max()}, false},
	} {
		if got := c.r.Empty(); got != c.empty {
			t.Errorf("%v.Empty() = %t", c.r, got)
		}
		if got := c.r.WithoutZero(); got != c.withoutZero {
			t.Errorf("%v.WithoutZero() = %v, want %v", c.r, got, c.withoutZero)
		}
	}
}
