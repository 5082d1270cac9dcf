package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/simd/_asm/keccak"
)

// The kernel for AVX-512 holds the states of eight lanes in registers, 32 in all
// and no spill: lane by lane in stateZ, θ's parities C and then its effects D in
// parityZ, and two for the moment.
//
// Xors of three and all of χ are VPTERNLOG, rotations VPROLQ: a round is 35
// VPTERNLOG, 29 VPROLQ, 31 VPXORQ and 26 moves, which the CPU's renaming takes away.
// A row of the new state at a time is prepared in place (θ's effect, ρ) and mixed (χ),
// so that rotations, which only some ports can do, and VPTERNLOG alternate.
//
// A step, that is a nonce on each lane, is 24 rounds in eight groups of three, each
// with the multiplication of one lane woven in: it uses ports that the vectors
// leave idle. The first and the last group have code of their own, as round 0 begins
// with 16 lanes that are 0 and round 23 needs to leave lane 0 alone; the other six
// are a loop. All is 10 KB of code, a third of a usual instruction cache.
var (
	stateZ = [25]reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12,
		reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24,
	}
	parityZ = [5]reg.VecPhysical{reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29}
	tempZ   = [2]reg.VecPhysical{reg.Z30, reg.Z31}
)

// effectZ is where θ leaves its effect on column x.
func effectZ(x int) reg.VecPhysical { return parityZ[(x+1)%5] }

// thetaZ turns the parities into the effects D[x] = C[x−1] xor (C[x+1] <<< 1).
// Each takes the register of the parity that is rotated for it.
func thetaZ(s *stream) {
	c, t := parityZ, tempZ[0]
	effect := func(rotated, to, other reg.VecPhysical) {
		s.add(x86.VPROLQ(operand.U8(1), rotated, to))
		s.add(x86.VPXORQ(other, to, to))
	}
	effect(c[1], t, c[4])
	effect(c[4], c[4], c[2])
	effect(c[2], c[2], c[0])
	effect(c[0], c[0], c[3])
	effect(c[3], c[3], c[1])
	s.add(x86.VMOVDQA64(t, c[1]))
}

// gatherZ prepares the lanes that row y of the new state is made of, in place,
// and returns their registers. Lanes that zero says are 0 need not be set.
func gatherZ(s *stream, at placement, y, width int, zero func(lane int) bool) (b [5]reg.VecPhysical) {
	for x := range width {
		source := keccak.Source(x, y)
		b[x] = stateZ[at[source]]
		from := b[x]
		if zero(source) {
			from = effectZ(source % 5)
		} else {
			s.add(x86.VPXORQ(effectZ(source%5), b[x], b[x]))
		}
		if by := rotations[source]; by != 0 {
			s.add(x86.VPROLQ(operand.U8(by), from, b[x]))
		}
	}
	return b
}

// lookup is the table that VPTERNLOG takes for p xor (not q and r), where role
// says what its operands are: the destination first, which is bit 2 of the index.
func lookup(role string) operand.U8 {
	var table operand.U8
	for i := range 8 {
		value := map[byte]int{}
		for k := range 3 {
			value[role[k]] = i >> (2 - k) & 1
		}
		table |= operand.U8((value['p'] ^ (1^value['q'])&value['r']) << i)
	}
	return table
}

// chiZ is χ on a row whose prepared lanes are in b. Lane x of the new row comes
// to lie where the lane 3x+y was: placement.next(3, 1), which returns to the start
// after three rounds. It takes five VPTERNLOG and four moves, which the CPU's
// renaming does; no sequence with the two registers takes fewer.
func chiZ(s *stream, b [5]reg.VecPhysical, y int) {
	// For rows other than 0 it is the same, with the row turned by 2y.
	var r [5]reg.VecPhysical
	for i := range r {
		r[i] = b[(i+2*y)%5]
	}
	ternary := func(role string, dst, second, third reg.VecPhysical) {
		s.add(x86.VPTERNLOGQ(lookup(role), third, second, dst))
	}
	t := tempZ
	s.add(x86.VMOVDQA64(r[0], t[0]))
	ternary("qrp", t[0], r[1], r[4]) // 4: r4 xor (not r0 and r1)
	s.add(x86.VMOVDQA64(r[1], t[1]))
	s.add(x86.VMOVDQA64(r[2], r[1]))
	ternary("pqr", r[1], r[3], r[4]) // 2: r2 xor (not r3 and r4)
	ternary("qrp", r[4], r[0], r[3]) // 3: r3 xor (not r4 and r0)
	ternary("rqp", r[3], r[2], t[1]) // 1: r1 xor (not r2 and r3)
	ternary("pqr", r[0], t[1], r[2]) // 0: r0 xor (not r1 and r2)
	s.add(x86.VMOVDQA64(t[0], r[2]))
}

// roundZ is a round up to the parities of its new state. It takes the effects,
// and the lanes at at.
func roundZ(s *stream, at placement, rcAt int, zero func(lane int) bool) placement {
	to := at.next(3, 1)
	for y := range 5 {
		b := gatherZ(s, at, y, 5, zero)
		if y == 4 {
			// The effects are done with, and the parities of the other rows fill the
			// time until this one is.
			for x := range 5 {
				s.add(x86.VMOVDQA64(stateZ[to[x]], parityZ[x]))
				s.add(x86.VPTERNLOGQ(operand.U8(0x96), stateZ[to[x+10]], stateZ[to[x+5]], parityZ[x]))
			}
		}
		chiZ(s, b, y)
		if y == 0 {
			lane0 := stateZ[to[0]]
			s.add(x86.VPXORQ_BCST(operand.Mem{Base: rc, Disp: 8 * rcAt}, lane0, lane0))
		}
	}
	for x := range 5 {
		s.add(x86.VPTERNLOGQ(operand.U8(0x96), stateZ[to[x+20]], stateZ[to[x+15]], parityZ[x]))
	}
	return to
}

// nowhere is no lane that is 0.
func nowhere(int) bool { return false }

// walkAVX512 generates the kernel. It returns within steps · 0.4 µs.
func walkAVX512(c *build.Context, omit omission) {
	pad := global(c, "avx512Padding")
	c.AppendDatum(operand.U64(keccak.Padding))

	c.Function("walkAVX512")
	c.Doc("walkAVX512 is the kernel with eight lanes for AVX-512.")
	c.Pragma("noescape")
	c.Signature(walkSignature())
	c.Load(c.Param("b"), block)
	steps := operand.NewParamAddr("steps", 8)
	left := operand.NewParamAddr("left", 16)

	// group ends a group: three rounds and the multiplication of a lane.
	group := func(rounds *stream) {
		omit.step(rounds).emit(c)
		c.Instruction(must(x86.ADDQ(operand.U8(24), rc)))
		c.Instruction(must(x86.ADDQ(operand.U8(8), lane)))
	}

	c.Label("step")
	c.Instruction(must(x86.LEAQ(roundConstants, rc)))
	c.Instruction(must(x86.XORL(lane.As32(), lane.As32())))
	// The messages are loaded before anything is woven in that stores the next ones.
	load := &stream{}
	for i := range 8 {
		load.add(x86.VMOVDQU64(message(i), stateZ[i]))
	}
	load.add(x86.VPBROADCASTQ(pad, stateZ[8]))
	load.emit(c)

	at := straight()
	s := &stream{}
	for x := range 4 {
		s.add(x86.VPXORQ(stateZ[x], stateZ[x+5], parityZ[x]))
	}
	s.add(x86.VMOVDQA64(stateZ[4], parityZ[4]))
	for i := range 3 {
		thetaZ(s)
		zero := nowhere
		if i == 0 {
			zero = func(lane int) bool { return lane > keccak.MessageLanes }
		}
		at = roundZ(s, at, i, zero)
	}
	if at != straight() {
		panic("the loop does not close")
	}
	group(s)

	c.Label("lane")
	s = &stream{}
	for i := range 3 {
		thetaZ(s)
		at = roundZ(s, at, i, nowhere)
	}
	group(s)
	c.Instruction(must(x86.CMPQ(lane, operand.U8(8*7))))
	c.Instruction(must(x86.JNE(operand.LabelRef("lane"))))

	s = &stream{}
	for i := range 2 {
		thetaZ(s)
		at = roundZ(s, at, i, nowhere)
	}
	// The last multiplication ends before the last round does, so that its stores
	// are through to the cache when the next step loads the messages: a load cannot
	// be served from several stores that are still on their way.
	omit.step(s).emit(c)
	s = &stream{}
	thetaZ(s)
	b := gatherZ(s, at, 0, 3, nowhere)
	out := b[0]
	s.add(x86.VPTERNLOGQ(lookup("pqr"), b[2], b[1], out))
	s.emit(c)

	// Who survives, and who is flagged? Either is rare, or it is the last step.
	c.Instruction(must(x86.VPXORQ_BCST(target(), out, out)))
	c.Instruction(must(x86.VPTESTNMQ_BCST(mask(), out, reg.K1)))
	c.Instruction(must(x86.VMOVDQU64(fractions(), tempZ[0])))
	c.Instruction(must(x86.VPCMPUQ_BCST(operand.U8(5), limit(), tempZ[0], reg.K2))) // ≥
	c.Instruction(must(x86.DECQ(steps)))
	c.Instruction(must(x86.JEQ(operand.LabelRef("done"))))
	c.Instruction(must(x86.KORTESTB(reg.K1, reg.K2)))
	c.Instruction(must(x86.JEQ(operand.LabelRef("step"))))
	c.Label("done")
	c.Instruction(must(x86.KMOVB(reg.K1, high.As32())))
	c.Instruction(must(x86.KMOVB(reg.K2, low.As32())))
	c.Instruction(must(x86.MOVQ(high, survivors())))
	c.Instruction(must(x86.MOVQ(low, flagged())))
	c.Instruction(must(x86.MOVQ(steps, high)))
	c.Instruction(must(x86.MOVQ(high, left)))
	c.Instruction(must(x86.VZEROUPPER()))
	c.Instruction(must(x86.RET()))
}
