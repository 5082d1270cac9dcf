package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/engine/_asm/sha3rsa/keccak"
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
// are 0; a loop of four times five rounds, with the multiplication of one lane
// in between; rounds 21 and 22; and what round 23 needs to leave lane 0 alone. All is 11 KB of
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
func (k avx2) theta(s *kernel.Stream) {
	for x := range 5 {
		c, d := parityY[(x+1)%5], effectY[x]
		s.Add(x86.VPSRLQ(operand.U8(63), c, tempY))
		s.Add(x86.VPADDQ(c, c, d))
		s.Add(x86.VPXOR(parityY[(x+4)%5], tempY, tempY))
		s.Add(x86.VPXOR(tempY, d, d))
	}
}

// rotate rotates to the left.
func (k avx2) rotate(s *kernel.Stream, by int, from, to reg.VecPhysical) {
	switch by {
	case 0: // only of lane 0, in place
	case 8:
		s.Add(x86.VPSHUFB(k.swap8, from, to))
	case 56:
		s.Add(x86.VPSHUFB(k.swap56, from, to))
	default:
		s.Add(x86.VPSRLQ(operand.U8(64-by), from, tempY))
		s.Add(x86.VPSLLQ(operand.U8(by), from, to))
		s.Add(x86.VPOR(tempY, to, to))
	}
}

// gather makes the first lanes of what is to be row y, through θ, ρ and π. load
// says where a lane is, and nil if it is 0.
func (k avx2) gather(s *kernel.Stream, y, width int, load func(lane int) operand.Op) {
	for x := range width {
		source := keccak.Source(x, y)
		effect := effectY[source%5]
		if lane := load(source); lane != nil {
			s.Add(x86.VPXOR(lane, effect, rowY[x]))
			k.rotate(s, rotations[source], rowY[x], rowY[x])
		} else {
			k.rotate(s, rotations[source], effect, rowY[x])
		}
	}
}

// round is a round. It takes the parities of its state, and leaves those of the new
// one, which it stores at to.
func (k avx2) round(load func(lane int) operand.Op, to placement, rcAt int) *kernel.Stream {
	s := &kernel.Stream{}
	k.theta(s)
	for y := range 5 {
		k.gather(s, y, 5, load)
		for x := range 5 {
			out := tempY
			if y == 0 {
				out = parityY[x]
			}
			s.Add(x86.VPANDN(rowY[(x+2)%5], rowY[(x+1)%5], out))
			s.Add(x86.VPXOR(rowY[x], out, out))
			if x == 0 && y == 0 {
				s.Add(x86.VPBROADCASTQ(operand.Mem{Base: rc, Disp: 8 * rcAt}, tempY))
				s.Add(x86.VPXOR(tempY, out, out))
			}
			s.Add(x86.VMOVDQU(out, state(to[x+5*y])))
			if y > 0 {
				s.Add(x86.VPXOR(out, parityY[x], parityY[x]))
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
func (o omission) walkAVX2(c *build.Context) {
	k := avx2{}
	table := func(name string, by int) operand.Mem {
		m := kernel.Global(c, name)
		for i := range 32 {
			c.AppendDatum(operand.U8(i/8*8 + (i%8-by/8+8)%8))
		}
		return m
	}
	k.swap8 = table("avx2Rotate8", 8)
	k.swap56 = table("avx2Rotate56", 56)
	pad := kernel.Global(c, "avx2Padding")
	for range 4 {
		c.AppendDatum(operand.U64(keccak.Padding))
	}

	steps, left := kernel.Begin(c, "walkAVX2", "with four lanes for AVX2.")
	do := kernel.Do(c)

	c.Label("step")
	do(x86.LEAQ(roundConstants, rc))
	first := &kernel.Stream{}
	for x := range 5 {
		switch x {
		case 3:
			first.Add(x86.VMOVDQU(message(3), parityY[3]))
			first.Add(x86.VPXOR(pad, parityY[3], parityY[3]))
		case 4:
			first.Add(x86.VMOVDQU(message(4), parityY[4]))
		default:
			first.Add(x86.VMOVDQU(message(x), parityY[x]))
			first.Add(x86.VPXOR(message(x+5), parityY[x], parityY[x]))
		}
	}
	first.Emit(c)
	at := straight()
	o.rounds(k.round(func(lane int) operand.Op {
		switch {
		case lane < keccak.MessageLanes:
			return message(lane)
		case lane == keccak.MessageLanes:
			return pad
		}
		return nil
	}, at, 0)).Emit(c)

	do(x86.XORL(lane.As32(), lane.As32()))
	c.Label("lane")
	rounds := &kernel.Stream{}
	for i := range 5 {
		to := at.next(3, 4)
		rounds.Append(k.round(k.loadState(at), to, 1+i))
		at = to
	}
	if at != straight() {
		panic("the loop does not close")
	}
	o.step(rounds).Emit(c)
	do(x86.ADDQ(operand.U8(40), rc))
	do(x86.ADDQ(operand.U8(8), lane))
	do(x86.CMPQ(lane, operand.U8(8*4)))
	do(x86.JNE(operand.LabelRef("lane")))

	for i := range 2 {
		to := at.next(3, 4)
		o.rounds(k.round(k.loadState(at), to, 1+i)).Emit(c)
		at = to
	}
	last := &kernel.Stream{}
	k.theta(last)
	k.gather(last, 0, 3, k.loadState(at))
	out := tempY
	last.Add(x86.VPANDN(rowY[2], rowY[1], out))
	last.Add(x86.VPXOR(rowY[0], out, out))

	// Who survives? VMOVMSKPD takes the top bits.
	zero, survive, flag := rowY[1], out, rowY[4]
	last.Add(x86.VPBROADCASTQ(target(), rowY[0]))
	last.Add(x86.VPXOR(rowY[0], out, out))
	last.Add(x86.VPBROADCASTQ(mask(), rowY[0]))
	last.Add(x86.VPAND(rowY[0], out, out))
	last.Add(x86.VPXOR(zero, zero, zero))
	last.Add(x86.VPCMPEQQ(zero, out, survive))
	last.Add(x86.VMOVMSKPD(survive, high.As32()))
	// Who is flagged? AVX2 compares signed numbers. The limit's top bit is set, so a
	// fraction is not below it if its top bit is set, and, now that both count as
	// negative, the limit is not greater.
	last.Add(x86.VPBROADCASTQ(limit(), rowY[2]))
	last.Add(x86.VMOVDQU(fractions(), rowY[3]))
	last.Add(x86.VPCMPGTQ(rowY[3], rowY[2], flag))
	last.Add(x86.VPANDN(rowY[3], flag, flag))
	last.Add(x86.VMOVMSKPD(flag, low.As32()))
	last.Emit(c)

	do(x86.DECQ(steps))
	do(x86.SETEQ(factor.As8()))
	do(x86.ORB(high.As8(), factor.As8()))
	do(x86.ORB(low.As8(), factor.As8()))
	do(x86.JEQ(operand.LabelRef("step")))
	do(x86.MOVQ(high, survivors()))
	do(x86.MOVQ(low, flagged()))
	do(x86.MOVQ(steps, high))
	do(x86.MOVQ(high, left))
	do(x86.VZEROUPPER())
	do(x86.RET())
}
