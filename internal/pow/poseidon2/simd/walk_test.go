package simd

import (
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

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
