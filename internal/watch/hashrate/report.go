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
// has run for that long. What more returns, unless it is nil, is added to each line.
func Report(ctx context.Context, miner *mining.Miner, interval time.Duration, log *slog.Logger, more func() []any) {
	windows := []struct {
		name string
		span time.Duration
	}{{"hash_rate_10s", 10 * time.Second}, {"hash_rate_60s", time.Minute}, {"hash_rate_15m", Span}}

	var window Window
	look := func() mining.Overview {
		o := miner.Current()
		window.Add(o.Time, o.Evaluated)
		return o
	}
	look()
	// The windows want counts for their beginnings, whenever lines are due.
	sample, line := time.NewTicker(time.Second), time.NewTicker(interval)
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
		var attrs []any
		for _, w := range windows {
			var value any
			if rate, ok := window.Average(w.span); ok {
				value = math.Round(rate)
			}
			attrs = append(attrs, w.name, value)
		}
		attrs = append(attrs, "jobs", o.Running)
		if more != nil {
			attrs = append(attrs, more()...)
		}
		log.Info("hash rate", attrs...)
	}
}
