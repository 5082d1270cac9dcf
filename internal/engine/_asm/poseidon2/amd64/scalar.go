package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// # Scalar lanes
//
// Vectors leave the ports for general registers idle, and more than half of what a
// CPU can begin in a cycle. So a few more lanes are in general registers: each takes
// the same rounds at the same time, in instructions between those of the vectors.
//
// Elements are in Montgomery form, as in package poseidon2: x stands for x/2^64, any
// representative below 2^64 (see montgomery.go there, which has the bounds). A state is
// in memory.
type scalars struct {
	*kernel.Stream
	c                 *build.Context
	first, lanes      int // their numbers among the kernel's lanes
	by32              reg.GPVirtual
	epsilon, diagonal operand.Mem
	second, table     operand.Mem
}

func newScalars(c *build.Context, first, lanes int) *scalars {
	s := &scalars{Stream: &kernel.Stream{}, c: c, first: first, lanes: lanes, by32: c.GP64()}
	if lanes == 0 {
		return s
	}
	t := newTables()
	s.epsilon = global(c, "scalarEpsilon")(epsilon)
	table := global(c, "scalarDiagonal")
	for i, d := range t.diagonal {
		if i == 0 {
			d = add(d, 1) // see internalRound
		}
		s.diagonal = table(multiply(d, epsilon))
	}
	s.second = global(c, "scalarSecond")(montgomery(t.second[:]...)...)
	// What folded looks up is no greater: the layer's sums and a constant come to less than
	// 29 times 2^64.
	multiples := make([]uint64, 29)
	for i := range multiples {
		multiples[i] = uint64(i) * epsilon
	}
	s.table = global(c, "scalarMultiples")(multiples...)
	return s
}

// epsilon is 2^64 modulo p.
const epsilon = 1<<32 - 1

// montgomery returns elements in Montgomery form.
func montgomery(elements ...uint64) (form []uint64) {
	for _, x := range elements {
		form = append(form, multiply(x, epsilon))
	}
	return form
}

// all returns what generate does for each of the lanes, one after the other.
func (s *scalars) all(generate func(s *scalars, lane int)) *kernel.Stream {
	one := *s
	one.Stream = &kernel.Stream{}
	for lane := range s.lanes {
		generate(&one, lane)
	}
	return one.Stream
}

func (s *scalars) load(m operand.Op) reg.GPVirtual {
	r := s.c.GP64()
	s.Add(x86.MOVQ(m, r))
	return r
}

func (s *scalars) constants() *kernel.Stream {
	one := *s
	one.Stream = &kernel.Stream{}
	if s.lanes == 0 {
		return one.Stream
	}
	one.Add(x86.MOVL(operand.U32(32), s.by32.As32()))
	one.Add(x86.LEAQ(s.table, multiples))
	return one.Stream
}

// product returns x·y in two words. It uses the register DX.
func (s *scalars) product(x, y operand.Op) (low, high reg.GPVirtual) {
	low, high = s.c.GP64(), s.c.GP64()
	s.Add(x86.MOVQ(x, reg.RDX))
	s.Add(x86.MULXQ(y, low, high))
	return low, high
}

// reduced returns (high·2^64 + low) / 2^64. It takes both registers.
//
// With q = low + 2^32·low, modulo 2^64, the product q·p ends in low, and begins with
// q − ⌊q/2^32⌋ less the carry of that sum. It is taken from high; where that is negative,
// p is added. So the result is below p if high is, as that of a product by a number
// below p.
func (s *scalars) reduced(low, high reg.GPVirtual) reg.GPVirtual {
	q := s.c.GP64()
	s.Add(x86.SHLXQ(s.by32, low, q))
	s.Add(x86.ADDQ(low, q))
	s.Add(x86.SHRXQ(s.by32, q, low))
	s.Add(x86.SBBQ(low, q))
	s.Add(x86.SUBQ(q, high))
	s.Add(x86.SBBL(q.As32(), q.As32())) // 2^32 − 1 or 0
	s.Add(x86.SUBQ(q, high))
	return high
}

func (s *scalars) times(x, y operand.Op) reg.GPVirtual { return s.reduced(s.product(x, y)) }

// folded returns high·2^64 + low, of a small high, in low's register. What goes
// beyond 2^64 leaves less than 2^64 − 2^32, so 2^32 − 1 can be added to it.
func (s *scalars) folded(low, high reg.GPVirtual) reg.GPVirtual {
	s.Add(x86.ADDQ(operand.Mem{Base: multiples, Index: high, Scale: 8}, low))
	s.Add(x86.SBBL(high.As32(), high.As32()))
	s.Add(x86.ADDQ(high, low))
	return low
}

// plus adds y to x modulo p. One of them must be below p: what is beyond 2^64 is at most
// p − 2, and 2^32 − 1 can be added to it.
func (s *scalars) plus(x reg.GPVirtual, y operand.Op) {
	t := s.c.GP64()
	s.Add(x86.ADDQ(y, x))
	s.Add(x86.SBBL(t.As32(), t.As32()))
	s.Add(x86.ADDQ(t, x))
}

// sbox returns x^7 + start, where start is as products are. After each
// of its four products it does what else there is.
func (s *scalars) sbox(x operand.Mem, start operand.Op, meanwhile func(step int)) reg.GPVirtual {
	x2 := s.times(x, reg.RDX)
	meanwhile(0)
	x3 := s.times(x, x2)
	meanwhile(1)
	x4 := s.times(x2, reg.RDX)
	meanwhile(2)
	low, high := s.product(x3, x4)
	s.addWide(wide{low, high}, wide{start, operand.U8(0)})
	y := s.reduced(low, high)
	meanwhile(3)
	return y
}

// power7 returns x^7. Nothing else is done meanwhile, so x^2 stays in DX for both x^3 and
// x^4.
func (s *scalars) power7(x operand.Mem) reg.GPVirtual {
	x3 := s.times(s.times(x, reg.RDX), x)
	low, high := s.c.GP64(), s.c.GP64()
	s.Add(x86.MULXQ(reg.RDX, low, high))
	return s.times(x3, s.reduced(low, high))
}

// wide is a sum in two words.
type wide struct{ low, high operand.Op }

func (s *scalars) addWide(to, x wide) {
	s.Add(x86.ADDQ(x.low, to.low))
	s.Add(x86.ADCQ(x.high, to.high))
}

// absorb begins the states: base + column · element 7 of the third block.
func (s *scalars) absorb(lane int) {
	e := s.c.GP64()
	s.Add(x86.MOVL(counters(), e.As32()))
	s.Add(x86.ADDL(operand.U8(s.first+lane), e.As32()))
	s.Add(x86.BSWAPL(e.As32()))
	column := poseidon2.Mix([width]uint64{7: 1})
	for i := range width {
		times := s.load(e)
		for range column[i] - 1 {
			s.Add(x86.ADDQ(e, times))
		}
		low, high := s.product(times, s.epsilon)
		s.Add(x86.ADDQ(form(i), low))
		s.Add(x86.ADCQ(operand.U8(0), high))
		s.Add(x86.MOVQ(s.folded(low, high), scalar(lane, i)))
	}
}

func (s *scalars) externalRound(lane int) {
	for i := range width {
		s.Add(x86.MOVQ(s.power7(scalar(lane, i)), scalar(lane, i)))
	}
	s.mix(lane, operand.Mem{Base: row})
}

// mix is the external layer, and adds constants: as poseidon2 does it, the sums of
// the groups first, added to each group before it is multiplied.
func (s *scalars) mix(lane int, constants operand.Mem) {
	zero := operand.U8(0)
	for i := range 4 {
		sum := wide{s.load(scalar(lane, i)), s.c.GP64()}
		high := sum.high.(reg.GPVirtual).As32()
		s.Add(x86.MOVL(operand.U32(0), high))
		s.addWide(sum, wide{scalar(lane, 4+i), zero})
		s.addWide(sum, wide{scalar(lane, 8+i), zero})
		s.Add(x86.MOVQ(sum.low, sums(2*i)))
		s.Add(x86.MOVQ(sum.high, sums(2*i+1)))
	}
	for g := 0; g < width; g += 4 {
		with := func(i int) wide { // with the sum
			x := wide{s.load(scalar(lane, g+i)), s.load(sums(2*i + 1))}
			s.addWide(x, wide{sums(2 * i), zero})
			return x
		}
		kept := func(x wide, at int) wide {
			s.Add(x86.MOVQ(x.low, pair(2*at)))
			s.Add(x86.MOVQ(x.high, pair(2*at+1)))
			return wide{pair(2 * at), pair(2*at + 1)}
		}
		result := func(i int, x wide) {
			s.addWide(x, wide{constants.Offset(8 * (g + i)), zero})
			s.Add(x86.MOVQ(s.folded(x.low.(reg.GPVirtual), x.high.(reg.GPVirtual)), scalar(lane, g+i)))
		}
		b, ab := with(1), with(0)
		a := kept(ab, 0)
		s.addWide(ab, b)
		d, cd := with(3), with(2)
		c := kept(cd, 1)
		s.addWide(cd, d)
		s.addWide(b, ab)
		s.addWide(b, cd)
		s.addWide(d, ab)
		s.addWide(d, cd)
		s.addWide(ab, b)
		result(0, ab)
		s.addWide(cd, d)
		result(2, cd)
		s.addWide(b, c)
		s.addWide(b, c)
		result(1, b)
		s.addWide(d, a)
		s.addWide(d, a)
		result(3, d)
	}
}

// between is the layer that the second permutation begins with, and its first
// constants.
func (s *scalars) between(lane int) {
	s.mix(lane, s.second)
}

// internalFirst begins the internal rounds: the S-box of element 0, the sum of all, and
// the next element 0. The products of the others are taken during the next round's
// S-box, as they would have to wait for the sum.
func (s *scalars) internalFirst(lane int) {
	rest := s.none()
	for i := 1; i < width; i++ {
		s.addWide(rest, wide{scalar(lane, i), operand.U8(0)})
	}
	s.join(lane, rest, s.sbox(scalar(lane, 0), operand.Mem{Base: row}, func(int) {}))
}

func (s *scalars) internalRound(lane int) {
	var rest wide
	i := 1
	y := s.sbox(scalar(lane, 0), operand.Mem{Base: row}, func(step int) {
		for ; i < [...]int{4, 8, 8, 12}[step]; i++ {
			x := s.updated(lane, i)
			if i > 1 {
				s.addWide(rest, wide{x, operand.U8(0)})
				continue
			}
			rest = wide{x, s.c.GP64()}
			s.Add(x86.MOVL(operand.U32(0), rest.high.(reg.GPVirtual).As32()))
		}
	})
	s.join(lane, rest, y)
}

func (s *scalars) internalLast(lane int) {
	for i := 1; i < width; i++ {
		s.updated(lane, i)
	}
}

// none is a sum of nothing.
func (s *scalars) none() wide {
	low, high := s.c.GP64(), s.c.GP64()
	s.Add(x86.MOVL(operand.U32(0), low.As32()))
	s.Add(x86.MOVL(operand.U32(0), high.As32()))
	return wide{low, high}
}

// updated has element i be the total and its product with the diagonal.
func (s *scalars) updated(lane, i int) reg.GPVirtual {
	low, high := s.product(scalar(lane, i), s.diagonal.Offset(8*i))
	s.addWide(wide{low, high}, wide{scalarTotal(lane, 0), scalarTotal(lane, 1)})
	x := s.reduced(low, high)
	s.Add(x86.MOVQ(x, scalar(lane, i)))
	return x
}

// join ends a round: the total, as products are, that is times 2^64, and the next
// element 0, which does not wait for that.
func (s *scalars) join(lane int, rest wide, y reg.GPVirtual) {
	all := wide{s.load(rest.low), s.load(rest.high)}
	s.addWide(all, wide{y, operand.U8(0)})
	next := s.times(y, s.diagonal) // below p, as the diagonal is
	s.plus(next, s.folded(rest.low.(reg.GPVirtual), rest.high.(reg.GPVirtual)))
	s.Add(x86.MOVQ(next, scalar(lane, 0)))
	low, high := s.product(s.folded(all.low.(reg.GPVirtual), all.high.(reg.GPVirtual)), s.epsilon)
	s.Add(x86.MOVQ(low, scalarTotal(lane, 0)))
	s.Add(x86.MOVQ(high, scalarTotal(lane, 1)))
}

// end takes element 0 out of Montgomery form, which makes it canonical, turns its
// bytes round, and adds the lane to the survivors in the register scratch.
func (s *scalars) end(lane int) {
	high := s.c.GP64()
	s.Add(x86.MOVL(operand.U32(0), high.As32()))
	first := s.reduced(s.load(scalar(lane, 0)), high)
	s.Add(x86.BSWAPQ(first))
	s.Add(x86.MOVQ(first, firstOf(s.first+lane)))
	survives := s.c.GP64()
	s.Add(x86.MOVL(operand.U32(0), survives.As32()))
	s.Add(x86.CMPQ(first, target()))
	s.Add(x86.SETLS(survives.As8()))
	s.Add(x86.SHLL(operand.U8(s.first+lane), survives.As32()))
	s.Add(x86.ORL(survives.As32(), scratch.As32()))
}
