package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The general registers that keep their meaning. MULX takes DX for a factor. BP stays
// as it is, so that stacks can be walked.
var (
	block    = reg.RDI // *block, see below
	external = reg.RSI // the constants of the external round
	internal = reg.RBX // those of the internal round
	scratch  = reg.RAX // from a step's end on
)

// What follows is where things are in the Go type block that a kernel works on.
// TestLayout compares the two. A vector of it has a word for each of eight lanes;
// kernels with fewer lanes leave the rest alone.

// word is a word of the block.
func word(i int) operand.Mem { return operand.Mem{Base: block, Disp: 8 * i} }

// limb is the vector of the states' elements i, of which it is one of two parts.
func limb(i, j int) operand.Mem { return word(8 * (2*i + j)) }

// base is what a state begins with, but for what depends on the lane: a part of
// its element i.
func base(i, j int) operand.Mem { return word(192 + 2*i + j) }

// counters is the vector of the nonces' low 32 bits.
func counters() operand.Mem { return word(216) }

// firsts is the vector of the hashes' top 64 bits, firstOf that of any lane.
func firsts() operand.Mem          { return firstOf(0) }
func firstOf(lane int) operand.Mem { return word(224 + lane) }

func target() operand.Mem    { return word(234) }
func lanes() operand.Mem     { return word(235) }
func survivors() operand.Mem { return word(236) }

// round counts external rounds, inner the internal ones that are left.
func round() operand.Mem { return word(237) }
func inner() operand.Mem { return word(238) }

// form is what states of scalar lanes begin with: an element in Montgomery form.
func form(i int) operand.Mem { return word(239 + i) }

// scalar is an element of a scalar lane's state.
func scalar(lane, i int) operand.Mem { return word(251 + width*lane + i) }

// sums and pair are for sums of two words that there are no registers for.
func sums(i int) operand.Mem { return word(275 + i) }
func pair(i int) operand.Mem { return word(283 + i) }
