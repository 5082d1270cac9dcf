package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
)

// avxIFMA has the parts of the kernel for AVX-IFMA: those of AVX-512 in four lanes and
// sixteen registers. Vectors of four words leave the second half of their places in the
// block alone.
type avxIFMA struct{ *avx512 }

func newAVXIFMA(c *build.Context) *avxIFMA {
	k := &avxIFMA{&avx512{
		code:   code{Stream: &kernel.Stream{}, c: c, narrow: true},
		offset: [2]int64{1<<54 + 2, 2<<44 - 4},
		totals: element{vector{lo: 1<<52 + 1, hi: 1 << 53}, vector{lo: 1<<44 - 1, hi: 1 << 54}},
	}}
	k.tables("avxIFMA", k.totals.x0.lo, k.totals.x1.lo, 1<<32-1, -1<<63, (negP-1)^-1<<63)
	return k
}

// constants has no number in a register, but the diagonal's address: the generator writes
// the bytes of VPMADD52, and does not know where the linker puts tables.
func (k *avxIFMA) constants() {
	k.kept.m44 = k.numbers[1<<44-1]
	k.kept.offset = element{k.numbers[k.offset[0]], k.numbers[k.offset[1]]}
	k.mask = k.numbers[1<<52-1]
	at := k.c.GP64()
	k.Add(x86.LEAQ(k.diagonal, at))
	k.diagonal = operand.Mem{Base: at}
}

// externalRound is a round: the S-boxes, two side by side, with the next constants, and
// the layer.
func (k *avxIFMA) externalRound() {
	var raw element // the bounds of what S-boxes leave in the state
	box := func(i int) *kernel.Stream {
		one := k.part()
		raw = one.sbox(k.kept, k.withOffset(externalNumber(i, 8)), k.state(i, limits))
		one.put(i, raw)
		return one.Stream
	}
	for i := 0; i < width; i += 2 {
		k.Append(kernel.Interleave(box(i), box(i+1)))
	}
	k.externalLayer(func(i, half int) vector { return k.state(i, raw).part(half) })
	k.Color(k.c)
}

// between is the layer that the second permutation begins with.
func (k *avxIFMA) between() { k.externalLayer(k.normalPart) }

// externalLayer mixes the state, as that of AVX-512 does, with fewer registers: the sums of
// the groups are added to each group before that is multiplied. Parts of elements are
// read twice.
func (k *avxIFMA) externalLayer(part func(i, j int) vector) {
	var z0 [width]vector
	for j := range 2 {
		var sums [4]vector
		for i := range sums {
			sums[i] = k.plus(k.plus(k.register(part(i, j)), part(4+i, j)), part(8+i, j))
		}
		for g := 0; g < width; g += 4 {
			with := func(i int) vector { return k.plus(sums[i], part(g+i, j)) }
			a, b, c, d := with(0), with(1), with(2), with(3)
			ab, cd := k.plus(a, b), k.plus(c, d)
			all := k.plus(ab, cd)
			all1, all3 := k.plus(all, b), k.plus(all, d)
			for i, z := range []vector{k.plus(all1, ab), k.plus(all1, k.plus(c, c)), k.plus(all3, cd), k.plus(all3, k.plus(a, a))} {
				if j == 0 {
					k.store(z, limb(g+i, 0))
					z.at = limb(g+i, 0)
					z0[g+i] = z
					continue
				}
				x, _ := k.normal(k.kept, element{k.load(z0[g+i]), z})
				k.put(g+i, element{x.x0.within(limits.x0), x.x1.within(limits.x1)})
			}
		}
	}
}

// internalRound is the S-box of element 0, and beside it the other elements.
func (k *avxIFMA) internalRound() {
	s, y, product := k.box(k.state(0, limits))
	others := k.part()
	var rest element
	for i := 1; i < width; i++ {
		total := others.total()
		normal, full := others.normal(k.kept, others.less(others.scale(total, others.loaded(i, limits), k.factors(i))))
		others.put(i, element{normal.x0.within(limits.x0), normal.x1.within(limits.x1)})
		rest = others.summed(rest, full)
	}
	k.Append(kernel.Interleave(others.Stream, s), k.join(rest, y, product))
	k.Color(k.c)
}

// end makes the first elements canonical as that of AVX-512 does. AVX2 compares numbers with
// a sign, so those that are compared have their top bit inverted.
func (k *avxIFMA) end() {
	c := code2{Stream: k.Stream, c: k.c, sign: k.numbers[-1<<63].at}
	above := func(a, b operand.Op) operand.Op { // 2^32 − 1 where a > b, else 0
		r := c.c.YMM()
		c.Add(x86.VPCMPGTQ(b, a, r))
		return c.right(32, r)
	}
	x0, x1 := c.and(c.load(limb(0, 0)), k.mask.at), c.load(limb(0, 1))
	low := c.xor(c.plus(c.left(52, x1), x0), c.sign)
	h, q := c.right(12, x1), c.right(44, x1)
	s := c.plus(low, c.times(h, k.numbers[1<<32-1].at))
	s = c.plus(s, above(low, s)) // s < low: beyond 2^64
	d := c.minus(s, q)
	d = c.minus(d, above(d, s))                            // s < q: below 0
	d = c.plus(d, above(d, k.numbers[(negP-1)^-1<<63].at)) // at least p, which is to be taken from it
	c.compare(c.xor(d, c.sign), k.swap8)
}
