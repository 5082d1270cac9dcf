package simd

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/baseline"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

var required = flag.String("kernels", "portable", "kernels that this CPU must be able to run, separated by commas")

// cases is how many random cases the tests draw.
var cases = flag.Int("cases", 100, "random cases for each kernel")

func TestRequired(t *testing.T) { enginetest.Kernels(t, Engines, *required) }

func TestConformance(t *testing.T) {
	for _, k := range supported() {
		t.Run(k.Name, func(t *testing.T) {
			enginetest.Run(t, enginetest.Poseidon2{}, Engine{k}, uint64(k.Lanes))
		})
	}
}

// same compares a search with cpu-baseline's: of a range of up to a few steps, which
// may lie across the end of a period or of a midstate, with a difficulty that a few
// of its nonces may meet.
func same(t testing.TB, k kernel, r *rand.Rand) {
	var header [32]byte
	for i := range header {
		header[i] = byte(r.Uint32())
	}
	size := r.Uint64N(uint64(4 * k.Lanes)) // less 1
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
	enginetest.Same(t, Engine{k}, baseline.Engine{}, uint64(k.Lanes), header, difficulty, nonces)
}

func TestSearches(t *testing.T) {
	for _, k := range supported() {
		t.Run(k.Name, func(t *testing.T) {
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
		for _, k := range supported() {
			same(t, k, rand.New(rand.NewPCG(seed1, seed2)))
		}
	})
}

func BenchmarkStop(b *testing.B) {
	for _, k := range supported() {
		b.Run(k.Name, func(b *testing.B) { enginetest.BenchmarkStop(b, enginetest.Poseidon2{}, Engine{k}) })
	}
}
