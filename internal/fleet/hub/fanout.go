package hub

import (
	"slices"
	"sync"
	"time"
)

// fanoutBounds are the upper bounds of the histogram's buckets.
var fanoutBounds = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

// fanout counts how long it takes until machines have their first lease of a job.
type fanout struct {
	mu     sync.Mutex
	counts [13]uint64 // by the first bound that is not less
	count  uint64
	sum    time.Duration
}

// observe counts a time.
func (f *fanout) observe(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i, _ := slices.BinarySearch(fanoutBounds, d); i < len(f.counts) {
		f.counts[i]++
	}
	f.count++
	f.sum += d
}

// histogram returns what was counted.
func (f *fanout) histogram() Histogram {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := Histogram{Bounds: fanoutBounds, Counts: make([]uint64, len(f.counts)), Count: f.count, Sum: f.sum}
	sum := uint64(0)
	for i, n := range f.counts {
		sum += n
		h.Counts[i] = sum
	}
	return h
}
