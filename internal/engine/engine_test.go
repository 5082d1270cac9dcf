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

// TestNotifyFirst looks when a search calls back: once, after its first nonces,
// and not at all if it is stopped before.
func TestNotifyFirst(t *testing.T) {
	var p engine.Progress
	calls := 0
	p.NotifyFirst(func() { calls++ })
	if !p.Advance(0) || calls != 0 {
		t.Errorf("called %d times before the first nonce", calls)
	}
	for range 3 {
		if !p.Advance(5) || calls != 1 || p.Evaluated() == 0 {
			t.Errorf("after %d nonces: called %d times, want once", p.Evaluated(), calls)
		}
	}
	p.Stop()
	if p.Advance(5) {
		t.Error("it cannot be stopped any more")
	}

	for name, stopped := range map[string]func(*engine.Progress, func()){
		"after":  func(p *engine.Progress, f func()) { p.NotifyFirst(f); p.Stop() },
		"before": func(p *engine.Progress, f func()) { p.Stop(); p.NotifyFirst(f) },
	} {
		var p engine.Progress
		stopped(&p, func() { t.Errorf("stopped %s it was asked to call back, it does", name) })
		if p.Advance(0) || p.Advance(5) || p.Advance(5) {
			t.Errorf("stopped %s it was asked to call back, it goes on", name)
		}
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

// TestOnStop has a search be told of a stop, before and after it asked for that.
func TestOnStop(t *testing.T) {
	var p engine.Progress
	told := 0
	p.OnStop(func() { told++ })
	p.Advance(1)
	if told != 0 {
		t.Error("told before the stop")
	}
	p.Stop()
	if told != 1 || p.Advance(1) {
		t.Errorf("told %d times", told)
	}
	p.OnStop(nil)
	p.Stop()
	if told != 1 {
		t.Error("told though nobody asks")
	}
	p.OnStop(func() { told++ })
	if told != 2 {
		t.Error("not told of a stop that was before")
	}
}
