package simd

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// required names the kernels that must not be missing: tests run only those that
// the CPU has, and CI wants to know.
var required = flag.String("kernels", "portable", "kernels that this CPU must be able to run, separated by commas")

// cases is how many random cases the tests draw.
var cases = flag.Int("cases", 100, "random cases for each kernel")

func TestRequired(t *testing.T) {
	var names []string
	for _, k := range kernels() {
		names = append(names, k.name)
	}
	for name := range strings.SplitSeq(*required, ",") {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among the kernels that this CPU can run: %v", name, names)
		}
	}
}

// kernels are those that this CPU can run.
func kernels() []kernel { return append(native(), portableKernel) }

func TestConformance(t *testing.T) {
	for _, k := range kernels() {
		t.Run(k.name, func(t *testing.T) {
			enginetest.Run(t, enginetest.Poseidon2{}, Engine{k}, uint64(k.lanes))
		})
	}
}

// same compares a search with the reference: of a range of up to a few steps, which
// may lie across the end of a period or of a midstate, with a difficulty that a few
// of its nonces may meet.
func same(t testing.TB, k kernel, r *rand.Rand) {
	var header [32]byte
	for i := range header {
		header[i] = byte(r.Uint32())
	}
	size := r.Uint64N(uint64(4 * k.lanes)) // less 1
	var start u512.Uint
	for i := range start {
		start[i] = r.Uint64()
	}
	switch r.IntN(4) {
	case 0:
		start = u512.Max().SubWrap(u512.From64(size)).SubWrap(u512.From64(r.Uint64N(2)))
	case 1: // the low words, up to the middle or to any other, are about to overflow
		for i := range 1 + r.IntN(u512.Words/2) {
			start[i] = 1<<64 - 1
		}
		start = start.SubWrap(u512.From64(r.Uint64N(size + 1)))
	case 2:
		start[0] |= period - 1
		start = start.SubWrap(u512.From64(r.Uint64N(size + 1)))
	}
	nonces := engine.Range{Start: start, End: start.AddSat(u512.From64(size))}
	difficulty := u512.From64(1 + r.Uint64N(1<<r.IntN(8)))
	job, err := Engine{k}.Prepare(header, difficulty)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := poseidon2.NewReference(header, difficulty)
	if err != nil {
		t.Fatal(err)
	}
	var p engine.Progress
	got := job.Search(nonces, &p)

	want, evaluated := engine.Outcome{Status: engine.Exhausted}, uint64(0)
	for nonce := nonces.Start; ; nonce = nonce.AddWrap(u512.From64(1)) {
		evaluated++
		if _, ok := ref.Verify(nonce); ok {
			want = engine.Outcome{Status: engine.Found, Nonce: nonce}
			break
		}
		if nonce == nonces.End {
			break
		}
	}
	over := p.Evaluated() - evaluated
	if got != want || over != 0 && (got.Status != engine.Found || over >= uint64(k.lanes) || p.Evaluated() > size+1) {
		t.Fatalf("%s: header %x, difficulty %s, %d nonces from %s: %+v after %d nonces, want %+v after %d", k.name,
			header, difficulty, size+1, start.Hex(), got, p.Evaluated(), want, evaluated)
	}
}

func TestSearches(t *testing.T) {
	for _, k := range kernels() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(*cases) {
				same(t, k, rand.New(rand.NewPCG(seed, 1)))
			}
		})
	}
}

func FuzzSearch(f *testing.F) {
	f.Add(uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64) {
		for _, k := range kernels() {
			same(t, k, rand.New(rand.NewPCG(seed1, seed2)))
		}
	})
}

func BenchmarkStop(b *testing.B) {
	for _, k := range kernels() {
		b.Run(k.name, func(b *testing.B) { enginetest.BenchmarkStop(b, enginetest.Poseidon2{}, Engine{k}) })
	}
}

func TestEngines(t *testing.T) {
	engines, err := Engines("")
	if err != nil || engines[len(engines)-1].Backend() != "portable" {
		t.Fatalf("got %v, %v, want a list that ends with the portable kernel", engines, err)
	}
	for i, e := range engines {
		lesser, err := Engines(e.Backend())
		if err != nil || len(lesser) != len(engines)-i || lesser[0].Backend() != e.Backend() {
			t.Errorf("from %s on: %v, %v", e.Backend(), lesser, err)
		}
	}
	if engines, err := Engines("mmx"); err == nil {
		t.Errorf("got %v from a kernel that there is not", engines)
	}
}
