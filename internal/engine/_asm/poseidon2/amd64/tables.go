package main

import (
	"math/bits"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// tables are the rule's constants as kernels take them.
//
// Round constants cost nothing: what a round adds to its elements is linear up to
// the S-boxes of the round before, so it is added there, where the sum of a product
// has to start with something. For that it is taken back through the external layer.
type tables struct {
	// after[r] is added after external round r of the 16 that two permutations have: the
	// next round's constants or, between the permutations, the fourth block.
	after [16][poseidon2.Width]uint64
	// second is added after the layer that the second permutation begins with.
	second [poseidon2.Width]uint64
	// external[r] is the same as after[r], and second, added to the S-boxes' results.
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
		rounds := t.after[8*permutation:]
		for r := range 3 {
			rounds[r] = rule.Initial[r+1]
			rounds[4+r] = rule.Terminal[r+1]
		}
		rounds[3][0] = rule.Internal[0]
	}
	t.after[7][0], t.after[7][1] = 1, 1
	t.second = rule.Initial[0]
	for r, x := range t.after {
		if r == 7 {
			for i, constant := range unmixed(t.second) {
				x[i] = add(x[i], constant)
			}
		}
		t.external[r] = unmixed(x)
	}

	copy(t.internal[:], rule.Internal[1:])
	t.internal[poseidon2.InternalRounds-1] = rule.Terminal[0][0]
	t.last = rule.Terminal[0]
	t.diagonal = rule.Diagonal
	return t
}

// rows writes the tables of round constants: a row for each round, of what the scalar
// lanes add (a word for each element, in Montgomery form) and then the vectors (two).
func (t *tables) rows(c *build.Context, name string, outside, inside func(constant uint64) [2]uint64) (r rounds) {
	table := global(c, name+"External")
	for round, constants := range t.external {
		row := montgomery(t.after[round][:]...)
		for _, constant := range constants {
			words := outside(constant)
			row = append(row, words[:]...)
		}
		r.externals, r.externalStride = table(row...), 8*len(row)
	}
	table = global(c, name+"Internal")
	for _, constant := range t.internal {
		words := inside(constant)
		row := append(montgomery(constant), words[:]...)
		r.internals, r.internalStride = table(row...), 8*len(row)
	}
	return r
}

// rounds are the tables of round constants, and the lengths in bytes of their rows.
type rounds struct {
	externals, internals           operand.Mem
	externalStride, internalStride int
}

// externalNumber is where a row has what vectors add to element i, of two words.
func externalNumber(i int) operand.Mem {
	return operand.Mem{Base: external, Disp: 8*width + 16*i}
}

// internalNumber is where a row has what vectors add to element 0.
func internalNumber() operand.Mem { return operand.Mem{Base: internal, Disp: 8} }

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
	m := kernel.Global(c, name)
	return func(words ...uint64) operand.Mem {
		for _, word := range words {
			c.AppendDatum(operand.U64(word))
		}
		return m
	}
}
