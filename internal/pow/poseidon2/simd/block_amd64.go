//go:build amd64 && !purego

package simd

import (
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// The most lanes that kernels in assembly have in vectors and in general registers.
const (
	maxVectorLanes = 8
	maxScalarLanes = 2
)

// block is the memory that a kernel in assembly works on: what its lanes begin with, and
// scratch space. The generator in internal/engine/_asm/poseidon2/amd64 has the same
// layout; TestLayout compares the two. It holds no pointer: Go aligns such objects to 64
// bytes.
type block struct {
	// state holds the states of the vectors' lanes, each element in two parts.
	state [poseidon2.Width][2][maxVectorLanes]uint64
	// base is what all states begin with, without element 7 of the third block: the
	// midstate and the rest of the block after the first external layer, with the
	// first round constants. An element is x0 + 2^52·x1.
	base [poseidon2.Width][2]uint64
	// counters are the low 32 bits of the next nonces of the vectors' lanes, and maybe
	// more. Those of the other lanes follow.
	counters [maxVectorLanes]uint64
	// firsts are the top 64 bits of the hashes of the last step.
	firsts [maxVectorLanes + maxScalarLanes]uint64

	target uint64 // the top 64 bits of the target
	lanes  uint64 // how many there are
	// survivors are the lanes, as bits, for which the kernel returned.
	survivors uint64

	_ [2]uint64 // counters of rounds
	// form is the same as base in Montgomery form, x·2^64.
	form [poseidon2.Width]uint64
	_    [maxScalarLanes][poseidon2.Width]uint64 // states in that form
	_    [12]uint64                              // sums
}

// set puts the first lane on a nonce with this midstate.
func (b *block) set(m *poseidon2.Midstate, nonce u512.Uint) {
	state := *m
	third := poseidon2.Low(nonce)
	third[poseidon2.Rate-1] = 0
	for i, x := range third {
		state[i] = add(state[i], x)
	}
	constants := poseidon2.NewConstants()
	for i, x := range externalLayer(state) {
		x = add(x, constants.Initial[0][i])
		b.begin(i, x)
	}
	for i := range b.counters {
		b.counters[i] = nonce[0]%period + uint64(i)
	}
}

// begin has all states begin with an element of any representative.
func (b *block) begin(i int, x uint64) {
	b.base[i] = [2]uint64{x & (1<<52 - 1), x >> 52}
	high, low := bits.Mul64(x, 1<<32-1) // as 2^64 is 2^32 − 1 modulo p
	b.form[i] = bits.Rem64(high, low, poseidon2.P)
}

// add returns a + b of canonical elements, canonical.
func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 || sum >= poseidon2.P {
		sum -= poseidon2.P
	}
	return sum
}

// externalLayer mixes canonical elements, as the rule does before the first round.
func externalLayer(s [poseidon2.Width]uint64) [poseidon2.Width]uint64 {
	var sums [4]uint64
	for g := 0; g < poseidon2.Width; g += 4 {
		x := [4]uint64(s[g:])
		all := add(add(x[0], x[1]), add(x[2], x[3]))
		for i := range x {
			next := x[(i+1)%4]
			s[g+i] = add(add(all, x[i]), add(next, next))
			sums[i] = add(sums[i], s[g+i])
		}
	}
	for i := range s {
		s[i] = add(s[i], sums[i%4])
	}
	return s
}
