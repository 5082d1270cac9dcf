package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// avx2 has the parts of the kernel for AVX2. Vectors are of four lanes, so that of
// the places in the block half is free, for what there are no registers for.
type avx2 struct {
	code2
	rounds
	diagonal     operand.Mem             // for each number a vector of it, one of its high half
	numbers      func(i int) operand.Mem // vectors: 2^63, 2^32 − 1, 2^33 − 1, p − 1 without its top bit, …
	swap4, swap8 operand.Mem
}

// element is the vector of the states' elements i.
func (k *avx2) element(i int) operand.Mem { return limb(i, 0) }

// spare are free places.
func (k *avx2) spare(i int) operand.Mem { return limb(i, 1) }

func newAVX2(c *build.Context) *avx2 {
	k := &avx2{code2: code2{Stream: &kernel.Stream{}, c: c}}
	t := newTables()
	// Vectors, as four words each: AVX2 has no operands in memory that it spreads.
	spread := func(words ...uint64) (all []uint64) {
		for _, x := range words {
			all = append(all, x, x, x, x)
		}
		return all
	}
	// Outside with an offset, which is 0 modulo p: 2^33 + 1 + 2^32·(2^32 − 3) = p. With it
	// no half of what multiplySum returns is negative.
	outside := func(x uint64) []uint64 { return spread(x&(1<<32-1)+1<<33+1, x>>32+1<<32-3) }
	inside := func(x uint64) []uint64 {
		x = add(x, poseidon2.P-more)
		return spread(x&(1<<32-1), x>>32)
	}
	k.rounds = t.rows(c, "avx2", outside, inside)
	table := global(c, "avx2Diagonal")
	for _, d := range t.diagonal {
		k.diagonal = table(d, d, d, d, d>>32, d>>32, d>>32, d>>32)
	}
	const p = poseidon2.P
	table = global(c, "avx2Numbers")
	for _, x := range []uint64{1 << 63, 1<<32 - 1, 1<<33 - 1, p - 1 ^ 1<<63, 1<<64 - 1<<32, (p - more) & (1<<32 - 1), (p - more) >> 32} {
		numbers := table(x, x, x, x)
		k.numbers = func(i int) operand.Mem { return numbers.Offset(32 * i) }
	}
	table = global(c, "avx2Swap4")
	for i := range uint64(4) {
		k.swap4 = table(0x80808080_00010203 + 0x08080808*(i%2))
	}
	table = global(c, "avx2Swap8")
	for i := range uint64(4) {
		k.swap8 = table(0x00010203_04050607 + 0x08080808_08080808*(i%2))
	}
	return k
}

func (k *avx2) store(x operand.Op, to operand.Mem) { k.Add(x86.VMOVDQU(x, to)) }

func (k *avx2) take() *kernel.Stream {
	s := k.Stream
	k.Stream = &kernel.Stream{}
	return s
}

// part returns the same with a stream of its own.
func (k *avx2) part() *avx2 {
	one := *k
	one.Stream = &kernel.Stream{}
	return &one
}

// constants loads what stays in registers.
func (k *avx2) constants() {
	k.sign, k.low33, k.upper = k.numbers(0), k.numbers(2), k.numbers(4)
	k.low = k.load(k.numbers(1))
}

// absorb begins the states: base + column · element 7 of the third block.
func (k *avx2) absorb() {
	e := k.c.YMM()
	k.Add(x86.VMOVDQU(counters(), e))
	k.Add(x86.VPSHUFB(k.swap4, e, e))
	times := map[uint64]operand.Op{1: e, 2: k.plus(e, e)}
	times[3] = k.plus(times[2], e)
	times[4] = k.plus(times[2], times[2])
	times[6] = k.plus(times[3], times[3])
	column := poseidon2.Mix([width]uint64{7: 1})
	for i := range width {
		x := k.plus(k.left(52, k.broadcast(base(i, 1))), k.broadcast(base(i, 0)))
		k.store(k.sum(x, times[column[i]]), k.element(i))
	}
}

// halves are two vectors in memory, for products to start with.
func halves(m operand.Mem) func(half int) operand.Op {
	return func(half int) operand.Op { return m.Offset(32 * half) }
}

// externalBox is the S-box of element i, with the next constant. It leaves the
// lower half in place, and the upper one behind it.
func (k *avx2) externalBox(i int) *kernel.Stream {
	one := k.part()
	low, high := one.multiplySum(one.sbox(k.element(i)))
	constant := halves(externalNumber(i, 8))
	one.store(one.plus(low, constant(0)), k.element(i))
	one.store(one.plus(high, constant(1)), k.element(i).Offset(32))
	return one.Stream
}

// externalRound is a round: the S-boxes, with the next constants, and the layer.
func (k *avx2) externalRound() {
	for i := 0; i < width; i += 2 {
		k.Append(kernel.Interleave(k.externalBox(i), k.externalBox(i+1)))
	}
	k.externalLayer(func(i, half int) operand.Op { return k.element(i).Offset(32 * half) })
}

// externalLayer mixes the state: first the lower halves, then the upper ones, of which
// each is below 2^35 and counts 28 times.
func (k *avx2) externalLayer(part func(i, half int) operand.Op) {
	for half := range 2 {
		load := func(i int) operand.Op { return part(i, half) }
		// The products go to spare places; the lower halves' sums then to the rest of
		// those, which the upper halves have no use for.
		product := func(i int) operand.Mem { return k.spare(i) }
		result := func(i int) operand.Mem { return k.spare(i).Offset(32) }
		var sums [4]operand.Op
		for g := 0; g < width; g += 4 {
			a, b, c, d := k.register(load(g)), load(g+1), k.register(load(g+2)), load(g+3)
			ab, cd := k.plus(a, b), k.plus(c, d)
			all := k.plus(ab, cd)
			all1, all3 := k.plus(all, b), k.plus(all, d)
			for i, m := range []operand.Op{k.plus(all1, ab), k.plus(all1, k.plus(c, c)), k.plus(all3, cd), k.plus(all3, k.plus(a, a))} {
				k.store(m, product(g+i))
				if g == 0 {
					sums[i] = m
				} else {
					sums[i] = k.plus(sums[i], m)
				}
			}
		}
		for i := range width {
			x := k.plus(sums[i%4], product(i))
			if half == 0 {
				k.store(x, result(i))
			} else {
				k.store(k.joined(result(i), x), k.element(i))
			}
		}
	}
}

// between is the layer that the second permutation begins with.
func (k *avx2) between() {
	k.externalLayer(func(i, half int) operand.Op {
		if half == 0 {
			return k.and(k.low, k.element(i))
		}
		return k.right(32, k.load(k.element(i)))
	})
}

// internalFirst begins the internal rounds, of which internalRound is one: the S-box of
// element 0 in place and beside it, from the second on, what the round before has left
// to do, the other elements and their sum.
func (k *avx2) internalFirst() {
	k.Append(k.box())
	var rest rest2
	for i := 1; i < width; i++ {
		rest.add(k, k.load(k.element(i)))
	}
	k.join(rest)
}

func (k *avx2) internalRound() {
	others := k.part()
	var rest rest2
	for i := 1; i < width; i++ {
		x := others.multiplyAdd(others.factor(others.load(k.element(i))), k.diagonalFactor(i), k.total)
		others.store(x, k.element(i))
		rest.add(others, x)
	}
	k.Stream = kernel.Interleave(others.Stream, k.box())
	k.join(rest)
}

func (k *avx2) internalLast() {
	for i := 1; i < width; i++ {
		x := k.multiplyAdd(k.factor(k.load(k.element(i))), k.diagonalFactor(i), k.total)
		k.store(x, k.element(i))
	}
}

// box is the S-box of element 0, with a constant.
func (k *avx2) box() *kernel.Stream {
	one := k.part()
	x3, x4 := one.sbox(k.element(0))
	one.store(one.multiplyAdd(x3, x4, halves(internalNumber())), k.element(0))
	return one.Stream
}

// total is a half of the sum of all elements, less what products have more, in a spare
// place.
func (k *avx2) total(half int) operand.Op { return k.spare(half) }

// rest2 are the sums, modulo 2^64, of all elements but the first and of their upper
// halves. That of the lower halves is below 2^36.
type rest2 struct{ all, upper operand.Op }

func (r *rest2) add(k *avx2, x operand.Op) {
	if r.all == nil {
		r.all, r.upper = x, k.right(32, x)
		return
	}
	r.all, r.upper = k.plus(r.all, x), k.plus(r.upper, k.right(32, x))
}

// join ends a round: the total, less what products have more, and the next element 0.
func (k *avx2) join(rest rest2) {
	y := k.load(k.element(0))
	rest.add(k, y)
	low := k.plus(k.minus(rest.all, k.left(32, rest.upper)), k.numbers(5))
	total := k.joined(low, k.plus(rest.upper, k.numbers(6)))
	k.store(k.and(total, k.low), k.spare(0))
	k.store(k.right(32, total), k.spare(1))
	k.store(k.multiplyAdd(k.factor(y), k.diagonalFactor(0), k.total), k.element(0))
}

// diagonalFactor is element i of the diagonal, in memory.
func (k *avx2) diagonalFactor(i int) factor2 {
	return factor2{k.diagonal.Offset(64 * i), k.diagonal.Offset(64*i + 32)}
}

// end makes the first elements canonical, turns their bytes round, and compares.
func (k *avx2) end() {
	// An element is at most p − 1, or p is to be taken from it: 2^32 − 1 to be added.
	x := k.load(k.element(0))
	above := k.c.YMM()
	k.Add(x86.VPCMPGTQ(k.numbers(3), k.xor(x, k.sign), above))
	k.compare(k.plus(x, k.and(above, k.low)), k.swap8)
}

// compare ends a step, with canonical elements of the result.
func (k code2) compare(x, swap8 operand.Op) {
	first := k.c.YMM()
	k.Add(x86.VPSHUFB(swap8, x, first))
	k.Add(x86.VMOVDQU(first, firsts()))
	greater := k.c.YMM()
	k.Add(x86.VPCMPGTQ(k.xor(k.broadcast(target()), k.sign), k.xor(first, k.sign), greater))
	k.Add(x86.VMOVMSKPD(greater, scratch.As32()))
	k.Add(x86.XORL(operand.U8(1<<4-1), scratch.As32()))
	k.Add(x86.VMOVDQU(k.plus(k.load(counters()), k.broadcast(lanes())), counters()))
}
