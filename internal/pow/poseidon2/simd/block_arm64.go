//go:build !purego

package simd

import (
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// block is the memory that the kernel in assembly works on: what its lanes begin with, and
// their states. The generator in internal/engine/_asm/poseidon2/arm64 has the same
// layout; TestLayout compares the two.
type block struct {
	// base is what all states begin with, without element 7 of the third block: the midstate
	// and the rest of the block after the first external layer, with the first round constants.
	// An element x is there as x·2^64 modulo p, and 2^32 − 1 more.
	base [poseidon2.Width]uint64
	// counter is the low 32 bits of the first lane's next nonce, and maybe more.
	counter uint64
	target  uint64 // the top 64 bits of the target
	// survivors are the lanes, as bits, for which the kernel returned.
	survivors uint64
	_         uint64 // so that pairs of elements are at multiples of 16 bytes
	lanes     [2]lane
}

// lane is what the kernel has of each nonce.
type lane struct {
	state [poseidon2.Width]uint64
	// first is the top 64 bits of the hash of the last step, and survives 1 if they are not
	// above the target's.
	first, survives uint64
	_               [2]uint64
}

// set puts the first lane on a nonce with this midstate.
func (b *block) set(m *poseidon2.Midstate, nonce u512.Uint) {
	third := poseidon2.Low(nonce)
	third[poseidon2.Rate-1] = 0
	b.begin(m.FirstLayer(third))
	b.counter = nonce[0] % period
}

// begin has all states begin with these elements.
func (b *block) begin(s poseidon2.State) {
	const epsilon = 1<<32 - 1 // 2^64 modulo p
	for i, x := range s {
		high, low := bits.Mul64(x, epsilon)
		b.base[i] = bits.Rem64(high, low, poseidon2.P) + epsilon
	}
}
