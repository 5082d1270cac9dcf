//go:build amd64 && !purego

package simd

import (
	"math/bits"
	"unsafe"

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
	lanes  uint64 // how many there are in both blocks
	// survivors are the lanes, as bits, for which the kernel returned.
	survivors uint64

	_ [2]uint64 // counters of rounds
	// form is the same as base in Montgomery form, x·2^64.
	form [poseidon2.Width]uint64
	_    [maxScalarLanes][poseidon2.Width]uint64 // states in that form
	_    [12]uint64                              // sums

	// other is the distance in bytes to the other block of a pair.
	other int64
	_     [2][maxVectorLanes]uint64 // sums of all elements of a state
	_     [maxScalarLanes][2]uint64 // the same in general registers
	_     [4]uint64                 // where constants are; and to a multiple of 64 bytes
}

// pair is what a kernel takes: while a round of one block comes to its end, that of the
// other begins.
type pair [2]block

// newPair returns two blocks, each with so many lanes.
func newPair(target uint64, lanes int) *pair {
	p := new(pair)
	for i := range p {
		p[i].target, p[i].lanes = target, uint64(len(p)*lanes)
	}
	const size = int64(unsafe.Sizeof(p[0]))
	p[0].other, p[1].other = size, -size
	return p
}

// set puts the first lane on a nonce with this midstate.
func (p *pair) set(m *poseidon2.Midstate, nonce u512.Uint) {
	third := poseidon2.Low(nonce)
	third[poseidon2.Rate-1] = 0
	for i, x := range m.FirstLayer(third) {
		p.begin(i, x)
	}
	p.count(nonce[0] % period)
}

// begin has all states begin with an element of any representative.
func (p *pair) begin(i int, x uint64) {
	high, low := bits.Mul64(x, 1<<32-1) // as 2^64 is 2^32 − 1 modulo p
	for k := range p {
		p[k].base[i] = [2]uint64{x & (1<<52 - 1), x >> 52}
		p[k].form[i] = bits.Rem64(high, low, poseidon2.P)
	}
}

// count has the lanes begin with these low 32 bits of a nonce, and those that follow.
func (p *pair) count(from uint64) {
	for k := range p {
		for i := range p[k].counters {
			p[k].counters[i] = from + uint64(i)
		}
		from += p[k].lanes / uint64(len(p))
	}
}

// survivors are the lanes, as bits, for which a kernel returned.
func (p *pair) survivors() uint64 {
	return p[0].survivors | p[1].survivors<<(p[0].lanes/uint64(len(p)))
}
