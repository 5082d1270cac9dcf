package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The general registers. BP stays as it is, so that stacks can be walked.
var (
	block    = reg.RDI // *block, see below
	external = reg.RSI // the constants of the external round
	internal = reg.RBX // those of the internal round
	round    = reg.RCX // external rounds that are done
	scratch  = reg.RAX
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

// firsts is the vector of the hashes' top 64 bits.
func firsts() operand.Mem { return word(224) }

func target() operand.Mem    { return word(232) }
func lanes() operand.Mem     { return word(233) }
func survivors() operand.Mem { return word(234) }
