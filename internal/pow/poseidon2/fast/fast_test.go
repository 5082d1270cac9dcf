package fast

import (
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestConformance(t *testing.T) { enginetest.Run(t, enginetest.Poseidon2{}, Engine{}, 1) }

func FuzzEquivalence(f *testing.F) { enginetest.Fuzz(f, enginetest.Poseidon2{}, Engine{}, 1) }

func BenchmarkStop(b *testing.B) { enginetest.BenchmarkStop(b, enginetest.Poseidon2{}, Engine{}) }

// TestTies has targets whose top 64 bits are those of a hash, which no difficulty that
// a test could choose gives: the rest of the hash decides.
func TestTies(t *testing.T) {
	header, nonce := [32]byte{1}, u512.From64(1)
	hash := poseidon2.Reference{Header: header}.Hash(nonce)
	one := u512.From64(1)
	for target, want := range map[u512.Uint]engine.Status{
		hash:                                engine.Exhausted,
		hash.AddWrap(one):                   engine.Found,
		hash.SubWrap(one):                   engine.Exhausted,
		hash.AddWrap(one.Lsh(448)):          engine.Found,
		hash.SubWrap(one.Lsh(448)):          engine.Exhausted,
		hash.Rsh(448).Lsh(448):              engine.Exhausted, // the top 64 bits alone
		hash.Rsh(448).AddWrap(one).Lsh(448): engine.Found,
		hash.Rsh(448).Lsh(448).SubWrap(one): engine.Exhausted,
		hash.Rsh(256).Lsh(256):              engine.Exhausted,
		hash.Rsh(256).AddWrap(one).Lsh(256): engine.Found,
		u512.Max():                          engine.Found,
		{}:                                  engine.Exhausted,
	} {
		j := job{poseidon2.Reference{Header: header, Target: target}}
		var p engine.Progress
		if got := j.Search(engine.Range{Start: nonce, End: nonce}, &p); got.Status != want {
			t.Errorf("target %s: status %d, want %d", target.PaddedHex(), got.Status, want)
		}
	}
}
