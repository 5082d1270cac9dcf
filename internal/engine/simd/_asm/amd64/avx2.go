package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/simd/_asm/keccak"
)

// The kernel for AVX2 has 16 registers, too few for a state. So the states of four
// lanes are in memory, in place: a row of the new state at a time is gathered from
// the old (θ's effect, ρ, π), mixed (χ), stored where the five lanes came from, and
// added to the parities of the next round. No value is spilled: a row, the effects
// D of this round and the parities C of the next are 15 registers, and one is for the
// moment.
//
// AVX2 has no rotation: it is two shifts and an or, or a shuffle if it is by whole
// bytes. A round is about 190 vector instructions, 25 loads within them and 25
// stores.
//
// A step, that is a nonce on each lane, is round 0, which begins with 16 lanes that
// are 0; a loop of four times five rounds, with the multiplication of one lane woven
// in; rounds 21 and 22; and what round 23 needs to leave lane 0 alone. All is 11 KB of
// code. Unrolled further it would not fit the caches of decoded instructions.
var (
	rowY    = [5]reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4}
	tempY   = reg.Y5
	effectY = [5]reg.VecPhysical{reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10}
	parityY = [5]reg.VecPhysical{reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
)

// avx2 is what the parts of the kernel share: the tables for VPSHUFB.
type avx2 struct {
	swap8, swap56 operand.Mem
}

// theta makes the effects D[x] = C[x−1] xor (C[x+1] <<< 1) of the parities. A
// doubling is a shift that the ports for additions can do.
func (k avx2) theta(s *stream) {
	for x := range 5 {
		c, d := parityY[(x+1)%5], effectY[x]
		s.add(x86.VPSRLQ(operand.U8(63), c, tempY))
		s.add(x86.VPADDQ(c, c, d))
		s.add(x86.VPXOR(parityY[(x+4)%5], tempY, tempY))
		s.add(x86.VPXOR(tempY, d, d))
	}
}

// rotate rotates to the left.
func (k avx2) rotate(s *stream, by int, from, to reg.VecPhysical) {
	switch by {
	case 0: // only of lane 0, in place
	case 8:
		s.add(x86.VPSHUFB(k.swap8, from, to))
	case 56:
		s.add(x86.VPSHUFB(k.swap56, from, to))
	default:
		s.add(x86.VPSRLQ(operand.U8(64-by), from, tempY))
		s.add(x86.VPSLLQ(operand.U8(by), from, to))
		s.add(x86.VPOR(tempY, to, to))
	}
}

// gather makes the first lanes of what is to be row y, through θ, ρ and π. load
// says where a lane is, and nil if it is 0.
func (k avx2) gather(s *stream, y, width int, load func(lane int) operand.Op) {
	for x := range width {
		source := keccak.Source(x, y)
		effect := effectY[source%5]
		if lane := load(source); lane != nil {
			s.add(x86.VPXOR(lane, effect, rowY[x]))
			k.rotate(s, rotations[source], rowY[x], rowY[x])
		} else {
			k.rotate(s, rotations[source], effect, rowY[x])
		}
	}
}

// round is a round. It takes the parities of its state, and leaves those of the new
// one, which it stores at to.
func (k avx2) round(load func(lane int) operand.Op, to placement, rcAt int) *stream {
	s := &stream{}
	k.theta(s)
	for y := range 5 {
		k.gather(s, y, 5, load)
		for x := range 5 {
			out := tempY
			if y == 0 {
				out = parityY[x]
			}
			s.add(x86.VPANDN(rowY[(x+2)%5], rowY[(x+1)%5], out))
			s.add(x86.VPXOR(rowY[x], out, out))
			if x == 0 && y == 0 {
				s.add(x86.VPBROADCASTQ(operand.Mem{Base: rc, Disp: 8 * rcAt}, tempY))
				s.add(x86.VPXOR(tempY, out, out))
			}
			s.add(x86.VMOVDQU(out, state(to[x+5*y])))
			if y > 0 {
				s.add(x86.VPXOR(out, parityY[x], parityY[x]))
			}
		}
	}
	return s
}

// loadState loads lanes from the state.
func (k avx2) loadState(p placement) func(lane int) operand.Op {
	return func(lane int) operand.Op { return state(p[lane]) }
}

// walkAVX2 generates the kernel. It returns within steps · 0.6 µs.
func walkAVX2(c *build.Context, omit omission) {
	k := avx2{}
	table := func(name string, by int) operand.Mem {
		m := global(c, name)
		for i := range 32 {
			c.AppendDatum(operand.U8(i/8*8 + (i%8-by/8+8)%8))
		}
		return m
	}
	k.swap8 = table("avx2Rotate8", 8)
	k.swap56 = table("avx2Rotate56", 56)
	pad := global(c, "avx2Padding")
	for range 4 {
		c.AppendDatum(operand.U64(keccak.Padding))
	}

	c.Function("walkAVX2")
	c.Doc("walkAVX2 is the kernel with four lanes for AVX2.")
	c.Pragma("noescape")
	c.Signature(walkSignature())
	c.Load(c.Param("b"), block)

	steps := operand.NewParamAddr("steps", 8)
	left := operand.NewParamAddr("left", 16)

	c.Label("step")
	c.Instruction(must(x86.LEAQ(roundConstants, rc)))
	first := &stream{}
	for x := range 5 {
		switch x {
		case 3:
			first.add(x86.VMOVDQU(message(3), parityY[3]))
			first.add(x86.VPXOR(pad, parityY[3], parityY[3]))
		case 4:
			first.add(x86.VMOVDQU(message(4), parityY[4]))
		default:
			first.add(x86.VMOVDQU(message(x), parityY[x]))
			first.add(x86.VPXOR(message(x+5), parityY[x], parityY[x]))
		}
	}
	first.emit(c)
	at := straight()
	omit.rounds(k.round(func(lane int) operand.Op {
		switch {
		case lane < keccak.MessageLanes:
			return message(lane)
		case lane == keccak.MessageLanes:
			return pad
		}
		return nil
	}, at, 0)).emit(c)

	c.Instruction(must(x86.XORL(lane.As32(), lane.As32())))
	c.Label("lane")
	rounds := &stream{}
	for i := range 5 {
		to := at.next(3, 4)
		rounds.instructions = append(rounds.instructions, k.round(k.loadState(at), to, 1+i).instructions...)
		at = to
	}
	if at != straight() {
		panic("the loop does not close")
	}
	omit.step(rounds).emit(c)
	c.Instruction(must(x86.ADDQ(operand.U8(40), rc)))
	c.Instruction(must(x86.ADDQ(operand.U8(8), lane)))
	c.Instruction(must(x86.CMPQ(lane, operand.U8(8*4))))
	c.Instruction(must(x86.JNE(operand.LabelRef("lane"))))

	for i := range 2 {
		to := at.next(3, 4)
		omit.rounds(k.round(k.loadState(at), to, 1+i)).emit(c)
		at = to
	}
	last := &stream{}
	k.theta(last)
	k.gather(last, 0, 3, k.loadState(at))
	out := tempY
	last.add(x86.VPANDN(rowY[2], rowY[1], out))
	last.add(x86.VPXOR(rowY[0], out, out))

	// Who survives? VMOVMSKPD takes the top bits.
	zero, survive, flag := rowY[1], out, rowY[4]
	last.add(x86.VPBROADCASTQ(target(), rowY[0]))
	last.add(x86.VPXOR(rowY[0], out, out))
	last.add(x86.VPBROADCASTQ(mask(), rowY[0]))
	last.add(x86.VPAND(rowY[0], out, out))
	last.add(x86.VPXOR(zero, zero, zero))
	last.add(x86.VPCMPEQQ(zero, out, survive))
	last.add(x86.VMOVMSKPD(survive, high.As32()))
	// Who is flagged? AVX2 compares signed numbers. The limit's top bit is set, so a
	// fraction is not below it if its top bit is set, and, now that both count as
	// negative, the limit is not greater.
	last.add(x86.VPBROADCASTQ(limit(), rowY[2]))
	last.add(x86.VMOVDQU(fractions(), rowY[3]))
	last.add(x86.VPCMPGTQ(rowY[3], rowY[2], flag))
	last.add(x86.VPANDN(rowY[3], flag, flag))
	last.add(x86.VMOVMSKPD(flag, low.As32()))
	last.emit(c)

	c.Instruction(must(x86.DECQ(steps)))
	c.Instruction(must(x86.SETEQ(factor.As8())))
	c.Instruction(must(x86.ORB(high.As8(), factor.As8())))
	c.Instruction(must(x86.ORB(low.As8(), factor.As8())))
	c.Instruction(must(x86.JEQ(operand.LabelRef("step"))))
	c.Instruction(must(x86.MOVQ(high, survivors())))
	c.Instruction(must(x86.MOVQ(low, flagged())))
	c.Instruction(must(x86.MOVQ(steps, high)))
	c.Instruction(must(x86.MOVQ(high, left)))
	c.Instruction(must(x86.VZEROUPPER()))
	c.Instruction(must(x86.RET()))
}
