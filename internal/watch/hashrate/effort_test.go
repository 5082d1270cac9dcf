package hashrate

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// plain takes a threshold for the difficulty.
func plain(threshold u512.Uint) float64 { return float64(threshold.Sat64()) }

// TestEffort follows the effort over jobs of several difficulties, of which one ends in
// between, and one has a winner.
func TestEffort(t *testing.T) {
	e := NewEffort(plain)
	miner := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: metered{new(atomic.Uint64)}, Workers: 1})
	job := func(id string, difficulty uint64) *mining.Job {
		job, err := miner.Submit(mining.Request{ID: id, Threshold: u512.From64(difficulty), Range: engine.Range{End: u512.Max()}})
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	easy, hard, last := job("easy", 100), job("hard", 1000), job("last", 500)
	running := func(job *mining.Job, evaluated uint64) mining.JobOverview {
		return mining.JobOverview{Job: job, Snapshot: mining.Snapshot{Evaluated: evaluated}}
	}
	for i, step := range []struct {
		winners uint64
		jobs    []mining.JobOverview
		want    Work
	}{
		{0, nil, Work{}},
		{0, []mining.JobOverview{running(easy, 50)}, Work{Effort: 0.5, Difficulty: 100}},
		{0, []mining.JobOverview{running(easy, 75), running(hard, 250)}, Work{Effort: 1, Difficulty: 1000}},
		{1, []mining.JobOverview{running(hard, 500)}, Work{Winners: 1, Difficulty: 1000}},
		{1, []mining.JobOverview{running(hard, 750)}, Work{Winners: 1, Effort: 0.25, Difficulty: 1000}},
		// One that is over counts until its end: that is 0 nonces for a miner that does not run.
		{1, []mining.JobOverview{running(last, 250)}, Work{Winners: 1, Effort: 0.75, Difficulty: 500}},
	} {
		if i == 5 {
			e.counted[hard] = 0
		}
		e.Add(mining.Overview{Totals: mining.Totals{Winners: step.winners}, Jobs: step.jobs})
		if got := e.Work(); got.Winners != step.want.Winners || math.Abs(got.Effort-step.want.Effort) > 1e-12 || got.Difficulty != step.want.Difficulty {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

func TestTimeToWinner(t *testing.T) {
	for _, c := range []struct {
		difficulty, rate float64
		want             time.Duration
		ok               bool
	}{
		{4000, 2000, 2 * time.Second, true},
		{math.Ldexp(1, 512), 1, math.MaxInt64, true},
		{math.Inf(1), 1, math.MaxInt64, true},
		{4000, 0, 0, false},
		{0, 2000, 0, false},
	} {
		if got, ok := (Work{Difficulty: c.difficulty}).TimeToWinner(c.rate); got != c.want || ok != c.ok {
			t.Errorf("%g at %g/s: %s %t", c.difficulty, c.rate, got, ok)
		}
	}
}

// TestSampledEffort looks at the effort of a miner that runs, and of its reports.
func TestSampledEffort(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	inBubble(t, 10*time.Second, log, func(m *mining.Miner, s *Sampler, _ *atomic.Uint64) {
		_, err := m.Submit(mining.Request{ID: "job", Threshold: u512.From64(100_000), Range: engine.Range{End: u512.Max()}})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(30 * time.Second)
		// Two threads of 1000 nonces a second, but for the first second's last batch.
		if got := s.Sample().Work; math.Abs(got.Effort-0.598) > 0.001 || got.Difficulty != 100_000 || got.Winners != 0 {
			t.Errorf("%+v", got)
		}
	})
	var line struct {
		Effort      float64
		Found       *int
		Uptime      time.Duration
		TimeToBlock time.Duration `json:"time_to_block"`
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatal(err)
	}
	if math.Abs(line.Effort-0.598) > 0.001 || line.Found == nil || line.Uptime != 30*time.Second || line.TimeToBlock != 50*time.Second {
		t.Errorf("%+v in %s", line, lines[len(lines)-1])
	}
}
