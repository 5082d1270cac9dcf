package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
)

// The general registers, for all kernels, besides that of the block. BP stays as it is,
// so that stacks can be walked.
var (
	lane    = reg.RSI // 8 times the number of the lane that is multiplied
	rc      = reg.RBX // the next round constant
	factor  = reg.RDX // MULX multiplies by it
	high    = reg.RAX
	low     = reg.RCX
	residue = [8]reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.R14, reg.R15}
)

// What follows is where things are in the Go type block that a kernel works on.
// TestLayout compares the two. A vector of it has an element for each of the
// eight lanes; kernels with fewer lanes leave the rest alone.

// ofLane is the current lane's element of a vector.
func ofLane(vector operand.Mem) operand.Mem {
	vector.Index, vector.Scale = lane, 1
	return vector
}

// y is word i, from the least significant, of the current lane's residue.
func y(i int) operand.Mem {
	m := kernel.Word(i)
	m.Index, m.Scale = lane, 8 // a residue has 8 words
	return m
}

// message is the vector of the messages' Keccak lanes i.
func message(i int) operand.Mem { return kernel.Word(64 + 8*i) }

// fractions is the vector of the fractions of the quotients.
func fractions() operand.Mem { return kernel.Word(128) }

func mu(i int) operand.Mem       { return kernel.Word(136 + i) }
func m(i int) operand.Mem        { return kernel.Word(141 + i) }
func negN(i int) operand.Mem     { return kernel.Word(145 + i) }
func shiftLeft() operand.Mem     { return kernel.Word(153) }
func shiftRight() operand.Mem    { return kernel.Word(154) }
func limit() operand.Mem         { return kernel.Word(155) }
func target() operand.Mem        { return kernel.Word(156) }
func mask() operand.Mem          { return kernel.Word(157) }
func survivors() operand.Mem     { return kernel.Word(158) }
func flagged() operand.Mem       { return kernel.Word(159) }
func quotient(i int) operand.Mem { return kernel.Word(160 + i) }

// state is a slot for four states' lanes, for kernels that keep the state in
// memory.
func state(slot int) operand.Mem { return kernel.Word(164 + 4 + 4*slot) }
