package hashrate

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
)

// Report logs the hash rate of a miner at each interval, as its averages over
// 10 s, 60 s and 15 min, until ctx is done. An average is null until the miner
// has run for that long.
func Report(ctx context.Context, miner *mining.Miner, interval time.Duration, log *slog.Logger) {
	windows := []struct {
		name string
		span time.Duration
	}{{"hash_rate_10s", 10 * time.Second}, {"hash_rate_60s", time.Minute}, {"hash_rate_15m", Span}}

	// The shortest window wants a count for its beginning, however rare the lines.
	step := min(interval, windows[0].span)
	var window Window
	o := miner.Overview()
	window.Add(o.Time, o.Evaluated)
	tick := time.NewTicker(step)
	defer tick.Stop()
	for said := o.Time; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		o := miner.Overview()
		window.Add(o.Time, o.Evaluated)
		if o.Time.Sub(said) < interval-step/2 {
			continue
		}
		said = o.Time
		var attrs []any
		for _, w := range windows {
			var value any
			if rate, ok := window.Average(w.span); ok {
				value = math.Round(rate)
			}
			attrs = append(attrs, w.name, value)
		}
		log.Info("hash rate", append(attrs, "jobs", o.Running)...)
	}
}
