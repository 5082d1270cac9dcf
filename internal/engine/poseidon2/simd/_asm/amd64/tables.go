package main

import (
	"math/bits"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"

	"github.com/quantus-network/quantus-miner/internal/poseidon2"
)

// tables are the rule's constants as kernels take them.
//
// Round constants cost nothing: what a round adds to its elements is linear up to
// the S-boxes of the round before, so it is added there, where the sum of a product
// has to start with something. For that it is taken back through the external layer.
type tables struct {
	// external[r] is added to the S-boxes' results in external round r of the 16 that
	// two permutations have.
	external [16][poseidon2.Width]uint64
	// internal[r] is added to element 0 after internal round r: the constant of the
	// next round, at last of the first terminal one.
	internal [poseidon2.InternalRounds]uint64
	// last is added to all elements after the last internal round, but for element 0.
	last [poseidon2.Width]uint64
	// diagonal is what the internal rounds multiply by.
	diagonal [poseidon2.Width]uint64
}

func newTables() (t tables) {
	rule := poseidon2.NewConstants()
	for permutation := range 2 {
		rounds := t.external[8*permutation:]
		for r := range 3 {
			rounds[r] = unmixed(rule.Initial[r+1])
			rounds[4+r] = unmixed(rule.Terminal[r+1])
		}
		rounds[3] = unmixed([poseidon2.Width]uint64{rule.Internal[0]})
	}
	// Between the permutations the fourth block is absorbed, 1 and 1. Then comes the
	// layer that the second begins with.
	between := unmixed(rule.Initial[0])
	between[0], between[1] = add(between[0], 1), add(between[1], 1)
	t.external[7] = unmixed(between)

	copy(t.internal[:], rule.Internal[1:])
	t.internal[poseidon2.InternalRounds-1] = rule.Terminal[0][0]
	t.last = rule.Terminal[0]
	t.diagonal = rule.Diagonal
	return t
}

func add(a, b uint64) uint64 {
	low, carry := bits.Add64(a, b, 0)
	return bits.Rem64(carry, low, poseidon2.P)
}

func multiply(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return bits.Rem64(high, low, poseidon2.P)
}

// inverse returns 1/a.
func inverse(a uint64) uint64 {
	x := uint64(1)
	for e := uint64(poseidon2.P - 2); e > 0; e >>= 1 {
		if e&1 == 1 {
			x = multiply(x, a)
		}
		a = multiply(a, a)
	}
	return x
}

// mixed is the external layer.
func mixed(x [poseidon2.Width]uint64) (y [poseidon2.Width]uint64) {
	return circulants([4]uint64{2, 3, 1, 1}, x, 1)
}

// unmixed is the inverse of the external layer.
func unmixed(x [poseidon2.Width]uint64) [poseidon2.Width]uint64 {
	// The inverse of the circulant 2, 3, 1, 1, times 35. If S adds up groups, 1+S has
	// the inverse 1−S/4, as S² = 3S.
	inverse35, p := inverse(35), uint64(poseidon2.P)
	m := [4]uint64{p - 4, 3, p - 11, 17}
	for i := range m {
		m[i] = multiply(m[i], inverse35)
	}
	return circulants(m, x, p-inverse(4))
}

// circulants multiplies groups of four by a circulant matrix, and adds to each the
// sum of all, times weight.
func circulants(m [4]uint64, x [poseidon2.Width]uint64, weight uint64) (y [poseidon2.Width]uint64) {
	var sum [4]uint64
	for i := range y {
		for j := range 4 {
			y[i] = add(y[i], multiply(m[(j+4-i%4)%4], x[i-i%4+j]))
		}
		sum[i%4] = add(sum[i%4], y[i])
	}
	for i := range y {
		y[i] = add(y[i], multiply(weight, sum[i%4]))
	}
	return y
}

// global begins a table of words.
func global(c *build.Context, name string) func(words ...uint64) operand.Mem {
	m := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	return func(words ...uint64) operand.Mem {
		for _, word := range words {
			c.AppendDatum(operand.U64(word))
		}
		return m
	}
}
