package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
)

// # Elements in AVX2
//
// AVX2 multiplies numbers of 32 bits, so an element is a number below 2^64, any
// representative, in halves of which products are put together. With 2^64 = 2^32 − 1
// and 2^96 = −1 modulo p, a product of 128 bits is
//
//	lo + 2^64·v0 + 2^96·v1 = lo − v1 + (2^32 − 1)·v0.
//
// A difference that is negative, or a sum that is beyond 2^64, is corrected by
// 2^32 − 1, see reduce. AVX2 compares numbers with a sign, so where there is
// something to compare numbers have their top bit inverted.
//
// 16 registers are few: what is not needed soon is in memory.

// code2 is a stream of instructions for AVX2 under construction.
type code2 struct {
	*kernel.Stream
	c     *build.Context
	sign  operand.Op // 2^63
	low   operand.Op // 2^32 − 1, a mask and a factor
	low33 operand.Op // 2^33 − 1
	upper operand.Op // 2^64 − 2^32
}

func (k code2) plus(a, b operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VPADDQ(b, a, r))
	return r
}

func (k code2) minus(a, b operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VPSUBQ(b, a, r))
	return r
}

func (k code2) and(a, b operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VPAND(b, a, r))
	return r
}

func (k code2) xor(a, b operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VPXOR(b, a, r))
	return r
}

// times returns the product of the lower halves.
func (k code2) times(a, b operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VPMULUDQ(b, a, r))
	return r
}

func (k code2) right(by int, a operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VPSRLQ(operand.U8(by), a, r))
	return r
}

func (k code2) left(by int, a operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VPSLLQ(operand.U8(by), a, r))
	return r
}

func (k code2) load(m operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VMOVDQU(m, r))
	return r
}

// register returns what is in memory in a register, and others as they are.
func (k code2) register(a operand.Op) operand.Op {
	if operand.IsMem(a) {
		return k.load(a)
	}
	return a
}

func (k code2) broadcast(m operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VPBROADCASTQ(m, r))
	return r
}

// high has the high half of a number where products look for it. What is above it
// they ignore.
func (k code2) high(a operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VMOVSHDUP(a, r))
	return r
}

// wrapped returns 2^32 − 1 where a > b in the upper halves, as numbers with a sign,
// else 0.
func (k code2) wrapped(a, b operand.Op) operand.Op {
	r := k.c.YMM()
	k.Add(x86.VPCMPGTD(b, a, r))
	return k.right(32, r)
}

// reduce returns lo + 2^64·v modulo p.
//
// lo − v1 falls below 0 only where lo < 2^32. It is then, with 2^64 more, at least
// 2^64 − 2^32, so that 2^32 − 1 can be taken from it. In the upper half only that makes
// it greater than lo. Next (2^32 − 1)·v0 is at most (2^32 − 1)^2 = 2^64 − 2^33 + 1, so what
// goes beyond 2^64 is at most 2^64 − 2^33, and 2^32 − 1 can be added to it. In the upper
// half it is less than before, as the upper half of what was added, with a carry from
// below, is at most 2^32 − 1.
func (k code2) reduce(lo, v operand.Op) operand.Op {
	biased := k.xor(lo, k.sign)
	less := k.minus(biased, k.right(32, v))
	less = k.minus(less, k.wrapped(less, biased))
	more := k.plus(less, k.times(v, k.low))
	more = k.plus(more, k.wrapped(less, more))
	return k.xor(more, k.sign)
}

// reduceMore returns lo + 2^64·v + 2^32 − 1 modulo p, where that is welcome.
//
// (2^32 − 1)·v0 + (2^32 − 1 − v1) is not negative, and at most (2^32 − 1)·2^32. So there
// is but one correction: what goes beyond 2^64 is, in the upper half, less than lo, and
// 2^32 − 1 can be added to it.
func (k code2) reduceMore(lo, v operand.Op) operand.Op {
	biased := k.xor(lo, k.sign)
	more := k.plus(k.times(v, k.low), k.right(32, k.xor(v, k.upper)))
	sum := k.plus(biased, more)
	return k.xor(k.plus(sum, k.wrapped(biased, sum)), k.sign)
}

// more is what reduceMore returns too much. Numbers that are added before have the opposite.
const more = 1<<32 - 1

// factor2 is an element and its high half, see high.
type factor2 struct{ x, high operand.Op }

func (k code2) factor(x operand.Op) factor2 { return factor2{x, k.high(x)} }

// product2 is p00 + 2^32·u + 2^64·v, of which p00 and u are taken modulo 2^32.
type product2 struct{ p00, u, v operand.Op }

// product returns x·y + start, where start has two numbers below 2^32, the second
// of which weighs 2^32. It may be nil.
//
// (2^32 − 1)² + 2·(2^32 − 1) = 2^64 − 1, so to a product of halves two numbers below 2^32
// can be added, and all of x·y + start is below 2^128.
func (k code2) product(x, y factor2, start func(half int) operand.Op) product2 {
	p00, p01 := k.times(x.x, y.x), k.times(x.x, y.high)
	if start != nil {
		p00, p01 = k.plus(p00, start(0)), k.plus(p01, start(1))
	}
	s := k.plus(p01, k.right(32, p00))
	u := k.plus(k.times(x.high, y.x), k.and(s, k.low))
	return product2{p00, u, k.plus(k.plus(k.times(x.high, y.high), k.right(32, s)), k.right(32, u))}
}

// lower is the lower 64 bits of a product.
func (k code2) lower(p product2) operand.Op {
	up := k.c.YMM()
	k.Add(x86.VMOVSLDUP(p.u, up))
	lo := k.c.YMM()
	k.Add(x86.VPBLENDD(operand.U8(0xaa), up, p.p00, lo))
	return lo
}

// multiply returns x·y.
func (k code2) multiply(x, y factor2) operand.Op {
	p := k.product(x, y, nil)
	return k.reduce(k.lower(p), p.v)
}

// multiplyAdd returns x·y + start + more, see product.
func (k code2) multiplyAdd(x, y factor2, start func(half int) operand.Op) operand.Op {
	p := k.product(x, y, start)
	return k.reduceMore(k.lower(p), p.v)
}

// multiplySum returns x·y as low + 2^32·high, for sums: low is below 2^32 and above −2^33,
// high below 2^33.
func (k code2) multiplySum(x, y factor2) (low, high operand.Op) {
	p := k.product(x, y, nil)
	v0 := k.and(p.v, k.low)
	low = k.minus(k.and(p.p00, k.low), k.plus(v0, k.right(32, p.v)))
	return low, k.plus(v0, k.and(p.u, k.low))
}

// square returns x².
//
// With halves a and b it is a² + 2^33·a·b + 2^64·b². The lower 33 bits of a² are the
// lowest of all, and u = a·b + ⌊a²/2^33⌋ is below 2^64.
func (k code2) square(x factor2) operand.Op {
	aa := k.times(x.x, x.x)
	u := k.plus(k.times(x.x, x.high), k.right(33, aa))
	v := k.plus(k.times(x.high, x.high), k.right(31, u))
	lo := k.plus(k.and(aa, k.low33), k.left(33, u))
	return k.reduce(lo, v)
}

// sbox returns x^3 and x^4. As x is in memory it takes no register for long.
func (k code2) sbox(x operand.Mem) (x3, x4 factor2) {
	f2 := k.factor(k.square(k.factor(k.load(x))))
	third := k.multiply(f2, k.factor(x))
	x4 = k.factor(k.square(f2))
	return k.factor(third), x4
}

// joined returns low + 2^32·high, where both are below 2^41. The lower one may be in memory.
//
// 2^32·high is high·2^32 modulo 2^64 and (2^32 − 1)·⌊high/2^32⌋. Only the last of the sums
// may go beyond 2^64, and then it is small.
func (k code2) joined(low, high operand.Op) operand.Op {
	return k.sum(k.left(32, high), k.plus(k.times(k.right(32, high), k.low), low))
}

// sum returns a + small, where small is below 2^63.
//
// So the sum goes beyond 2^64 just where the top bit of a is set and that of the sum is
// not. Then it is small, and 2^32 − 1 can be added to it.
func (k code2) sum(a, small operand.Op) operand.Op {
	all := k.plus(a, small)
	beyond, r := k.c.YMM(), k.c.YMM()
	k.Add(x86.VPANDN(a, all, beyond)) // a and not all
	k.Add(x86.VBLENDVPD(beyond, k.plus(all, k.low), all, r))
	return r
}
