package pow

import (
	"math"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Difficulty returns how many nonces a winner takes on average, to which a job's
// threshold comes: for Poseidon2 the threshold itself, for SHA3RSA the number of
// distances for each that is small enough. It is infinite if there can be no winner.
func (proof Proof) Difficulty(threshold u512.Uint) float64 {
	t, _ := threshold.Big().Float64() // below 2^512, so a float64 has it, to 53 bits
	if proof == Poseidon2 {
		if t == 0 {
			return math.Inf(1) // which no engine takes
		}
		return t
	}
	return math.Ldexp(1, u512.Bits) / (t + 1)
}
