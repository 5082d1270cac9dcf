package bench

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	engines := listed(t)
	report, err := Run(t.Context(), engines, u512.Uint{}, 2, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if report.YardstickRate <= 0 || len(report.Results) != len(engines) {
		t.Errorf("got %+v", report)
	}
	for i, r := range report.Results {
		if r.Engine != engines[i].Name() || r.Backend != engines[i].Backend() || r.Workers != 2 || r.Rate <= 0 || r.PerWorker() != r.Rate/2 || r.Ratio <= 0 {
			t.Errorf("result %d: %+v", i, r)
		}
	}
}

// metronome evaluates a hundred nonces a second on each worker.
type metronome struct{}

func (metronome) Name() string                                    { return "metronome" }
func (metronome) Backend() string                                 { return "test" }
func (metronome) Prepare([32]byte, u512.Uint) (engine.Job, error) { return metronome{}, nil }
func (metronome) Verify(u512.Uint) (distance u512.Uint, ok bool)  { return u512.Uint{}, false }
func (metronome) Search(_ engine.Range, p *engine.Progress) engine.Outcome {
	for <-time.After(10 * time.Millisecond); p.Advance(1); {
		<-time.After(10 * time.Millisecond)
	}
	return engine.Outcome{Status: engine.Stopped}
}

func TestMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate, err := measure(t.Context(), metronome{}, u512.Uint{}, 3, 10*time.Second)
		if err != nil || rate < 299 || rate > 301 {
			t.Errorf("%g nonces/s, %v, want 300", rate, err)
		}
	})
}

// launches evaluates a million nonces every 25 ms, after a slow start, and then fails.
type launches struct {
	metronome
	n int
}

func (l launches) Prepare([32]byte, u512.Uint) (engine.Job, error) { return l, nil }
func (l launches) Search(_ engine.Range, p *engine.Progress) engine.Outcome {
	<-time.After(90 * time.Millisecond)
	for range l.n {
		<-time.After(25 * time.Millisecond)
		if !p.Advance(1_000_000) {
			return engine.Outcome{Status: engine.Stopped}
		}
	}
	return engine.Outcome{Status: engine.Unavailable}
}

func TestDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate, err := Device(t.Context(), launches{n: 1000}, u512.Uint{}, time.Second)
		if err != nil || rate < 39.6e6 || rate > 40.4e6 {
			t.Errorf("%g nonces/s, %v, want 40 million", rate, err)
		}
		if rate, err := Device(t.Context(), launches{n: 5}, u512.Uint{}, time.Second); err == nil {
			t.Errorf("%g nonces/s of a device that fails", rate)
		}
	})
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, listed(t), u512.Uint{}, 1, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{5, 1, 4, 2, 3}); got != 3 {
		t.Errorf("got %g, want 3", got)
	}
}

// listed returns every engine.
func listed(t *testing.T) []engine.Engine {
	engines, err := pow.Engines(pow.SHA3RSA)
	if err != nil {
		t.Fatal(err)
	}
	return engines
}
