package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

const width = poseidon2.Width

// negP is p − 2^64.
const negP = 1 - 1<<32

// limits are the bounds of normal elements in loops: what they are entered with and
// what they leave. See normal.
var limits = element{
	vector{lo: 0, hi: 1<<60 - 1},
	vector{lo: 0, hi: 1<<44 + 1<<9},
}

// within panics unless v's bounds are as narrow as those of a limit, which it returns
// with v's place.
func (v vector) within(limit vector) vector {
	if v.lo < limit.lo || v.hi > limit.hi {
		panic("beyond the limits of a loop")
	}
	limit.at = v.at
	return limit
}

// totalLimits are the bounds of the sum of all elements, as what internal rounds add to
// each: with bit 52 of x0 set, which keeps what is subtracted in scale from making it
// negative, and one less in x1 for it.
var totalLimits = element{vector{lo: 1 << 52, hi: 1<<53 - 1}, vector{lo: -1, hi: 1 << 54}}

// split returns a constant as an element, in two words.
func split(constant uint64) [2]uint64 { return [2]uint64{constant & (1<<52 - 1), constant >> 52} }

// avx512 has the parts of the kernel for AVX-512, and most of those of the one for
// AVX-IFMA (see avxifma.go).
type avx512 struct {
	code
	kept constants
	rounds
	diagonal     operand.Mem      // four numbers for each element, see scale
	numbers      map[int64]vector // in memory
	swap4, swap8 operand.Mem
	mask         vector   // 2^52 − 1
	offset       [2]int64 // what products begin with, see constants
	totals       element  // the bounds of the total
	order        order
}

// order is that of the instructions, see [kernel.Schedule]: what it assumes of a CPU, and
// after how many cycles the next part of a round is begun.
type order struct {
	external        kernel.Model
	boxes           int // between S-boxes
	internal        kernel.Model
	first, elements int // before element 1, and between the elements
	// So many of the elements, the last ones, have a multiplication more and another
	// instruction less, see normalLess. Both kinds of ports should have as much to do.
	multiplied int
}

func newAVX512(c *build.Context, o order) *avx512 {
	k := &avx512{code: code{Stream: &kernel.Stream{}, c: c}, offset: [2]int64{1 << 54, -4}, totals: totalLimits, order: o}
	k.tables("avx512", 1<<52, -1, 1<<32-1, negP, 1<<8)
	return k
}

// tables writes the tables of a kernel, with more numbers that it takes.
func (k *avx512) tables(name string, numbers ...int64) {
	t := newTables()
	withOffset := func(x uint64) []uint64 {
		words := split(x)
		return k.spread(words[0]+uint64(k.offset[0]), words[1]+uint64(k.offset[1]))
	}
	k.rounds = t.rows(k.c, name, withOffset, withOffset)
	table := global(k.c, name+"Diagonal")
	for _, d := range t.diagonal {
		x, y := split(d), split(multiply(d, 1<<52))
		k.diagonal = table(k.spread(x[0], x[1], y[0], y[1])...)
	}
	table = global(k.c, name+"Numbers")
	k.numbers = map[int64]vector{}
	for i, x := range append([]int64{1<<44 - 1, k.offset[0], k.offset[1], 1<<52 - 1}, numbers...) {
		k.numbers[x] = k.number(table(k.spread(uint64(x))...), i, x, x)
	}
	lanes := uint64(8)
	if k.narrow {
		lanes = 4
	}
	table = global(k.c, name+"Swap4")
	for i := range lanes {
		k.swap4 = table(0x80808080_00010203 + 0x08080808*(i%2))
	}
	table = global(k.c, name+"Swap8")
	for i := range lanes {
		k.swap8 = table(0x00010203_04050607 + 0x08080808_08080808*(i%2))
	}
}

// state is element i in memory.
func (k *avx512) state(i int, bounds element) element {
	bounds.x0.at, bounds.x1.at = limb(i, 0), limb(i, 1)
	return bounds
}

func (k *avx512) put(i int, x element) {
	k.store(x.x0, limb(i, 0))
	k.store(x.x1, limb(i, 1))
}

// constants says what stays in a register, and what is read from memory each time.
func (k *avx512) constants() {
	k.kept.m44 = k.copied(k.numbers[1<<44-1])
	k.kept.offset = element{k.numbers[k.offset[0]], k.numbers[k.offset[1]]}
	k.kept.n256 = k.numbers[1<<8]
	k.mask = k.numbers[1<<52-1]
}

func (k *avx512) take() *kernel.Stream {
	s := k.Stream
	k.Stream = &kernel.Stream{}
	return s
}

// withOffset is a constant in memory, and the offset.
func (k *avx512) withOffset(m operand.Mem) element {
	return element{
		k.number(m, 0, k.offset[0], k.offset[0]+1<<52-1),
		k.number(m, 1, k.offset[1], k.offset[1]+1<<12-1),
	}
}

// externalRound is a round: the S-boxes, with the next constants, and the layer. An S-box
// takes several times as long as its 65 instructions keep ports busy, so some of them are
// under way at a time.
func (k *avx512) externalRound() {
	var raw element // the bounds of what S-boxes leave in the state
	var boxes []kernel.Part
	for i := range width {
		one := k.part()
		raw = one.sbox(k.kept, k.withOffset(externalNumber(i, len(k.spread(0, 0)))), k.state(i, limits))
		one.put(i, raw)
		boxes = append(boxes, kernel.Part{Stream: one.Stream, From: k.order.boxes * i})
	}
	k.Append(kernel.Schedule(k.order.external, boxes...))
	k.externalLayer(func(i, half int) vector { return k.load(k.state(i, raw).part(half)) })
	k.Color(k.c)
}

// between is the layer that the second permutation begins with.
func (k *avx512) between() { k.externalLayer(k.normalPart) }

// normalPart is a part of an element of a normal state, for a layer. The offset is part of
// all elements afterwards.
func (k *avx512) normalPart(i, half int) vector {
	x := k.load(k.state(i, limits).part(half))
	if half == 0 {
		x = k.and(x, k.mask)
	}
	if i == 0 {
		x = k.plus(x, k.kept.offset.part(half))
	}
	return x
}

// externalLayer mixes the state, which is within bounds, and leaves it normal.
func (k *avx512) externalLayer(load func(i, j int) vector) {
	var z0 [width]vector
	for j := range 2 {
		var m [width]vector
		for g := 0; g < width; g += 4 {
			a, b, c, d := load(g, j), load(g+1, j), load(g+2, j), load(g+3, j)
			ab, cd := k.plus(a, b), k.plus(c, d)
			all := k.plus(ab, cd)
			all1, all3 := k.plus(all, b), k.plus(all, d)
			m[g] = k.plus(all1, ab)
			m[g+1] = k.plus(all1, k.plus(c, c))
			m[g+2] = k.plus(all3, cd)
			m[g+3] = k.plus(all3, k.plus(a, a))
		}
		var sum [4]vector
		for i := range sum {
			sum[i] = k.plus(k.plus(m[i], m[4+i]), m[8+i])
		}
		for i := range m {
			z := k.plus(m[i], sum[i%4])
			if j == 0 {
				k.store(z, limb(i, 0))
				z.at = limb(i, 0)
				z0[i] = z
				continue
			}
			x, _ := k.normal(k.kept, element{k.load(z0[i]), z})
			k.put(i, element{x.x0.within(limits.x0), x.x1.within(limits.x1)})
		}
	}
}

// end makes the first elements canonical, turns their bytes round, and compares.
//
// With x1 = 2^44·q + 2^12·h + l, x0 + 2^52·x1 is x0 + 2^52·l + 2^64·h + 2^96·q: a number of 64
// bits, plus (2^32 − 1)·h, minus q, which is 0 or 1.
func (k *avx512) end() {
	x := k.state(0, limits)
	x0, x1 := k.and(k.load(x.x0), k.register(k.mask)).at, k.load(x.x1).at
	low, h, q, s := k.c.ZMM(), k.c.ZMM(), k.c.ZMM(), k.c.ZMM()
	m32, p := k.copied(k.numbers[1<<32-1]).at, k.copied(k.numbers[negP]).at
	k.Add(x86.VPSLLQ(operand.U8(52), x1, low))
	k.Add(x86.VPADDQ(x0, low, low))
	k.Add(x86.VPSRLQ(operand.U8(12), x1, h))
	k.Add(x86.VPSRLQ(operand.U8(44), x1, q))
	k.Add(x86.VPMULUDQ(m32, h, h)) // by the low 32 bits
	k.Add(x86.VPADDQ(h, low, s))
	k.Add(x86.VPCMPUQ(operand.U8(1), low, s, reg.K1)) // s < low: beyond 2^64
	k.Add(x86.VPADDQ(m32, s, reg.K1, s))
	k.Add(x86.VPCMPUQ(operand.U8(1), q, s, reg.K1)) // s < q: below 0
	k.Add(x86.VPSUBQ(q, s, s))
	k.Add(x86.VPSUBQ(m32, s, reg.K1, s))
	k.Add(x86.VPCMPUQ(operand.U8(5), p, s, reg.K1)) // s ≥ p
	k.Add(x86.VPSUBQ(p, s, reg.K1, s))
	k.Add(x86.VPSHUFB(k.swap8, s, s))
	k.Add(x86.VMOVDQU64(s, firsts()))
	k.Add(x86.VPCMPUQ_BCST(operand.U8(2), target(), s, reg.K1)) // ≤
	k.Add(x86.KMOVB(reg.K1, scratch.As32()))

	next := k.c.ZMM()
	k.Add(x86.VPBROADCASTQ(lanes(), next))
	k.Add(x86.VPADDQ(counters(), next, next))
	k.Add(x86.VMOVDQU64(next, counters()))
}

// absorb begins the states of the lanes' nonces: base + column · element 7 of the
// block, normal. The other elements are in the base.
func (k *avx512) absorb() {
	e := k.load(vector{at: counters(), hi: 1<<32 - 1})
	k.Add(x86.VPSHUFB(k.swap4, e.at, e.at))
	times := map[uint64]vector{1: e, 2: k.plus(e, e)}
	times[3] = k.plus(times[2], e)
	times[4] = k.plus(times[2], times[2])
	times[6] = k.plus(times[3], times[3])
	column := poseidon2.Mix([width]uint64{7: 1})
	for i := range width {
		z0 := k.plus(times[column[i]], vector{base(i, 0), 0, 1<<52 - 1, true})
		x1 := k.plus(k.right(52, z0), vector{base(i, 1), 0, 1<<12 - 1, true})
		k.put(i, element{z0.within(limits.x0), x1.within(limits.x1)})
	}
}

// internalFirst begins the internal rounds with the first S-box. Each internalRound is
// the next one, a long chain, and beside it what the round before has left to do: the
// other elements, each the total + d·x, and their sum. Then the next total and the
// next element 0 are there.
func (k *avx512) internalFirst() {
	s, y, product := k.box(k.state(0, limits))
	others := k.part()
	var rest element
	for i := 1; i < width; i++ {
		x := others.loaded(i, limits)
		x.x0 = others.and(x.x0, k.mask)
		rest = others.summed(rest, x)
	}
	k.Append(kernel.Interleave(others.Stream, s), k.join(rest, y, product))
}

func (k *avx512) internalRound() {
	s, y, product := k.box(k.state(0, limits))
	total := k.total()
	parts := []kernel.Part{{Stream: k.take()}, {Stream: s}}
	var rest element
	for i := 1; i < width; i++ {
		one := k.part()
		start := element{one.copied(total.x0), one.copied(total.x1)}
		z, high := one.scale(start, one.loaded(i, limits), k.factors(i))
		var normal, full element
		if i < width-k.order.multiplied {
			normal, full = one.normal(k.kept, one.less(z, high))
		} else {
			normal, full = one.normalLess(k.kept, z, high)
		}
		one.put(i, element{normal.x0.within(limits.x0), normal.x1.within(limits.x1)})
		rest = one.summed(rest, full)
		parts = append(parts, kernel.Part{Stream: one.Stream, From: k.order.first + k.order.elements*(i-1)})
	}
	parts = append(parts, kernel.Part{Stream: k.join(rest, y, product)})
	k.Append(kernel.Schedule(k.order.internal, parts...))
	k.Color(k.c)
}

func (k *avx512) internalLast() {
	all := k.total()
	for i := 1; i < width; i++ {
		normal, _ := k.normal(k.kept, k.less(k.scale(element{k.copied(all.x0), k.copied(all.x1)}, k.loaded(i, limits), k.factors(i))))
		k.put(i, element{normal.x0.within(limits.x0), normal.x1.within(limits.x1)})
	}
}

// total is the sum of all elements, in registers.
func (k *avx512) total() element {
	all := k.totals
	all.x0.at, all.x1.at = total(0), total(1)
	return element{k.load(all.x0), k.load(all.x1)}
}

// summed adds x to a sum, which may not have begun.
func (k *avx512) summed(sum, x element) element {
	if sum.x0.at == nil {
		return x
	}
	return element{k.plus(sum.x0, x.x0), k.plus(sum.x1, x.x1)}
}

// part returns the same with a stream of its own.
func (k *avx512) part() *avx512 {
	one := *k
	one.Stream = &kernel.Stream{}
	return &one
}

// box is the S-box of element 0, with a constant, and d·y for the next one.
func (k *avx512) box(x element) (s *kernel.Stream, full, product element) {
	one := k.part()
	y, full := one.normal(k.kept, one.sbox(k.kept, k.withOffset(internalNumber()), x))
	product = one.less(one.scale(element{one.zero(), one.zero()}, y, k.factors(0)))
	return one.Stream, full, product
}

// join is the next total and the next element 0.
func (k *avx512) join(rest, y, product element) *kernel.Stream {
	one := k.part()
	x0 := one.plus(rest.x0, y.x0)
	x1 := one.plus(one.plus(one.plus(rest.x1, y.x1), k.numbers[k.totals.x1.lo]), one.right(52, x0))
	if k.narrow {
		x0 = one.plus(one.and(x0, k.mask), k.numbers[k.totals.x0.lo])
	} else {
		one.Add(x86.VPTERNLOGQ_BCST(operand.U8(0xea), k.numbers[1<<52].at, one.register(k.mask).at, x0.at)) // x0 and mask, or 2^52
	}
	x0.lo, x0.hi = k.totals.x0.lo, k.totals.x0.hi
	next, _ := one.normal(k.kept, element{one.plus(product.x0, x0), one.plus(product.x1, x1)})
	one.store(x0, total(0))
	one.store(x1.within(k.totals.x1), total(1))
	one.put(0, element{next.x0.within(limits.x0), next.x1.within(limits.x1)})
	return one.Stream
}

// loaded is an element of the state, in registers.
func (k *avx512) loaded(i int, bounds element) element {
	x := k.state(i, bounds)
	return element{k.load(x.x0), k.load(x.x1)}
}

// factors is where the table of the diagonal has element i's, see scale.
func (k *avx512) factors(i int) operand.Mem {
	return k.diagonal.Offset(i * 8 * len(k.spread(0, 0, 0, 0)))
}
