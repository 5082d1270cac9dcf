package fast_test

import (
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine/enginetest"
	"github.com/quantus-network/quantus-miner/internal/engine/fast"
)

func TestConformance(t *testing.T) { enginetest.Run(t, fast.Engine{}, 1) }

func FuzzEquivalence(f *testing.F) { enginetest.Fuzz(f, fast.Engine{}, 1) }

func BenchmarkStop(b *testing.B) { enginetest.BenchmarkStop(b, fast.Engine{}) }
