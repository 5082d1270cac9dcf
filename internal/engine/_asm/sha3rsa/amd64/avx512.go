package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/engine/_asm/sha3rsa/keccak"
)

// The kernel for AVX-512 holds the states of eight lanes in registers, 32 in all
// and no spill: lane by lane in stateZ, θ's parities C and then its effects D in
// parityZ, and two for the moment.
//
// Xors of three and all of χ are VPTERNLOG, rotations VPROLQ: a round is 41
// VPTERNLOG, 29 VPROLQ, 24 VPXORQ and 26 moves, which the CPU's renaming takes away.
// A row of the new state at a time is prepared in place (θ's effect, ρ) and mixed (χ),
// but not before the next one is prepared, so that there is always something else to
// do for the ports that cannot rotate. The order of all this is orderZ.
//
// A step, that is a nonce on each lane, is 24 rounds in eight groups of three, each
// with the multiplication of one lane in between: it uses ports that the vectors
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

// orderZ is the order in which a round does what can be done in several. It decides
// what the CPU's schedulers, which hold a round or so, have to choose from.
//
// It was found by search on a Zen 4: orders with random changes were timed in turns
// with the obvious one (rows and columns 0 to 4), the best changed again, and so on, for
// some 25,000 orders. The obvious one takes 1 % longer. Another search's best was as
// fast, so do not look for a meaning in the numbers.
var orderZ = struct {
	first  int       // the column whose effect θ makes first
	direct []int     // lanes of the old state to which θ is applied before that
	rows   [5]int    // of the new state
	lanes  [5][5]int // by row, columns of the new state as they are prepared
	begin  [5]int    // columns, as the parities of the new state are begun
	end    [5]int    // and as they are ended
}{
	first:  2,
	direct: []int{20, 21, 1, 6, 11, 16},
	rows:   [5]int{4, 0, 1, 2, 3},
	lanes:  [5][5]int{{1, 3, 4, 0, 2}, {0, 1, 4, 2, 3}, {1, 0, 2, 4, 3}, {2, 4, 0, 3, 1}, {3, 0, 1, 4, 2}},
	begin:  [5]int{3, 2, 1, 4, 0},
	end:    [5]int{3, 4, 0, 2, 1},
}

// A demand says which lanes a round takes, and which of these are 0 and need not be
// set.
type demand struct{ taken, zero func(lane int) bool }

// everything is the demand of all rounds but the first and the last.
var everything = demand{
	taken: func(int) bool { return true },
	zero:  func(int) bool { return false },
}

// thetaZ turns the parities into the effects D[x] = C[x−1] xor (C[x+1] <<< 1).
// Each takes the register of the parity that is rotated for it. The next is always
// that of three columns on, as it was C[x+1]'s last other use.
//
// To some lanes it applies both parities at once, by a VPTERNLOG that does not wait
// for the effect, and returns them. Where these are all of a column there is no effect
// to be made. With all five columns that would be five instructions less in a round,
// but more of them would be VPTERNLOG, of which a Zen 4 does fewer in a cycle than of
// VPXORQ: with one or two it is fastest.
func thetaZ(s *kernel.Stream, at placement, d demand) (applied [25]bool) {
	move := &kernel.Stream{}
	for i := range 5 {
		x := (orderZ.first + 3*i) % 5
		rotated, other := parityZ[(x+1)%5], parityZ[(x+4)%5]
		to := rotated
		if i == 0 {
			to = tempZ[0] // the last column takes C[x+1] as it is
		}
		s.Add(x86.VPROLQ(operand.U8(1), rotated, to))
		for _, lane := range orderZ.direct {
			if lane%5 == x && d.taken(lane) && !d.zero(lane) {
				s.Add(x86.VPTERNLOGQ(operand.U8(0x96), to, other, stateZ[at[lane]]))
				applied[lane] = true
			}
		}
		var left bool
		for lane := x; lane < 25; lane += 5 {
			left = left || d.taken(lane) && !applied[lane]
		}
		if left {
			s.Add(x86.VPXORQ(other, to, to))
			if i == 0 {
				move.Add(x86.VMOVDQA64(to, effectZ(x)))
			}
		}
	}
	s.Append(move)
	return applied
}

// gatherZ prepares the lanes that row y of the new state is made of, in place,
// and returns their registers. It leaves out θ where it is applied.
func gatherZ(s *kernel.Stream, at placement, y int, d demand, applied [25]bool) (b [5]reg.VecPhysical) {
	for _, x := range orderZ.lanes[y] {
		source := keccak.Source(x, y)
		if !d.taken(source) {
			continue
		}
		b[x] = stateZ[at[source]]
		from := b[x]
		if d.zero(source) {
			from = effectZ(source % 5)
		} else if !applied[source] {
			s.Add(x86.VPXORQ(effectZ(source%5), b[x], b[x]))
		}
		if by := rotations[source]; by != 0 {
			s.Add(x86.VPROLQ(operand.U8(by), from, b[x]))
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
func chiZ(s *kernel.Stream, b [5]reg.VecPhysical, y int) {
	// For rows other than 0 it is the same, with the row turned by 2y.
	var r [5]reg.VecPhysical
	for i := range r {
		r[i] = b[(i+2*y)%5]
	}
	ternary := func(role string, dst, second, third reg.VecPhysical) {
		s.Add(x86.VPTERNLOGQ(lookup(role), third, second, dst))
	}
	t := tempZ
	s.Add(x86.VMOVDQA64(r[0], t[0]))
	ternary("qrp", t[0], r[1], r[4]) // 4: r4 xor (not r0 and r1)
	s.Add(x86.VMOVDQA64(r[1], t[1]))
	s.Add(x86.VMOVDQA64(r[2], r[1]))
	ternary("pqr", r[1], r[3], r[4]) // 2: r2 xor (not r3 and r4)
	ternary("qrp", r[4], r[0], r[3]) // 3: r3 xor (not r4 and r0)
	ternary("rqp", r[3], r[2], t[1]) // 1: r1 xor (not r2 and r3)
	ternary("pqr", r[0], t[1], r[2]) // 0: r0 xor (not r1 and r2)
	s.Add(x86.VMOVDQA64(t[0], r[2]))
}

// roundZ is a round up to the parities of its new state. It takes the parities of
// the old one, and the lanes at at.
func roundZ(s *kernel.Stream, at placement, rcAt int, d demand) placement {
	to := at.next(3, 1)
	applied := thetaZ(s, at, d)
	rows := orderZ.rows
	b := gatherZ(s, at, rows[0], d, applied)
	for i, y := range rows {
		next := b
		if i < 4 {
			next = gatherZ(s, at, rows[i+1], d, applied)
		} else {
			// The effects are done with, and what is there of the parities fills the time
			// until the last row is.
			for _, x := range orderZ.begin {
				s.Add(x86.VMOVDQA64(stateZ[to[x+5*rows[0]]], parityZ[x]))
				s.Add(x86.VPTERNLOGQ(operand.U8(0x96), stateZ[to[x+5*rows[1]]], stateZ[to[x+5*rows[2]]], parityZ[x]))
			}
		}
		chiZ(s, b, y)
		if y == 0 {
			lane0 := stateZ[to[0]]
			s.Add(x86.VPXORQ_BCST(operand.Mem{Base: rc, Disp: 8 * rcAt}, lane0, lane0))
		}
		b = next
	}
	for _, x := range orderZ.end {
		s.Add(x86.VPTERNLOGQ(operand.U8(0x96), stateZ[to[x+5*rows[4]]], stateZ[to[x+5*rows[3]]], parityZ[x]))
	}
	return to
}

// walkAVX512 generates the kernel. It returns within steps · 0.4 µs.
func (o omission) walkAVX512(c *build.Context) {
	pad := kernel.Global(c, "avx512Padding")
	c.AppendDatum(operand.U64(keccak.Padding))

	steps, left := kernel.Begin(c, "walkAVX512", "with eight lanes for AVX-512.")
	do := kernel.Do(c)

	// group ends a group: three rounds and the multiplication of a lane.
	group := func(rounds *kernel.Stream) {
		o.step(rounds).Emit(c)
		do(x86.ADDQ(operand.U8(24), rc))
		do(x86.ADDQ(operand.U8(8), lane))
	}

	c.Label("step")
	do(x86.LEAQ(roundConstants, rc))
	do(x86.XORL(lane.As32(), lane.As32()))
	// The messages are loaded before anything is interleaved that stores the next ones.
	load := &kernel.Stream{}
	for i := range 8 {
		load.Add(x86.VMOVDQU64(message(i), stateZ[i]))
	}
	load.Add(x86.VPBROADCASTQ(pad, stateZ[8]))
	load.Emit(c)

	at := straight()
	s := &kernel.Stream{}
	for x := range 4 {
		s.Add(x86.VPXORQ(stateZ[x], stateZ[x+5], parityZ[x]))
	}
	s.Add(x86.VMOVDQA64(stateZ[4], parityZ[4]))
	for i := range 3 {
		d := everything
		if i == 0 {
			d.zero = func(lane int) bool { return lane > keccak.MessageLanes }
		}
		at = roundZ(s, at, i, d)
	}
	if at != straight() {
		panic("the loop does not close")
	}
	group(s)

	c.Label("lane")
	s = &kernel.Stream{}
	for i := range 3 {
		at = roundZ(s, at, i, everything)
	}
	group(s)
	do(x86.CMPQ(lane, operand.U8(8*7)))
	do(x86.JNE(operand.LabelRef("lane")))

	s = &kernel.Stream{}
	for i := range 2 {
		at = roundZ(s, at, i, everything)
	}
	// The last multiplication ends when four fifths of this are over, so that its
	// stores are through to the cache when the next step loads the messages: a load
	// cannot be served from several stores that are still on their way. (It takes 0.5 %
	// longer if it ends with the two rounds.)
	early, rest := s.Cut(80)
	o.step(early).Emit(c)
	o.rounds(rest).Emit(c)

	last := everything
	last.taken = func(lane int) bool {
		return lane == keccak.Source(0, 0) || lane == keccak.Source(1, 0) || lane == keccak.Source(2, 0)
	}
	s = &kernel.Stream{}
	b := gatherZ(s, at, 0, last, thetaZ(s, at, last))
	out := b[0]
	s.Add(x86.VPTERNLOGQ(lookup("pqr"), b[2], b[1], out))
	s.Emit(c)

	// Who survives, and who is flagged? Either is rare, or it is the last step.
	do(x86.VPXORQ_BCST(target(), out, out))
	do(x86.VPTESTNMQ_BCST(mask(), out, reg.K1))
	do(x86.VMOVDQU64(fractions(), tempZ[0]))
	do(x86.VPCMPUQ_BCST(operand.U8(5), limit(), tempZ[0], reg.K2)) // ≥
	do(x86.DECQ(steps))
	do(x86.JEQ(operand.LabelRef("done")))
	do(x86.KORTESTB(reg.K1, reg.K2))
	do(x86.JEQ(operand.LabelRef("step")))
	c.Label("done")
	do(x86.KMOVB(reg.K1, high.As32()))
	do(x86.KMOVB(reg.K2, low.As32()))
	do(x86.MOVQ(high, survivors()))
	do(x86.MOVQ(low, flagged()))
	do(x86.MOVQ(steps, high))
	do(x86.MOVQ(high, left))
	do(x86.VZEROUPPER())
	do(x86.RET())
}
