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
// has to start with something. See [poseidon2.Folded].
type tables struct {
	// after[r] is added after external round r of the 16 that two permutations have: the
	// next round's constants or, between the permutations, the fourth block.
	after [16][poseidon2.Width]uint64
	// second is added after the layer that the second permutation begins with.
	second [poseidon2.Width]uint64
	// external[r] is the same as after[r], and second, added to the S-boxes' results.
	external [16][poseidon2.Width]uint64
	// internal[r] is added to the result of internal round r's S-box.
	internal [poseidon2.InternalRounds]uint64
	// diagonal is what the internal rounds multiply by.
	diagonal [poseidon2.Width]uint64
}

func newTables() (t tables) {
	rule, folded := poseidon2.NewConstants(), poseidon2.NewFolded()
	t.second, t.internal, t.diagonal = rule.Initial[0], folded.Internal, rule.Diagonal
	for r := range t.external {
		t.external[r] = folded.External[r%len(folded.External)]
		t.after[r] = poseidon2.Mix(t.external[r])
	}
	const between = len(t.external)/2 - 1
	t.after[between][0], t.after[between][1] = 1, 1
	block := t.after[between]
	for i, constant := range poseidon2.Unmix(t.second) {
		block[i] = add(block[i], constant)
	}
	t.external[between] = poseidon2.Unmix(block)
	return t
}

// rows writes the tables of round constants: a row for each round, of what the scalar
// lanes add (a word for each element, in Montgomery form) and then the vectors (as many
// words for each as external and internal return).
func (t *tables) rows(c *build.Context, name string, outside, inside func(constant uint64) []uint64) (r rounds) {
	table := global(c, name+"External")
	for round, constants := range t.external {
		row := montgomery(t.after[round][:]...)
		for _, constant := range constants {
			row = append(row, outside(constant)...)
		}
		r.externals, r.externalStride = table(row...), 8*len(row)
	}
	table = global(c, name+"Internal")
	for _, constant := range t.internal {
		row := append(montgomery(montgomery(constant)...), inside(constant)...) // as products are
		r.internals, r.internalStride = table(row...), 8*len(row)
	}
	return r
}

// rounds are the tables of round constants, and the lengths in bytes of their rows.
type rounds struct {
	externals, internals           operand.Mem
	externalStride, internalStride int
}

// externalNumber is where a row has what vectors add to element i, of so many words.
func externalNumber(i, words int) operand.Mem {
	return operand.Mem{Base: row, Disp: 8 * (width + words*i)}
}

// internalNumber is where a row has what vectors add to the S-box.
func internalNumber() operand.Mem { return operand.Mem{Base: row, Disp: 8} }

func add(a, b uint64) uint64 {
	low, carry := bits.Add64(a, b, 0)
	return bits.Rem64(carry, low, poseidon2.P)
}

func multiply(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return bits.Rem64(high, low, poseidon2.P)
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
