package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/poseidon2"
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
	take() *stream
}

// walk generates a kernel, which takes steps until they are over or a nonce survives.
// A step, that is a nonce on each lane, is two permutations, by the same code.
func walk(c *build.Context, name, doc string, k parts, s *scalars, r rounds) {
	c.Function(name)
	c.Doc(name + doc)
	c.Pragma("noescape")
	c.Signature(walkSignature())
	c.Load(c.Param("b"), block)
	steps := operand.NewParamAddr("steps", 8)
	left := operand.NewParamAddr("left", 16)
	do := func(i *instruction, err error) { c.Instruction(must(i, err)) }
	vectors := func(generate func()) *stream { generate(); return k.take() }

	vectors(k.constants).emit(c)
	s.constants().emit(c)
	c.Label("step")
	weave(vectors(k.absorb), s.all((*scalars).absorb)).emit(c)
	do(x86.LEAQ(r.externals, external))
	do(x86.MOVQ(operand.U32(0), round()))

	c.Label("external")
	weave(vectors(k.externalRound), s.all((*scalars).externalRound)).emit(c)
	do(x86.ADDQ(operand.U32(r.externalStride), external))
	do(x86.INCQ(round()))
	do(x86.MOVL(round(), scratch.As32()))
	do(x86.TESTL(operand.U32(poseidon2.ExternalRounds-1), scratch.As32()))
	do(x86.JNE(operand.LabelRef("external")))
	do(x86.TESTL(operand.U32(poseidon2.ExternalRounds), scratch.As32()))
	do(x86.JNE(operand.LabelRef("inside")))
	do(x86.CMPL(scratch.As32(), operand.U8(4*poseidon2.ExternalRounds)))
	do(x86.JEQ(operand.LabelRef("end")))
	weave(vectors(k.between), s.all((*scalars).between)).emit(c)
	do(x86.JMP(operand.LabelRef("external")))

	c.Label("inside")
	do(x86.LEAQ(r.internals, internal))
	do(x86.MOVQ(operand.U32(poseidon2.InternalRounds-1), inner()))
	weave(vectors(k.internalFirst), s.all((*scalars).internalRound)).emit(c)
	c.Label("internal")
	do(x86.ADDQ(operand.U8(r.internalStride), internal))
	weave(vectors(k.internalRound), s.all((*scalars).internalRound)).emit(c)
	do(x86.DECQ(inner()))
	do(x86.JNE(operand.LabelRef("internal")))
	weave(vectors(k.internalLast), s.all((*scalars).internalEnd)).emit(c)
	do(x86.JMP(operand.LabelRef("external")))

	c.Label("end")
	vectors(k.end).emit(c)
	s.all((*scalars).end).emit(c)
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
