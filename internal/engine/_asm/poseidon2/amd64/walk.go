package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// parts are what the vectors of a kernel do, for all its lanes but the scalar ones.
type parts interface {
	// constants loads what stays in registers.
	constants()
	// absorb begins the states of the lanes' next nonces.
	absorb()
	// externalRound is a round on either side: S-boxes, with constants at the register
	// row, and the layer.
	externalRound()
	// between is the layer that the second permutation begins with.
	between()
	// internalFirst, 21 times internalRound and internalLast are the rounds inside, with
	// constants at the register row.
	internalFirst()
	internalRound()
	internalLast()
	// end has firsts, the survivors as bits in the register scratch, and the next
	// counters.
	end()
	// take returns the instructions of the parts so far.
	take() *kernel.Stream
}

// walk generates a kernel, which takes steps until they are over or a nonce survives.
// A step, that is a nonce on each lane, is two permutations, by the same code.
//
// There are two blocks of lanes, each with a state of its own, which take the parts in
// turn. They do not wait for each other, so the CPU finds something to do in the one while
// a part of the other ends with few instructions at a time: in internal rounds all waits for
// the sum of all. Block is the register of the first block or of the second.
func walk(c *build.Context, name, what string, k parts, s *scalars, r rounds) {
	steps, left := kernel.Begin(c, name, what)
	do := kernel.Do(c)
	vectors := func(generate func()) *kernel.Stream { generate(); return k.take() }

	// both is a part, for one block after the other.
	both := func(label string, generate func(), more func(s *scalars, lane int)) {
		c.Label(label)
		kernel.Interleave(vectors(generate), s.all(more)).Emit(c)
		do(x86.ADDQ(other(), kernel.Block))
		do(x86.CMPQ(other(), operand.U8(0)))
		do(x86.JLT(operand.LabelRef(label)))
	}

	vectors(k.constants).Emit(c)
	s.constants().Emit(c)
	both("step", k.absorb, (*scalars).absorb)
	do(x86.LEAQ(r.externals, row))
	do(x86.MOVQ(operand.U32(0), round()))

	both("external", k.externalRound, (*scalars).externalRound)
	do(x86.ADDQ(operand.U32(r.externalStride), row))
	do(x86.INCQ(round()))
	do(x86.MOVL(round(), scratch.As32()))
	do(x86.TESTL(operand.U32(poseidon2.ExternalRounds-1), scratch.As32()))
	do(x86.JNE(operand.LabelRef("external")))
	do(x86.TESTL(operand.U32(poseidon2.ExternalRounds), scratch.As32()))
	do(x86.JNE(operand.LabelRef("inside")))
	do(x86.CMPL(scratch.As32(), operand.U8(4*poseidon2.ExternalRounds)))
	do(x86.JEQ(operand.LabelRef("end")))
	both("between", k.between, (*scalars).between)
	do(x86.JMP(operand.LabelRef("external")))

	c.Label("inside")
	do(x86.MOVQ(row, next()))
	do(x86.LEAQ(r.internals, row))
	do(x86.MOVQ(operand.U32(poseidon2.InternalRounds-1), inner()))
	both("first", k.internalFirst, (*scalars).internalFirst)
	c.Label("next")
	do(x86.ADDQ(operand.U8(r.internalStride), row))
	both("internal", k.internalRound, (*scalars).internalRound)
	do(x86.DECQ(inner()))
	do(x86.JNE(operand.LabelRef("next")))
	both("last", k.internalLast, (*scalars).internalLast)
	do(x86.MOVQ(next(), row))
	do(x86.JMP(operand.LabelRef("external")))

	c.Label("end")
	vectors(k.end).Emit(c)
	s.all((*scalars).end).Emit(c)
	do(x86.MOVQ(scratch, survivors()))
	do(x86.ADDQ(other(), kernel.Block))
	do(x86.CMPQ(other(), operand.U8(0)))
	do(x86.JLT(operand.LabelRef("end")))
	do(x86.DECQ(steps))
	do(x86.JEQ(operand.LabelRef("done")))
	do(x86.ORQ(survivors(), scratch)) // of the second block, and the first
	do(x86.JEQ(operand.LabelRef("step")))
	c.Label("done")
	do(x86.MOVQ(steps, scratch))
	do(x86.MOVQ(scratch, left))
	do(x86.VZEROUPPER())
	do(x86.RET())
}
