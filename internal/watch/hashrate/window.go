package hashrate

import "time"

// Span is how far back a [Window] reaches.
const Span = 15 * time.Minute

// Window holds the miner's count of nonces at moments of the last 15 minutes.
// The zero value is ready for use.
type Window struct{ points []point }

type point struct {
	at    time.Time
	count uint64
}

// Point is the rate between the moment before and this one.
type Point struct {
	Time time.Time
	Rate float64 // nonces per second
}

// Add adds the count at a moment, which must not be before that of the last call.
func (w *Window) Add(at time.Time, count uint64) {
	w.points = append(w.points, point{at, count})
	// The point before the span is kept, as the last one that is a full span ago.
	for len(w.points) > 2 && at.Sub(w.points[1].at) >= Span {
		w.points = w.points[1:]
	}
}

// Average returns the rate over the last d, in nonces per second. It reports
// false until the window reaches back that far.
func (w *Window) Average(d time.Duration) (rate float64, ok bool) {
	// Ticks are late by a moment, now and then: then the next one seems early.
	const tolerance = 500 * time.Millisecond
	for i := len(w.points) - 2; i >= 0; i-- {
		last := w.points[len(w.points)-1]
		if took := last.at.Sub(w.points[i].at); took >= d-min(tolerance, d/20) {
			return perSecond(last.count-w.points[i].count, took), true
		}
	}
	return 0, false
}

// Curve returns the rate from each moment to the next, oldest first. No two may be
// the same.
func (w *Window) Curve() []Point {
	curve := make([]Point, max(0, len(w.points)-1))
	for i := range curve {
		before, p := w.points[i], w.points[i+1]
		curve[i] = Point{p.at, perSecond(p.count-before.count, p.at.Sub(before.at))}
	}
	return curve
}

// perSecond returns the rate of a number of nonces in a time that is not 0.
func perSecond(nonces uint64, took time.Duration) float64 {
	return float64(nonces) / took.Seconds()
}
