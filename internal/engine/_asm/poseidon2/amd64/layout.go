package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
)

// The general registers that keep their meaning, besides that of the block. MULX takes
// DX for a factor. BP stays as it is, so that stacks can be walked.
var (
	row       = reg.RSI // the constants of the round
	multiples = reg.RBX // a table of scalar lanes, see folded
	scratch   = reg.RAX // between the parts of a step
)

// What follows is where things are in the Go type block that a kernel works on.
// TestLayout compares the two. A vector of it has a word for each of eight lanes;
// kernels with fewer lanes leave the rest alone.

// limb is the vector of the states' elements i, of which it is one of two parts.
func limb(i, j int) operand.Mem { return kernel.Word(8 * (2*i + j)) }

// base is what a state begins with, but for what depends on the lane: a part of
// its element i.
func base(i, j int) operand.Mem { return kernel.Word(192 + 2*i + j) }

// counters is the vector of the nonces' low 32 bits.
func counters() operand.Mem { return kernel.Word(216) }

// firsts is the vector of the hashes' top 64 bits, firstOf that of any lane.
func firsts() operand.Mem          { return firstOf(0) }
func firstOf(lane int) operand.Mem { return kernel.Word(224 + lane) }

func target() operand.Mem    { return kernel.Word(234) }
func lanes() operand.Mem     { return kernel.Word(235) }
func survivors() operand.Mem { return kernel.Word(236) }

// round counts external rounds, inner the internal ones that are left.
func round() operand.Mem { return kernel.Word(237) }
func inner() operand.Mem { return kernel.Word(238) }

// form is what states of scalar lanes begin with: an element in Montgomery form.
func form(i int) operand.Mem { return kernel.Word(239 + i) }

// scalar is an element of a scalar lane's state.
func scalar(lane, i int) operand.Mem { return kernel.Word(251 + width*lane + i) }

// sums and pair are for sums of two words that there are no registers for.
func sums(i int) operand.Mem { return kernel.Word(275 + i) }
func pair(i int) operand.Mem { return kernel.Word(283 + i) }

// other is the distance in bytes to the other block, which is negative in the second one.
func other() operand.Mem { return kernel.Word(287) }

// total is a part of the sum of all elements, a vector.
func total(j int) operand.Mem { return kernel.Word(288 + 8*j) }

// next is where the constants of the next external round are.
func next() operand.Mem { return kernel.Word(308) }

// scalarTotal is a part of the sum of all elements of a scalar lane, in two words.
func scalarTotal(lane, j int) operand.Mem { return kernel.Word(304 + 2*lane + j) }
