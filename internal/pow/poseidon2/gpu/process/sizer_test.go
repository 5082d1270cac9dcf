package process

import (
	"testing"
	"time"
)

// TestSizer has devices of several speeds take launches: each comes to take about as long
// as it should, and stays there.
func TestSizer(t *testing.T) {
	const target, overhead = 25 * time.Millisecond, 20 * time.Microsecond
	for _, perSecond := range []float64{1e4, 4e5, 1e8, 1e9, 2e10} {
		s := newSizer(target)
		launch := func() time.Duration {
			took := overhead + time.Duration(float64(s.size)/perSecond*float64(time.Second))
			s.took(took)
			return took
		}
		for range 30 {
			launch()
		}
		for range 10 {
			took, longest := launch(), 5*target/4
			if s.size == sizeUnit { // which is the least
				longest = took
			}
			if took < 3*target/4 || took > longest {
				t.Errorf("%g nonces/s: a launch of %d takes %v, want about %v", perSecond, s.size, took, target)
			}
		}
	}
}

// TestSizerBounds has launches take no time, and far too much.
func TestSizerBounds(t *testing.T) {
	s := newSizer(time.Second)
	for range 100 {
		s.took(0)
	}
	if s.size != largestSize {
		t.Errorf("at most %d nonces, want %d", s.size, largestSize)
	}
	for range 100 {
		s.took(time.Hour)
	}
	if s.size != sizeUnit {
		t.Errorf("at least %d nonces, want %d", s.size, sizeUnit)
	}
	// One launch that was held up halves the next at most.
	s.size = 1 << 20
	s.took(time.Hour)
	if s.size < 1<<19 {
		t.Errorf("%d nonces after one slow launch of %d", s.size, 1<<20)
	}
}
