package baseline_test

import (
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/baseline"
)

func TestConformance(t *testing.T) { enginetest.Run(t, enginetest.SHA3RSA{}, baseline.Engine{}, 1) }

func FuzzEquivalence(f *testing.F) { enginetest.Fuzz(f, enginetest.SHA3RSA{}, baseline.Engine{}, 1) }

func BenchmarkStop(b *testing.B) {
	enginetest.BenchmarkStop(b, enginetest.SHA3RSA{}, baseline.Engine{})
}
