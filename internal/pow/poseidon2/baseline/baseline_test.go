package baseline_test

import (
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/baseline"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, enginetest.Poseidon2{}, baseline.Engine{}, 1)
}

func FuzzEquivalence(f *testing.F) { enginetest.Fuzz(f, enginetest.Poseidon2{}, baseline.Engine{}, 1) }

func BenchmarkStop(b *testing.B) {
	enginetest.BenchmarkStop(b, enginetest.Poseidon2{}, baseline.Engine{})
}
