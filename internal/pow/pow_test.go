package pow

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/kat"
	poseidon2fast "github.com/quantus-network/quantus-miner/internal/pow/poseidon2/fast"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// baselines has each proof of work's slowest engine.
var baselines = map[Proof]string{SHA3RSA: "cpu-baseline math/big", Poseidon2: "cpu-baseline generic"}

func TestPick(t *testing.T) {
	t.Setenv(KernelVariable, "portable")
	for proof, baseline := range baselines {
		for name, want := range map[string]string{
			"cpu-baseline": baseline,
			"cpu-fast":     "cpu-fast generic",
			"cpu-simd":     "cpu-simd portable",
			"auto":         "cpu-simd portable",
		} {
			e, refused, err := Pick(proof, name)
			if err != nil || len(refused) != 0 || e.Name()+" "+e.Backend() != want {
				t.Errorf("Pick(%s, %q) = %v, %v, %v, want %s", proof, name, e, refused, err, want)
			}
		}
	}
	for _, name := range []string{"", "CPU-FAST", "gpu"} {
		if e, _, err := Pick(Poseidon2, name); err == nil || !strings.Contains(err.Error(), "auto, cpu-baseline, cpu-fast, cpu-simd") {
			t.Errorf("Pick(%q) = %v, %v, want an error that lists the engines", name, e, err)
		}
	}
	if e, _, err := Pick("sha2", Auto); err == nil || !strings.Contains(err.Error(), "sha3-rsa, poseidon2") {
		t.Errorf("got %v, %v, want an error that lists the proofs of work", e, err)
	}
	t.Setenv(KernelVariable, "mmx")
	for proof := range baselines {
		if e, _, err := Pick(proof, "auto"); err == nil || !strings.Contains(err.Error(), KernelVariable) || !strings.Contains(err.Error(), "portable") {
			t.Errorf("Pick with kernel mmx = %v, %v, want an error that lists the kernels", e, err)
		}
	}
}

// TestNames holds the names to the engines.
func TestNames(t *testing.T) {
	listed := map[string]bool{}
	for _, name := range Names() {
		listed[name] = true
	}
	for _, proof := range Proofs() {
		engines, err := Engines(Proof(proof))
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, e := range engines {
			found[e.Name()] = true
			if !listed[e.Name()] {
				t.Errorf("%s is not in Names", e.Name())
			}
			// Of the hardest threshold every engine can make a job, and finds nothing.
			job, err := e.Prepare([32]byte{1}, Proof(proof).Hardest())
			if err != nil {
				t.Fatal(err)
			}
			if got := job.Search(engine.Range{Start: u512.From64(1), End: u512.From64(20)}, new(engine.Progress)); got.Status != engine.Exhausted {
				t.Errorf("%s %s finds %v at the hardest threshold", proof, e.Name(), got)
			}
		}
		if len(found) != len(listed) {
			t.Errorf("%s: engines %v, names %v", proof, found, listed)
		}
	}
}

// TestSelfTestAnswer holds the self-test to the known answers.
func TestSelfTestAnswer(t *testing.T) {
	answers := map[Proof][]kat.Search{SHA3RSA: kat.Searches(t), Poseidon2: kat.ReadPoseidon2(t).Searches}
	for proof, test := range tests {
		for _, k := range test.known {
			if !slices.ContainsFunc(answers[proof], func(s kat.Search) bool {
				return s.Found && k == known{hex.EncodeToString(s.Header[:]), s.Threshold.String(), s.Start.Hex(), s.End.Hex(), s.Nonce.Hex()}
			}) {
				t.Errorf("%s: %v is not among them", proof, k)
			}
		}
	}
}

// broken is an engine of a kernel that misses the nonces of a lane.
type broken struct {
	engine.Engine
	stretch, lane uint64
}

const brokenLanes = 5

func (broken) Name() string { return "broken" }
func (broken) Lanes() int   { return brokenLanes }

func (e broken) Prepare(header [32]byte, threshold u512.Uint) (engine.Job, error) {
	job, err := e.Engine.Prepare(header, threshold)
	return brokenJob{job, e}, err
}

type brokenJob struct {
	engine.Job
	broken
}

func (j brokenJob) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	outcome := j.Job.Search(r, p)
	if outcome.Status == engine.Found && outcome.Nonce.SubWrap(r.Start)[0]/j.stretch%brokenLanes == j.lane {
		return engine.Outcome{Status: engine.Exhausted}
	}
	return outcome
}

// TestRefused has engines that miss what is on one lane: each is refused, and
// the next one is taken.
func TestRefused(t *testing.T) {
	for proof, right := range map[Proof]engine.Engine{SHA3RSA: fast.Engine{}, Poseidon2: poseidon2fast.Engine{}} {
		var engines []engine.Engine
		for lane := range uint64(brokenLanes) {
			engines = append(engines, broken{right, tests[proof].stretch, lane})
		}
		e, refused, err := pick(proof, append(engines, right), Auto)
		if err != nil || e != right || len(refused) != len(engines) {
			t.Fatalf("%s: got %v, %v, %v, want cpu-fast and %d that were refused", proof, e, refused, err, len(engines))
		}
		if text := refused[0].Error(); !strings.Contains(text, "refusing broken (generic)") || !strings.Contains(text, "self-test") {
			t.Errorf("refused with %q", text)
		}
		if e, _, err := pick(proof, engines, "broken"); err == nil || !strings.Contains(err.Error(), "self-test") {
			t.Errorf("%s: got %v, %v from broken engines alone", proof, e, err)
		}
	}
}

// TestLanes wants to know of each kernel how many lanes it has, as the self-test puts its winner on each.
func TestLanes(t *testing.T) {
	for _, proof := range Proofs() {
		engines, err := Engines(Proof(proof))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range engines {
			if lanes := lanesOf(e); (e.Name() == "cpu-simd" && e.Backend() != "portable") != (lanes > 1) {
				t.Errorf("%s %s %s: %d lanes", proof, e.Name(), e.Backend(), lanes)
			}
		}
	}
}

// TestAfter goes down the list, engine by engine, to its end.
func TestAfter(t *testing.T) {
	t.Setenv(KernelVariable, "portable")
	for proof, baseline := range baselines {
		e, _, err := Pick(proof, Auto)
		for _, want := range []string{"cpu-simd portable", "cpu-fast generic", baseline} {
			if err != nil || e.Name()+" "+e.Backend() != want {
				t.Fatalf("%s: %v, %v, want %s", proof, e, err, want)
			}
			e, _, err = After(proof, e)
		}
		if err == nil || !strings.Contains(err.Error(), "no slower engine") {
			t.Errorf("%s: after the last there is %v, %v", proof, e, err)
		}
	}
}
