package all

import (
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/engine/fast"
	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestPick(t *testing.T) {
	t.Setenv(KernelVariable, "portable")
	for name, want := range map[string]string{
		"cpu-baseline": "cpu-baseline math/big",
		"cpu-fast":     "cpu-fast generic",
		"cpu-simd":     "cpu-simd portable",
		"auto":         "cpu-simd portable",
	} {
		e, refused, err := Pick(name)
		if err != nil || len(refused) != 0 || e.Name()+" "+e.Backend() != want {
			t.Errorf("Pick(%q) = %v, %v, %v, want %s", name, e, refused, err, want)
		}
	}
	for _, name := range []string{"", "CPU-FAST", "gpu"} {
		if e, _, err := Pick(name); err == nil || !strings.Contains(err.Error(), "auto, cpu-baseline, cpu-fast, cpu-simd") {
			t.Errorf("Pick(%q) = %v, %v, want an error that lists the engines", name, e, err)
		}
	}
	t.Setenv(KernelVariable, "mmx")
	if e, _, err := Pick("auto"); err == nil || !strings.Contains(err.Error(), KernelVariable) || !strings.Contains(err.Error(), "portable") {
		t.Errorf("Pick with kernel mmx = %v, %v, want an error that lists the kernels", e, err)
	}
}

// TestNames holds the names to the engines.
func TestNames(t *testing.T) {
	engines, err := Engines()
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, name := range Names() {
		listed[name] = true
	}
	found := map[string]bool{}
	for _, e := range engines {
		found[e.Name()] = true
		if !listed[e.Name()] {
			t.Errorf("%s is not in Names", e.Name())
		}
	}
	if len(found) != len(listed) {
		t.Errorf("engines %v, names %v", found, listed)
	}
}

// TestSelfTestAnswer holds the self-test to the known answers.
func TestSelfTestAnswer(t *testing.T) {
	for _, s := range kat.Searches(t) {
		if s.Found && s.Start.Hex() == testStart && s.End.Hex() == testEnd && s.Nonce.Hex() == testWinner && s.Threshold.String() == testThreshold {
			return
		}
	}
	t.Error("it is not among them")
}

// broken is cpu-fast, but that it misses the nonces that are n modulo 64.
type broken struct {
	fast.Engine
	n uint64
}

func (broken) Name() string { return "broken" }

func (e broken) Prepare(header [32]byte, threshold u512.Uint) (engine.Job, error) {
	job, err := e.Engine.Prepare(header, threshold)
	return brokenJob{job, e.n}, err
}

type brokenJob struct {
	engine.Job
	n uint64
}

func (j brokenJob) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	outcome := j.Job.Search(r, p)
	if outcome.Status == engine.Found && outcome.Nonce.SubWrap(r.Start)[0]/16%8 == j.n {
		return engine.Outcome{Status: engine.Exhausted}
	}
	return outcome
}

// TestRefused has engines that miss what is on one lane: each is refused, and
// the next one is taken.
func TestRefused(t *testing.T) {
	var engines []engine.Engine
	for lane := range uint64(8) {
		engines = append(engines, broken{n: lane})
	}
	e, refused, err := pick(append(engines, fast.Engine{}), Auto)
	if err != nil || e != (fast.Engine{}) || len(refused) != 8 {
		t.Fatalf("got %v, %v, %v, want cpu-fast and eight that were refused", e, refused, err)
	}
	if text := refused[0].Error(); !strings.Contains(text, "refusing broken (generic)") || !strings.Contains(text, "self-test") {
		t.Errorf("refused with %q", text)
	}
	if e, _, err := pick(engines, "broken"); err == nil || !strings.Contains(err.Error(), "self-test") {
		t.Errorf("got %v, %v from broken engines alone", e, err)
	}
}

// TestAfter goes down the list, engine by engine, to its end.
func TestAfter(t *testing.T) {
	t.Setenv(KernelVariable, "portable")
	e, _, err := Pick(Auto)
	for _, want := range []string{"cpu-simd portable", "cpu-fast generic", "cpu-baseline math/big"} {
		if err != nil || e.Name()+" "+e.Backend() != want {
			t.Fatalf("%v, %v, want %s", e, err, want)
		}
		e, _, err = After(e)
	}
	if err == nil || !strings.Contains(err.Error(), "no slower engine") {
		t.Errorf("after the last there is %v, %v", e, err)
	}
}
