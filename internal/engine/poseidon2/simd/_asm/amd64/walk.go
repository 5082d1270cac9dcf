package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/poseidon2"
)

// parts are what a kernel is made of.
type parts interface {
	// constants loads what stays in registers.
	constants()
	// absorb begins the states of the lanes' next nonces.
	absorb()
	// externalRound is a round on either side: S-boxes, with constants at the register
	// external, and the layer.
	externalRound()
	// between is the layer that the second permutation begins with.
	between()
	// internalRounds are the rounds inside, with constants at the register internal.
	internalRounds()
	// end has firsts, the survivors as bits in the register scratch, and the next
	// counters.
	end()
	// flush writes the instructions of the parts so far.
	flush()
}

// walk generates a kernel, which takes steps until they are over or a nonce survives.
// A step, that is a nonce on each lane, is two permutations, by the same code.
func walk(c *build.Context, name, doc string, k parts, externals, internals operand.Mem) {
	c.Function(name)
	c.Doc(name + doc)
	c.Pragma("noescape")
	c.Signature(walkSignature())
	c.Load(c.Param("b"), block)
	steps := operand.NewParamAddr("steps", 8)
	left := operand.NewParamAddr("left", 16)
	do := func(i *instruction, err error) { c.Instruction(must(i, err)) }
	part := func(generate func()) {
		generate()
		k.flush()
	}

	part(k.constants)
	c.Label("step")
	part(k.absorb)
	do(x86.LEAQ(externals, external))
	do(x86.XORL(round.As32(), round.As32()))

	c.Label("external")
	part(k.externalRound)
	do(x86.ADDQ(operand.U32(16*width), external))
	do(x86.INCL(round.As32()))
	do(x86.TESTL(operand.U32(poseidon2.ExternalRounds-1), round.As32()))
	do(x86.JNE(operand.LabelRef("external")))
	do(x86.TESTL(operand.U32(poseidon2.ExternalRounds), round.As32()))
	do(x86.JNE(operand.LabelRef("inside")))
	do(x86.CMPL(round.As32(), operand.U8(4*poseidon2.ExternalRounds)))
	do(x86.JEQ(operand.LabelRef("end")))
	part(k.between)
	do(x86.JMP(operand.LabelRef("external")))

	c.Label("inside")
	do(x86.LEAQ(internals, internal))
	part(k.internalRounds)
	do(x86.JMP(operand.LabelRef("external")))

	c.Label("end")
	part(k.end)
	do(x86.DECQ(steps))
	do(x86.JEQ(operand.LabelRef("done")))
	do(x86.TESTL(scratch.As32(), scratch.As32()))
	do(x86.JEQ(operand.LabelRef("step")))
	c.Label("done")
	do(x86.MOVQ(scratch, survivors()))
	do(x86.MOVQ(steps, scratch))
	do(x86.MOVQ(scratch, left))
	do(x86.VZEROUPPER())
	do(x86.RET())
}

// plusBytes is a place in memory so many bytes further.
func plusBytes(m operand.Mem, bytes int) operand.Mem {
	m.Disp += bytes
	return m
}
