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

// factor2 is an element and its high half, see high.
type factor2 struct{ x, high operand.Op }

func (k code2) factor(x operand.Op) factor2 { return factor2{x, k.high(x)} }

// multiply returns x·y + start, where start has two numbers below 2^32, the second
// of which weighs 2^32. It may be nil.
//
// (2^32 − 1)² + 2·(2^32 − 1) = 2^64 − 1, so to a product of halves two numbers below 2^32
// can be added, and all of x·y + start is below 2^128.
func (k code2) multiply(x, y factor2, start func(half int) operand.Op) operand.Op {
	p00, p01 := k.times(x.x, y.x), k.times(x.x, y.high)
	if start != nil {
		p00, p01 = k.plus(p00, start(0)), k.plus(p01, start(1))
	}
	s := k.plus(p01, k.right(32, p00))
	u := k.plus(k.times(x.high, y.x), k.and(s, k.low))
	v := k.plus(k.plus(k.times(x.high, y.high), k.right(32, s)), k.right(32, u))
	up := k.c.YMM()
	k.Add(x86.VMOVSLDUP(u, up))
	lo := k.c.YMM()
	k.Add(x86.VPBLENDD(operand.U8(0xaa), up, p00, lo))
	return k.reduce(lo, v)
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

// sbox returns x^7 + start. As x is in memory it takes no register for long.
func (k code2) sbox(x operand.Mem, start func(half int) operand.Op) operand.Op {
	f2 := k.factor(k.square(k.factor(k.load(x))))
	x3 := k.multiply(f2, k.factor(x), nil)
	f4 := k.factor(k.square(f2))
	return k.multiply(f4, k.factor(x3), start)
}

// joined returns low + 2^32·high, where both are below 2^38.
//
// 2^32·high is high·2^32 modulo 2^64 and (2^32 − 1)·⌊high/2^32⌋. Only the last of the sums
// may go beyond 2^64, and then it is small.
func (k code2) joined(low, high operand.Op) operand.Op {
	return k.sum(k.left(32, high), k.plus(low, k.times(k.right(32, high), k.low)))
}

// sum returns a + small, where small is canonical, or any number below 2^63.
//
// If that goes beyond 2^64, it is less than a in the upper half, as in reduce: the
// upper half of p − 1 is 2^32 − 1, but then nothing is carried from below.
func (k code2) sum(a, small operand.Op) operand.Op {
	biased := k.xor(a, k.sign)
	all := k.plus(biased, small)
	all = k.plus(all, k.wrapped(biased, all))
	return k.xor(all, k.sign)
}
