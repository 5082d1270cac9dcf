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
	// external, and the layer.
	externalRound()
	// between is the layer that the second permutation begins with.
	between()
	// internalFirst, 21 times internalRound and internalLast are the rounds inside, the
	// latter two with constants at the register internal.
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
func walk(c *build.Context, name, what string, k parts, s *scalars, r rounds) {
	steps, left := kernel.Begin(c, name, what)
	do := kernel.Do(c)
	vectors := func(generate func()) *kernel.Stream { generate(); return k.take() }

	vectors(k.constants).Emit(c)
	s.constants().Emit(c)
	c.Label("step")
	kernel.Interleave(vectors(k.absorb), s.all((*scalars).absorb)).Emit(c)
	do(x86.LEAQ(r.externals, external))
	do(x86.MOVQ(operand.U32(0), round()))

	c.Label("external")
	kernel.Interleave(vectors(k.externalRound), s.all((*scalars).externalRound)).Emit(c)
	do(x86.ADDQ(operand.U32(r.externalStride), external))
	do(x86.INCQ(round()))
	do(x86.MOVL(round(), scratch.As32()))
	do(x86.TESTL(operand.U32(poseidon2.ExternalRounds-1), scratch.As32()))
	do(x86.JNE(operand.LabelRef("external")))
	do(x86.TESTL(operand.U32(poseidon2.ExternalRounds), scratch.As32()))
	do(x86.JNE(operand.LabelRef("inside")))
	do(x86.CMPL(scratch.As32(), operand.U8(4*poseidon2.ExternalRounds)))
	do(x86.JEQ(operand.LabelRef("end")))
	kernel.Interleave(vectors(k.between), s.all((*scalars).between)).Emit(c)
	do(x86.JMP(operand.LabelRef("external")))

	c.Label("inside")
	do(x86.LEAQ(r.internals, internal))
	do(x86.MOVQ(operand.U32(poseidon2.InternalRounds-1), inner()))
	kernel.Interleave(vectors(k.internalFirst), s.all((*scalars).internalRound)).Emit(c)
	c.Label("internal")
	do(x86.ADDQ(operand.U8(r.internalStride), internal))
	kernel.Interleave(vectors(k.internalRound), s.all((*scalars).internalRound)).Emit(c)
	do(x86.DECQ(inner()))
	do(x86.JNE(operand.LabelRef("internal")))
	kernel.Interleave(vectors(k.internalLast), s.all((*scalars).internalEnd)).Emit(c)
	do(x86.JMP(operand.LabelRef("external")))

	c.Label("end")
	vectors(k.end).Emit(c)
	s.all((*scalars).end).Emit(c)
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
