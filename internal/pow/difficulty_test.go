package pow

import (
	"math"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestDifficulty(t *testing.T) {
	for _, c := range []struct {
		proof     Proof
		threshold u512.Uint
		want      float64
	}{
		{Poseidon2, u512.From64(1), 1},
		{Poseidon2, u512.From64(4_290_000_000_000), 4.29e12},
		{Poseidon2, u512.Max(), math.Ldexp(1, 512)},
		{Poseidon2, u512.Uint{}, math.Inf(1)},
		{SHA3RSA, u512.Max(), 1},
		{SHA3RSA, u512.Max().Rsh(20), 1 << 20},
		{SHA3RSA, u512.Uint{}, math.Ldexp(1, 512)},
	} {
		if got := c.proof.Difficulty(c.threshold); got != c.want {
			t.Errorf("%s, threshold %s: %g, want %g", c.proof, c.threshold.Hex(), got, c.want)
		}
	}
}
