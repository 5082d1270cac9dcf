package steer

import (
	"math/bits"
	"math/rand/v2"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// Job is a nonce, of which the permutations begin with what was drawn: the kernels for GPUs take a midstate and
// a block as they are.
type Job struct {
	Midstate [poseidon2.Width]uint64
	// Low is the block that is added to it, of which the last element is 0: what it
	// would be is First, with its bytes in the opposite order.
	Low   [poseidon2.Rate]uint64
	First uint32
	// Hash is the top 64 bits of the hash.
	Hash uint64
}

// NewJob returns a job whose permutations begin with a state, and its hash by the rule.
func NewJob(r *rand.Rand, s [poseidon2.Width]uint64) Job {
	j := Job{Midstate: s, First: r.Uint32()}
	take := func(i int, x uint32) { j.Midstate[i] = add(j.Midstate[i]%poseidon2.P, poseidon2.P-uint64(x)) }
	for i := range j.Low[:poseidon2.Rate-1] {
		j.Low[i] = uint64(r.Uint32())
		take(i, uint32(j.Low[i]))
	}
	take(poseidon2.Rate-1, bits.ReverseBytes32(j.First))
	state := poseidon2.State(s)
	state.Permute()
	state[0], state[1] = add(state[0], 1), add(state[1], 1)
	state.Permute()
	j.Hash = bits.ReverseBytes64(state[0])
	return j
}
