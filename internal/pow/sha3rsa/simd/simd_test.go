package simd

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

var required = flag.String("kernels", "portable", "kernels that this CPU must be able to run, separated by commas")

func TestRequired(t *testing.T) { enginetest.Kernels(t, Engines, *required) }

// largest is the size of a kernel's largest block.
func largest(k kernel) uint64 { return uint64(k.Lanes * max(stretches[0], portableStretch)) }

func TestConformance(t *testing.T) {
	for _, k := range supported() {
		t.Run(k.Name, func(t *testing.T) {
			block := largest(k)
			if k.Lanes == 1 {
				block = 1
			}
			enginetest.Run(t, enginetest.SHA3RSA{}, Engine{k}, block)
		})
	}
}

// same compares a search by a kernel with cpu-fast's: of a range that blocks of
// several sizes fit into, with a threshold that a few nonces of it may meet.
func same(t testing.TB, k kernel, r *rand.Rand) {
	var header [32]byte
	for i := range header {
		header[i] = byte(r.Uint32())
	}
	if r.IntN(8) == 0 {
		header = [32]byte{30: byte(r.Uint32()), 31: byte(r.Uint32())} // saturates late
	}
	size := r.Uint64N(3 * largest(k) >> r.IntN(12))
	var start u512.Uint
	switch r.IntN(3) {
	case 0:
		start = u512.From64(r.Uint64N(2))
	case 1:
		start = u512.Max().SubWrap(u512.From64(size + r.Uint64N(1<<16)))
	default:
		for i := range start {
			start[i] = r.Uint64()
		}
		start = start.Rsh(uint(r.IntN(u512.Bits)))
	}
	nonces := engine.Range{Start: start, End: start.AddSat(u512.From64(size))}
	threshold := u512.Max().Rsh(uint(r.IntN(16)))
	if r.IntN(4) == 0 {
		threshold = u512.Uint{}
	}

	enginetest.Same(t, Engine{k}, fast.Engine{}, largest(k), header, threshold, nonces)
}

func TestSearches(t *testing.T) {
	for _, k := range supported() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(*cases) {
				same(t, k, rand.New(rand.NewPCG(seed, uint64(k.Lanes))))
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
		b.Run(k.Name, func(b *testing.B) { enginetest.BenchmarkStop(b, enginetest.SHA3RSA{}, Engine{k}) })
	}
}

// BenchmarkTwoNonces searches ranges of two nonces, from the header on: what a
// short range costs.
func BenchmarkTwoNonces(b *testing.B) {
	engines := []engine.Engine{fast.Engine{}}
	for _, k := range supported() {
		engines = append(engines, Engine{k})
	}
	for _, e := range engines {
		b.Run(e.Name()+"/"+e.Backend(), func(b *testing.B) {
			for b.Loop() {
				job, err := e.Prepare([32]byte{1}, u512.Uint{})
				if err != nil {
					b.Fatal(err)
				}
				var p engine.Progress
				if got := job.Search(engine.Range{Start: u512.From64(1), End: u512.From64(2)}, &p); got.Status != engine.Exhausted {
					b.Fatalf("got %+v", got)
				}
			}
		})
	}
}
