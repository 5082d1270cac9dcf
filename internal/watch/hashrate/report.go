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
// 60 s and 15 min, each of them null until the miner has run for that long, the rate of
// each crew, and how far the miner is.
func (r Reports) Run(ctx context.Context) {
	sampler := NewSampler(r.Miner, r.Difficulty)
	began := time.Now()
	// The averages want counts for their beginnings, whenever lines are due.
	sample, line := time.NewTicker(interval), time.NewTicker(r.Interval)
	defer sample.Stop()
	defer line.Stop()
	for {
		select {
		case <-sample.C:
			sampler.update()
		case <-line.C:
			sampler.addNow()
			r.Log.Info("hash rate", r.attrs(sampler, time.Since(began))...)
		case <-ctx.Done():
			return
		}
	}
}

// attrs are what a line has.
func (r Reports) attrs(sampler *Sampler, uptime time.Duration) (attrs []any) {
	sample := sampler.Sample()
	for _, average := range []struct {
		name string
		over time.Duration
	}{{"hash_rate_10s", 10 * time.Second}, {"hash_rate_60s", time.Minute}, {"hash_rate_15m", Span}} {
		var value any
		if rate, ok := sampler.Average(average.over); ok {
			value = math.Round(rate)
		}
		attrs = append(attrs, average.name, value)
	}
	// Of the two the faster one is the speed to expect: the rate of a job that has just
	// come is too low, and an average is too low behind a pause.
	speed := sample.Total
	if rate, ok := sampler.Average(10 * time.Second); ok {
		speed = max(speed, rate)
	}
	var crews []any
	for _, crew := range sample.CrewRates() {
		if crew.Remote { // there may be thousands
			continue
		}
		crews = append(crews, crew.Name, math.Round(crew.Rate))
	}
	attrs = append(attrs, slog.Group("hash_rates", crews...),
		"jobs", sample.Running,
		"jobs_total", uint64(sample.Running)+sample.Completed+sample.Failed+sample.Cancelled,
		"found", sample.Work.Winners,
		"uptime", uptime.Round(time.Second))
	if r.Difficulty != nil {
		attrs = append(attrs, "effort", math.Round(sample.Work.Effort*1000)/1000)
	}
	if wait, ok := sample.Work.TimeToWinner(speed); ok {
		attrs = append(attrs, "time_to_block", wait.Round(time.Second))
	}
	if sample.Paused {
		attrs = append(attrs, "paused", true)
	}
	if r.More != nil {
		attrs = append(attrs, r.More()...)
	}
	return attrs
}
