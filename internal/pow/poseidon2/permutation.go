package poseidon2

import "math/bits"

// P is the field's order, the prime 2^64 − 2^32 + 1.
const P = 1<<64 - 1<<32 + 1

// The dimensions of the permutation.
const (
	// Width is the number of elements of a state.
	Width = 12
	// ExternalRounds is the number of external rounds on either side of the
	// internal ones.
	ExternalRounds = 4
	// InternalRounds is the number of internal rounds.
	InternalRounds = 22
)

// State is what is permuted: elements of the field, each by any of its
// representatives below 2^64. Those below [P] are canonical.
type State [Width]uint64

// add returns a + b, canonical: it is below 3·P.
func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	for carry != 0 || sum >= P {
		var borrow uint64
		sum, borrow = bits.Sub64(sum, P, 0)
		carry -= borrow
	}
	return sum
}

// mul returns a·b, canonical. The division wants a high word below P, and 2^64 is below 2·P.
func mul(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high >= P {
		high -= P
	}
	_, remainder := bits.Div64(high, low, P)
	return remainder
}

// sbox returns x^7.
func sbox(x uint64) uint64 {
	square := mul(x, x)
	return mul(mul(mul(square, square), square), x)
}

// Permute is the permutation, just as it is written. It takes any representatives
// and leaves canonical ones.
func (s *State) Permute() {
	s.externalLayer()
	for round := range constants.Initial {
		s.externalRound(&constants.Initial[round])
	}
	for _, constant := range constants.Internal {
		s.internalRound(constant)
	}
	for round := range constants.Terminal {
		s.externalRound(&constants.Terminal[round])
	}
}

// externalRound adds a constant to each element, applies the S-box to all of them,
// and mixes.
func (s *State) externalRound(constant *[Width]uint64) {
	for i := range s {
		s[i] = sbox(add(s[i], constant[i]))
	}
	s.externalLayer()
}

// internalRound adds a constant to element 0, applies the S-box to it alone, and
// mixes: each element is multiplied by its constant, and the sum of all added.
func (s *State) internalRound(constant uint64) {
	s[0] = sbox(add(s[0], constant))
	var sum uint64
	for _, x := range s {
		sum = add(sum, x)
	}
	for i, x := range s {
		s[i] = add(sum, mul(constants.Diagonal[i], x))
	}
}

// m4 is the matrix that the external layer applies to groups of four elements.
var m4 = [4][4]uint64{
	{2, 3, 1, 1},
	{1, 2, 3, 1},
	{1, 1, 2, 3},
	{3, 1, 1, 2},
}

// externalLayer multiplies each group of four consecutive elements by m4, and adds
// to each element the sum of the three that then have its place in a group, its own
// included.
func (s *State) externalLayer() {
	var product State
	for i := range product {
		group := i - i%4
		for j, factor := range m4[i%4] {
			product[i] = add(product[i], mul(factor, s[group+j]))
		}
	}
	for i := range s {
		sum := add(add(product[i%4], product[4+i%4]), product[8+i%4])
		s[i] = add(product[i], sum)
	}
}
