package main

import (
	"fmt"
	"math/bits"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
)

// # Elements in AVX-512 and AVX-IFMA
//
// With T = 2^52 an element is x0 + T·x1 modulo p. As 2^96 = −1 modulo p,
//
//	T² = 2^104 = −2^8,
//
// so a product needs no reduction of its own, only carries:
//
//	x·y = x0·y0 − 2^8·x1·y1 + T·(x0·y1 + x1·y0).
//
// VPMADD52LUQ and VPMADD52HUQ add the low and the high 52 bits of a product of two
// numbers of 52 bits to a sum of 64. The high half of a product weighs T more than
// the low one: that of x0·y0 goes to T, that of a mixed product to −2^8.
//
// Between multiplications an element is normal: x0 is taken modulo T, as the
// instructions ignore what is above bit 51, and 0 ≤ x1 < 2^44 + 2^15, so a little above
// 2^96/T. It is not canonical, and an element has many representations: there are
// no comparisons, no conditional subtractions and so no rare cases. Sums are left as
// they are, in 64 bits with a sign, until they are to be multiplied.
//
// # Bounds
//
// That nothing overflows is checked here, by this generator: each value carries its
// bounds, each operation derives those of its result, and panics where they do not
// fit. Loops are entered and left with bounds that are declared (see avx512.go).
//
// # Four lanes
//
// AVX-IFMA has the two instructions for four lanes, without the rest of AVX-512. Only
// shifts of negative numbers are missing that these formulas need. So there no x1 may be
// negative: 2^44·n is added to it, whose carry is n more, and n to x0, from which the
// carry is taken. That costs nothing, as there is a constant to add it to.

// vector is a register or a place in memory with a 64-bit number for each lane,
// and the bounds of these numbers.
type vector struct {
	at     operand.Op
	lo, hi int64
	number bool // one number in memory, for all lanes
}

// low52 stands for the number modulo T, which VPMADD52 takes of any.
func (v vector) low52() vector {
	if v.lo < 0 || v.hi >= 1<<52 {
		v.lo, v.hi = 0, 1<<52-1
	}
	return v
}

// code is a stream of vector instructions under construction.
type code struct {
	*kernel.Stream
	c *build.Context
	// narrow says that vectors have four lanes, and that there are the instructions of AVX2
	// and AVX-IFMA only.
	narrow bool
}

// vector returns a register.
func (k code) vector() reg.VecVirtual {
	if k.narrow {
		return k.c.YMM()
	}
	return k.c.ZMM()
}

// move copies a vector, of which one side may be in memory.
func (k code) move(from, to operand.Op) {
	switch _, registers := from.(reg.Register); {
	case k.narrow:
		k.Add(x86.VMOVDQU(from, to))
	case registers && !operand.IsMem(to):
		k.Add(x86.VMOVDQA64(from, to))
	default:
		k.Add(x86.VMOVDQU64(from, to))
	}
}

// number is the i-th number of a table from m on, which has whole vectors where narrow
// instructions take no number from memory for all lanes.
func (k code) number(m operand.Mem, i int, lo, hi int64) vector {
	if k.narrow {
		return vector{m.Offset(32 * i), lo, hi, false}
	}
	return vector{m.Offset(8 * i), lo, hi, true}
}

// spread returns the words of such a table.
func (k code) spread(words ...uint64) (table []uint64) {
	for _, x := range words {
		table = append(table, x)
		if k.narrow {
			table = append(table, x, x, x)
		}
	}
	return table
}

// sum returns bounds that must fit 64 bits with a sign.
func sum(a, b int64) int64 {
	s := a + b
	if a > 0 && b > 0 && s < 0 || a < 0 && b < 0 && s >= 0 {
		panic(fmt.Sprintf("%d + %d overflows", a, b))
	}
	return s
}

// load loads a vector from memory, unless it is in a register.
func (k code) load(v vector) vector {
	if _, ok := v.at.(operand.Mem); !ok {
		return v
	}
	r := k.vector()
	k.move(v.at, r)
	v.at = r
	return v
}

func (k code) store(v vector, to operand.Mem) { k.move(v.at, to) }

// copied returns a copy in a register of its own, also of a number in memory.
func (k code) copied(v vector) vector {
	r := k.vector()
	if v.number {
		k.Add(x86.VPBROADCASTQ(v.at, r))
	} else {
		k.move(v.at, r)
	}
	v.at, v.number = r, false
	return v
}

// zero returns 0 in a register of its own, to be added to.
func (k code) zero() vector {
	r := k.vector()
	xor := kernel.Must(x86.VPXORQ(r, r, r))
	if k.narrow {
		xor = kernel.Must(x86.VPXOR(r, r, r))
	}
	xor.CancellingInputs = true // r need not hold anything before
	k.Add(xor, nil)
	return vector{at: r}
}

// plus returns a + b; b may be in memory.
func (k code) plus(a, b vector) vector {
	r := k.vector()
	if b.number && k.narrow {
		b = k.copied(b)
	}
	if b.number {
		k.Add(x86.VPADDQ_BCST(b.at, a.at, r))
	} else {
		k.Add(x86.VPADDQ(b.at, a.at, r))
	}
	return vector{at: r, lo: sum(a.lo, b.lo), hi: sum(a.hi, b.hi)}
}

// minus returns a − b; b may be in memory.
func (k code) minus(a, b vector) vector {
	r := k.vector()
	k.Add(x86.VPSUBQ(b.at, a.at, r))
	return vector{at: r, lo: sum(a.lo, -b.hi), hi: sum(a.hi, -b.lo)}
}

// left returns v·2^by.
func (k code) left(by int, v vector) vector {
	if v.lo < 0 || bits.Len64(uint64(v.hi))+by > 63 {
		panic(fmt.Sprintf("%d is shifted beyond 63 bits", v.hi))
	}
	if k.narrow {
		v = k.load(v) // to shift what is in memory takes AVX-512
	}
	r := k.vector()
	k.Add(x86.VPSLLQ(operand.U8(by), v.at, r))
	return vector{at: r, lo: v.lo << by, hi: v.hi << by}
}

// right returns ⌊v/2^by⌋, also of negative numbers, unless it is narrow.
func (k code) right(by int, v vector) vector {
	r := k.vector()
	if !k.narrow {
		k.Add(x86.VPSRAQ(operand.U8(by), v.at, r))
	} else if v.lo < 0 {
		panic(fmt.Sprintf("there is no shift of a negative number: %d", v.lo))
	} else {
		k.Add(x86.VPSRLQ(operand.U8(by), v.at, r))
	}
	return vector{at: r, lo: v.lo >> by, hi: v.hi >> by}
}

// and returns v modulo a power of two, by a mask.
func (k code) and(v, mask vector) vector {
	r := k.vector()
	switch {
	case k.narrow:
		k.Add(x86.VPAND(mask.at, v.at, r))
	case mask.number:
		k.Add(x86.VPANDQ_BCST(mask.at, v.at, r))
	default:
		k.Add(x86.VPANDQ(mask.at, v.at, r))
	}
	return vector{at: r, hi: mask.hi}
}

// addLow adds the low 52 bits of x·y to the sum, in place.
func (k code) addLow(sum *vector, x, y vector) {
	_, low := product(x, y)
	sum.grow(low)
	if y.number {
		k.Add(x86.VPMADD52LUQ_BCST(y.at, x.at, sum.at))
		return
	}
	k.Add(x86.VPMADD52LUQ(y.at, x.at, sum.at))
}

// addHigh adds the bits of x·y from bit 52 on to the sum, in place.
func (k code) addHigh(sum *vector, x, y vector) {
	high, _ := product(x, y)
	sum.grow(high)
	if y.number {
		k.Add(x86.VPMADD52HUQ_BCST(y.at, x.at, sum.at))
		return
	}
	k.Add(x86.VPMADD52HUQ(y.at, x.at, sum.at))
}

func (v *vector) grow(by int64) { v.hi = sum(v.hi, by) }

// product returns upper bounds of the halves of x·y.
func product(x, y vector) (high, low int64) {
	for _, v := range []vector{x, y} {
		if v.lo < 0 || v.hi >= 1<<52 {
			panic(fmt.Sprintf("%d to %d is no factor of 52 bits", v.lo, v.hi))
		}
	}
	h, l := bits.Mul64(uint64(x.hi), uint64(y.hi))
	high = int64(h<<12 | l>>52)
	if high > 0 {
		return high, 1<<52 - 1
	}
	return 0, int64(l)
}

// element is an element of the field, x0 + T·x1.
type element struct{ x0, x1 vector }

// part is one of the two.
func (e element) part(i int) vector { return [...]vector{e.x0, e.x1}[i] }

// constants are vectors that are kept in registers throughout.
type constants struct {
	m44 vector // 2^44 − 1
	// The offset 4·T − T·4, or n more and T·2^44·n, is 0. It keeps what is subtracted from x0
	// from making it negative.
	offset element
	n256   vector // 2^8, see normalLess
}

// normal does the carries. z1 may have any sign, and z0 be so large that it is not
// negative after the carry of z1, which weighs −1.
//
// It returns the normal element, and the same as x0 + T·x1 in full, for sums.
func (k code) normal(c constants, z element) (normal, full element) {
	carry := k.right(44, z.x1)
	rest := k.and(z.x1, c.m44)
	x0 := k.minus(z.x0, carry)
	if x0.lo < 0 {
		panic(fmt.Sprintf("x0 may be negative: %d", x0.lo))
	}
	x1 := k.plus(rest, k.right(52, x0))
	return element{x0, x1}, element{x0, rest}
}

// factor is a normal element as products take it.
type factor struct{ x0, x1 vector }

func (k code) factor(x element) factor { return factor{x.x0.low52(), x.x1} }

// multiply returns x·y + start, not normal. The parts of y may be in memory. Given are
// also multiples of x1 and y1 whose product is 2^8·x1·y1.
func (k code) multiply(start element, x, y factor, multiple1, multiple2 vector) element {
	high := k.zero() // what weighs −2^8
	k.addHigh(&high, x.x0, y.x1)
	k.addHigh(&high, x.x1, y.x0)
	z1 := k.copied(start.x1)
	k.addHigh(&z1, x.x0, y.x0)
	k.addLow(&z1, x.x0, y.x1)
	k.addLow(&z1, x.x1, y.x0)
	return k.combined(start.x0, z1, high, x, y, multiple1, multiple2)
}

// square returns x² + start, not normal, with 2·x1 and 2^7·x1.
func (k code) square(start element, x factor, doubled, shifted vector) element {
	high := k.zero()
	k.addHigh(&high, x.x0, doubled)
	z1 := k.copied(start.x1)
	k.addHigh(&z1, x.x0, x.x0)
	k.addLow(&z1, x.x0, doubled)
	return k.combined(start.x0, z1, high, x, x, doubled, shifted)
}

// combined is the end of a product: z0 + x.x0·y.x0 − 2^8·(high + x.x1·y.x1) and what goes to z1.
func (k code) combined(start, z1, high vector, x, y factor, multiple1, multiple2 vector) element {
	negative := k.left(8, high)
	k.addLow(&negative, multiple1, multiple2)
	negative1 := k.zero()
	k.addHigh(&negative1, multiple1, multiple2)
	z0 := k.copied(start)
	k.addLow(&z0, x.x0, y.x0) // which does not wait for the others
	return element{k.minus(z0, negative), k.minus(z1, negative1)}
}

// register returns what is in memory in a register, and others as they are.
func (k code) register(v vector) vector {
	if _, ok := v.at.(operand.Mem); ok {
		return k.copied(v)
	}
	return v
}

// sbox returns x^7 + start, not normal, of a normal element in memory.
func (k code) sbox(c constants, start, x element) element {
	fx := k.factor(element{k.load(x.x0), k.load(x.x1)})
	doubled := k.plus(fx.x1, fx.x1)
	x2, _ := k.normal(c, k.square(c.offset, fx, doubled, k.left(7, fx.x1)))
	fx2 := k.factor(x2)
	shifted := k.left(7, fx2.x1)
	x4, _ := k.normal(c, k.square(c.offset, fx2, k.plus(fx2.x1, fx2.x1), shifted))
	// x is in memory for the second time, as registers are few.
	x3, _ := k.normal(c, k.multiply(c.offset, fx2, k.factor(x), shifted, doubled))
	return k.multiply(start, k.factor(x3), k.factor(x4), k.left(4, x3.x1), k.left(4, x4.x1))
}

// scale returns x·d + z as a sum from which 2^8·high is to be taken, not normal, and takes
// z's registers for it. d is a number of the diagonal, in memory as four numbers: those of
// d and of d·T modulo p, by which x1 is multiplied. So high has few bits.
func (k code) scale(z, x element, d operand.Mem) (sum element, high vector) {
	word := func(i int, hi int64) vector {
		return k.number(d, i, 0, hi)
	}
	x0 := x.x0.low52()
	high = k.zero()
	both := func(d vector, x vector, low, up *vector) {
		k.addHigh(up, x, d)
		k.addLow(low, x, d)
	}
	both(word(1, 1<<12-1), x0, &z.x1, &high)
	both(word(3, 1<<12-1), x.x1, &z.x1, &high)
	both(word(0, 1<<52-1), x0, &z.x0, &z.x1)
	both(word(2, 1<<52-1), x.x1, &z.x0, &z.x1)
	return z, high
}

// less returns z − 2^8·high.
func (k code) less(z element, high vector) element {
	return element{k.minus(z.x0, k.left(8, high)), z.x1}
}

// normalLess does the carries of z − 2^8·high, see normal, where 2^8·high has at most 52
// bits. That is an instruction less than one after the other, and a multiplication more.
func (k code) normalLess(c constants, z element, high vector) (normal, full element) {
	negative := k.right(44, z.x1)
	rest := k.and(z.x1, c.m44)
	k.addLow(&negative, high, c.n256)
	x0 := k.minus(z.x0, negative)
	if x0.lo < 0 {
		panic(fmt.Sprintf("x0 may be negative: %d", x0.lo))
	}
	x1 := k.plus(rest, k.right(52, x0))
	return element{x0, x1}, element{x0, rest}
}
