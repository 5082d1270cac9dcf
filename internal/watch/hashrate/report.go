package hashrate

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
)

// Reports are the lines that a log has about a miner, at intervals.
type Reports struct {
	// Miner is whom they are about, and Difficulty that of its jobs; it may be nil.
	Miner      *mining.Miner
	Difficulty Difficulty
	// Interval is the time between two lines, and Log where they go.
	Interval time.Duration
	Log      *slog.Logger
	// More, if not nil, returns what is added to each line.
	More func() []any
}

// Run logs until ctx is done. Each line has the averages of the hash rate over 10 s,
// 60 s and 15 min, each of them null until the miner has run for that long, and how far
// the miner is.
func (r Reports) Run(ctx context.Context) {
	var window Window
	effort := NewEffort(r.Difficulty)
	look := func() mining.Overview {
		o := r.Miner.Current()
		window.Add(o.Time, o.Evaluated)
		effort.Add(o)
		return o
	}
	began := look().Time
	// The windows want counts for their beginnings, whenever lines are due.
	sample, line := time.NewTicker(time.Second), time.NewTicker(r.Interval)
	defer sample.Stop()
	defer line.Stop()
	for {
		select {
		case <-sample.C:
			look()
			continue
		case <-line.C:
		case <-ctx.Done():
			return
		}
		o := look()
		attrs := r.attrs(o, &window, effort.Work(), o.Time.Sub(began))
		r.Log.Info("hash rate", attrs...)
	}
}

// attrs are what a line has.
func (r Reports) attrs(o mining.Overview, window *Window, work Work, uptime time.Duration) (attrs []any) {
	windows := []struct {
		name string
		span time.Duration
	}{{"hash_rate_10s", 10 * time.Second}, {"hash_rate_60s", time.Minute}, {"hash_rate_15m", Span}}
	for _, w := range windows {
		var value any
		if rate, ok := window.Average(w.span); ok {
			value = math.Round(rate)
		}
		attrs = append(attrs, w.name, value)
	}
	attrs = append(attrs, "jobs", o.Running, "jobs_total", uint64(o.Running)+o.Completed+o.Failed+o.Cancelled, "found", work.Winners, "uptime", uptime.Round(time.Second))
	if r.Difficulty != nil {
		attrs = append(attrs, "effort", math.Round(work.Effort*1000)/1000)
	}
	now, _ := window.Average(windows[0].span)
	if wait, ok := work.TimeToWinner(now); ok {
		attrs = append(attrs, "time_to_block", wait.Round(time.Second))
	}
	if r.More != nil {
		attrs = append(attrs, r.More()...)
	}
	return attrs
}
