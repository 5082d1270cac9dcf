package simd

import (
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// TestWalk has kernels walk from random nonces, with targets that many or few hashes meet, and
// compares where they stop with the window of the same midstate.
func TestWalk(t *testing.T) {
	for _, k := range supported() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(*cases) {
				sameWalk(t, k, rand.New(rand.NewPCG(seed, 2)))
			}
		})
	}
}

func sameWalk(t *testing.T, k kernel, r *rand.Rand) {
	t.Helper()
	ref := poseidon2.Reference{Target: u512.Uint{u512.Words - 1: r.Uint64() >> r.IntN(16)}}
	for i := range ref.Header {
		ref.Header[i] = byte(r.Uint32())
	}
	var nonce u512.Uint
	for i := range nonce {
		nonce[i] = r.Uint64()
	}
	steps := 1 + r.IntN(8)
	last := uint64(period - steps*k.Lanes) // with which the steps stay in the period
	if low := nonce[0] % period; low > last || r.IntN(4) == 0 {
		nonce[0] += last - low
	}

	m := poseidon2.NewMidstate(ref.Header, nonce)
	window := m.Window()
	w := k.NewWalker(ref)
	w.set(nonce)
	for steps > 0 {
		done, survivors := w.walk(steps)
		wantDone, want := 0, uint64(0)
		for ; wantDone < steps && want == 0; wantDone++ {
			for lane := range k.Lanes {
				if window.First(nonce) <= ref.Target[u512.Words-1] {
					want |= 1 << lane
				}
				nonce = nonce.AddWrap(u512.From64(1))
			}
		}
		if done != wantDone || survivors != want {
			t.Fatalf("%d of %d steps and survivors %b, want %d and %b, up to nonce %s of header %x",
				done, steps, survivors, wantDone, want, nonce.Hex(), ref.Header)
		}
		steps -= done
	}
}

func BenchmarkWalk(b *testing.B) {
	for _, k := range supported() {
		b.Run(k.Name, func(b *testing.B) {
			w := k.NewWalker(poseidon2.Reference{Header: [32]byte{1}}) // no hash is valid
			w.set(u512.From64(1))
			const steps, sums = 4, 64
			enginetest.BenchmarkWalk(b, func() { w.walk(steps) }, steps*k.Lanes, sums)
		})
	}
}
