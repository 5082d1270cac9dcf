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

func TestRangeEmpty(t *testing.T) {
	zero, one := u512.Uint{}, u512.From64(1)
	for r, want := range map[engine.Range]bool{
		{Start: zero, End: zero}:       false,
		{Start: zero, End: u512.Max()}: false,
		{Start: one, End: one}:         false,
		{Start: one, End: zero}:        true,
	} {
		if got := r.Empty(); got != want {
			t.Errorf("%v.Empty() = %t", r, got)
		}
	}
}
