package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/simd/_asm/keccak"
)

var (
	rowY    = [5]reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4}
	tempY   = reg.Y5
	effectY = [5]reg.VecPhysical{reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10}
	parityY = [5]reg.VecPhysical{reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
)

type avx2 struct {
	swap8, swap56 operand.Mem
}

// theta makes θ's effect of the parities.
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

// gather loads what becomes the row y, through θ, ρ and π.
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

// round is a whole round. It leaves the new state's parities.
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

func (k avx2) loadState(p placement) func(lane int) operand.Op {
	return func(lane int) operand.Op { return state(p[lane]) }
}

// walkAVX2 generates the kernel.
func walkAVX2(c *build.Context) {
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
	k.round(func(lane int) operand.Op {
		switch {
		case lane < keccak.MessageLanes:
			return message(lane)
		case lane == keccak.MessageLanes:
			return pad
		}
		return nil
	}, at, 0).emit(c)

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
	weave(rounds, multiply()).emit(c)
	c.Instruction(must(x86.ADDQ(operand.U8(40), rc)))
	c.Instruction(must(x86.ADDQ(operand.U8(8), lane)))
	c.Instruction(must(x86.CMPQ(lane, operand.U8(8*4))))
	c.Instruction(must(x86.JNE(operand.LabelRef("lane"))))

	for i := range 2 {
		to := at.next(3, 4)
		k.round(k.loadState(at), to, 1+i).emit(c)
		at = to
	}
	last := &stream{}
	k.theta(last)
	k.gather(last, 0, 3, k.loadState(at))
	out := tempY
	last.add(x86.VPANDN(rowY[2], rowY[1], out))
	last.add(x86.VPXOR(rowY[0], out, out))

	// survivors
	last.add(x86.VPBROADCASTQ(target(), rowY[0]))
	last.add(x86.VPXOR(rowY[0], out, out))
	last.add(x86.VPBROADCASTQ(mask(), rowY[0]))
	last.add(x86.VPAND(rowY[0], out, out))
	last.add(x86.VPXOR(rowY[1], rowY[1], rowY[1]))
	last.add(x86.VPCMPEQQ(rowY[1], out, out))
	last.add(x86.VMOVMSKPD(out, high.As32()))
	// flags: fraction ≥ limit, unsigned, that is max(fraction, limit) = fraction:
	// the limit's top bit is set.
	last.add(x86.VPBROADCASTQ(limit(), rowY[2]))
	last.add(x86.VMOVDQU(fractions(), rowY[3]))
	last.add(x86.VPXOR(rowY[1], rowY[1], rowY[1]))
	// both with the top bit set compare as signed numbers
	last.add(x86.VPCMPGTQ(rowY[3], rowY[2], rowY[4])) // limit > fraction, signed
	last.add(x86.VPANDN(rowY[3], rowY[4], rowY[4]))   // top bit: fraction negative and not below
	last.add(x86.VMOVMSKPD(rowY[4], low.As32()))
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
