package hub

import (
	"time"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
)

// history is what was counted up to some moments, the newest last: as many as are needed to
// tell the rate over a while, whatever the intervals.
type history struct {
	step    time.Duration // between two of them, at least
	most    int
	samples []sample
}

// sample is what was counted up to a moment.
type sample struct {
	time  time.Time
	count uint64
}

// add notes a count.
func (h *history) add(s sample) {
	// A report may come a little early.
	if n := len(h.samples); n > 0 && s.time.Sub(h.samples[n-1].time) < h.step*3/4 {
		return
	}
	if len(h.samples) == h.most {
		copy(h.samples, h.samples[1:])
		h.samples = h.samples[:h.most-1]
	}
	h.samples = append(h.samples, s)
}

// span is the time that the rate is of, once there was so much.
func (h *history) span() time.Duration { return time.Duration(h.most-1) * h.step }

// rate returns how much was counted a second, up to the latest count: within the span.
func (h *history) rate(now time.Time, latest sample) float64 {
	for _, s := range h.samples {
		if now.Sub(s.time) > h.span()+h.step {
			continue
		}
		if over := latest.time.Sub(s.time); over > 0 && latest.count > s.count {
			return float64(latest.count-s.count) / over.Seconds()
		}
		return 0
	}
	return 0
}

const (
	// slowTime is how long a machine has to be there before its speed says something.
	slowTime = 2 * time.Minute
	// busyTime is for how long it must have had leases: longer than the rate of which it is asked.
	busyTime = 15 * time.Second
)

// judgeSpeed compares the present rate with that of the last 15 minutes, and returns what is to be
// written to the log, or ""; mu is held.
func (m *machine) judgeSpeed(now time.Time) (news string) {
	if len(m.leases) == 0 {
		m.idle = now
	}
	if now.Sub(m.idle) < busyTime || now.Sub(m.joined) < slowTime || now.Sub(m.lastSeen) > 2*wire.ReportInterval {
		return ""
	}
	short, long := m.rates(now)
	switch {
	case !m.slow && short < long/2:
		m.slow = true
		return "machine is slow"
	case m.slow && short > long*3/4:
		m.slow = false
		return "machine is as fast as before"
	}
	return ""
}

// rates returns the rates over 10 seconds and 15 minutes; mu is held.
func (m *machine) rates(now time.Time) (short, long float64) {
	latest := sample{m.lastSeen, m.hashes}
	return m.short.rate(now, latest), m.long.rate(now, latest)
}
