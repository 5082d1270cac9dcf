// Package bench measures engines: nonces per second, in proportion to a
// yardstick that is measured in the same run.
//
// Rates drift, with a CPU's clock and with what else the machine does. So the
// yardstick and the engines take turns, in many short rounds; a ratio is formed
// within each round; and each figure is the median over the rounds. Start with
// [Run].
package bench

import (
	"context"
	"crypto/sha3"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Yardstick names what every rate is compared with: one hash is the least that
// a nonce can cost.
const Yardstick = "crypto/sha3.Sum512 of 64 bytes, one core"

// rounds is the number of turns that the yardstick and each engine get: odd, so
// that there is one in the middle.
const rounds = 25

// Report is what a run measured.
type Report struct {
	// YardstickRate is S, in hashes per second on one core.
	YardstickRate float64
	// Results holds the engines in the order in which they were given.
	Results []Result
}

// Result is the rate of one engine.
type Result struct {
	Engine  string
	Backend string
	Workers int
	// Rate is in nonces per second, of all workers together.
	Rate float64
	// Ratio is the rate of one worker in proportion to the yardstick's.
	Ratio float64
}

// PerWorker returns the rate of one worker.
func (r Result) PerWorker() float64 { return r.Rate / float64(r.Workers) }

// Run measures engines of a proof of work on the given number of workers, each engine
// for the given time, and the yardstick for as long. The threshold is one that no
// nonce meets.
func Run(ctx context.Context, engines []engine.Engine, threshold u512.Uint, workers int, duration time.Duration) (Report, error) {
	var yardsticks []float64
	rates := make([][]float64, len(engines))
	ratios := make([][]float64, len(engines))
	for range rounds {
		yardstick := measureYardstick(ctx, duration/rounds)
		yardsticks = append(yardsticks, yardstick)
		for i, e := range engines {
			rate, err := measure(ctx, e, threshold, workers, duration/rounds)
			if err != nil {
				return Report{}, err
			}
			rates[i] = append(rates[i], rate)
			ratios[i] = append(ratios[i], rate/float64(workers)/yardstick)
		}
	}
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("measuring: %w", err)
	}
	report := Report{YardstickRate: median(yardsticks)}
	for i, e := range engines {
		report.Results = append(report.Results, Result{e.Name(), e.Backend(), workers, median(rates[i]), median(ratios[i])})
	}
	return report, nil
}

// median returns the middle of an odd number of values.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// measureYardstick returns hashes per second.
func measureYardstick(ctx context.Context, d time.Duration) float64 {
	var x [64]byte
	began, hashes := time.Now(), 0
	for ctx.Err() == nil {
		for range 100 {
			x = sha3.Sum512(x[:])
		}
		hashes += 100
		if elapsed := time.Since(began); elapsed >= d {
			return float64(hashes) / elapsed.Seconds()
		}
	}
	return 0
}

// measure returns the nonces per second of an engine whose workers search for
// what is not there.
func measure(ctx context.Context, e engine.Engine, threshold u512.Uint, workers int, d time.Duration) (float64, error) {
	job, err := e.Prepare([32]byte{1}, threshold)
	if err != nil {
		return 0, fmt.Errorf("preparing %s: %w", e.Name(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	progress := make([]engine.Progress, workers)
	var searches sync.WaitGroup
	began := time.Now()
	for i := range progress {
		// Stretches of 2^256 nonces: no worker comes to the end of its own.
		start := u512.From64(uint64(i)).Lsh(256).AddWrap(u512.From64(1))
		searches.Go(func() {
			job.Search(engine.Range{Start: start, End: start.AddWrap(u512.From64(1).Lsh(255))}, &progress[i])
		})
	}
	<-ctx.Done()
	for i := range progress {
		progress[i].Stop()
	}
	searches.Wait()
	elapsed := time.Since(began)
	evaluated := uint64(0)
	for i := range progress {
		evaluated += progress[i].Evaluated()
	}
	return float64(evaluated) / elapsed.Seconds(), nil
}

// Device measures the engine of a device for the given time: the nonces per second of one
// search. A device counts many nonces at a time, and what is in flight when it is stopped
// not at all. So the time is that from one count to another, the first of them after a
// tenth of the time, when the device has found its pace.
func Device(ctx context.Context, e engine.Engine, threshold u512.Uint, d time.Duration) (rate float64, err error) {
	job, err := e.Prepare([32]byte{1}, threshold)
	if err != nil {
		return 0, fmt.Errorf("preparing %s: %w", e.Name(), err)
	}
	var p engine.Progress
	over := make(chan engine.Outcome, 1)
	go func() { over <- job.Search(engine.Range{End: u512.Max()}, &p) }()
	var counts [2]uint64
	var times [2]time.Time
	for i, wait := range []time.Duration{d / 10, d - d/10} {
		counts[i], err = countAfter(ctx, wait, &p, over)
		if err != nil {
			break
		}
		times[i] = time.Now()
	}
	p.Stop()
	if err != nil {
		return 0, fmt.Errorf("measuring %s (%s): %w", e.Name(), e.Backend(), err)
	}
	<-over
	return float64(counts[1]-counts[0]) / times[1].Sub(times[0]).Seconds(), nil
}

// lookInterval is the time between two looks at a count. It is a small part of a launch.
const lookInterval = 200 * time.Microsecond

// countAfter returns a search's next count after some time, as soon as it is counted. An
// error says that it has ended, or that ctx is done.
func countAfter(ctx context.Context, wait time.Duration, p *engine.Progress, over <-chan engine.Outcome) (uint64, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	due, before := timer.C, uint64(0)
	for {
		select {
		case <-due:
			due, before = nil, p.Evaluated()
		case <-look.C:
			if n := p.Evaluated(); due == nil && n != before {
				return n, nil
			}
		case outcome := <-over:
			return 0, fmt.Errorf("the search has ended, with status %d", outcome.Status)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
