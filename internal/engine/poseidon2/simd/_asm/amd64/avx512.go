package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/poseidon2"
)

const width = poseidon2.Width

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

// split returns a constant as an element, in two words, with an offset that is 0.
func split(constant uint64) [2]uint64 { return [2]uint64{constant & (1<<52 - 1), constant >> 52} }

type avx512 struct {
	code
	constants
	diagonal operand.Mem // a table of four words for each element, see scale
	last     operand.Mem // see tables, two words for each element
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

// start returns a constant of two words in memory, of which the second is small.
func (k *avx512) start(m operand.Mem, lo0, hi0, lo1, hi1 int64) element {
	next := m
	next.Disp += 8
	return element{vector{m, lo0, hi0, true}, vector{next, lo1, hi1, true}}
}

// raw are the bounds of what the S-boxes of an external round leave in the state.
func (k *avx512) externalBoxes() (code *stream, raw element) {
	streams := []*stream{}
	all := &stream{}
	for i := range width {
		one := *k
		one.stream = &stream{}
		x := one.state(i, limits)
		x = element{one.load(x.x0), one.load(x.x1)}
		z := one.sbox(k.constants, one.start(operand.Mem{Base: external, Disp: 16 * i}, 1<<54, 1<<54+1<<52, -4, 1<<12), x)
		one.put(i, z)
		raw = z
		streams = append(streams, one.stream)
		if len(streams) == 2 {
			all = then(all, weave(streams[0], streams[1:]...))
			streams = nil
		}
	}
	return all, raw
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
			x, _ := k.normal(k.constants, element{k.load(z0[i]), z})
			k.put(i, element{x.x0.within(limits.x0), x.x1.within(limits.x1)})
		}
	}
}

// walkAVX512 generates the kernel.
func walkAVX512(c *build.Context) {
	t := newTables()
	table := global(c, "avx512External")
	var externals operand.Mem
	for _, r := range t.external {
		for _, constant := range r {
			limbs := split(constant)
			externals = table(limbs[0]+1<<54, limbs[1]-4)
		}
	}
	table = global(c, "avx512Internal")
	var internals operand.Mem
	for _, constant := range t.internal {
		limbs := split(constant)
		internals = table(limbs[:]...)
	}
	table = global(c, "avx512Last")
	var last operand.Mem
	for _, constant := range t.last {
		limbs := split(constant)
		last = table(limbs[:]...)
	}
	table = global(c, "avx512Diagonal")
	var diagonal operand.Mem
	for _, d := range t.diagonal {
		x, y := split(d), split(multiply(d, 1<<52))
		diagonal = table(x[0], x[1], y[0], y[1])
	}
	numbers := global(c, "avx512Numbers")(1<<44-1, 1<<54, 1<<64-4, 1<<52-1, 1<<52, 1<<64-1,
		1<<32-1, poseidon2.P)
	number := func(i int) operand.Mem { m := numbers; m.Disp += 8 * i; return m }
	table = global(c, "avx512Swaps")
	var swap4, swap8 operand.Mem
	for i := range uint64(8) {
		swap4 = table(0x80808080_00010203 + 0x08080808*(i%2))
	}
	table = global(c, "avx512Swap8")
	for i := range uint64(8) {
		swap8 = table(0x00010203_04050607 + 0x08080808_08080808*(i%2))
	}

	c.Function("walkAVX512")
	c.Doc("walkAVX512 is the kernel with eight lanes for AVX-512.")
	c.Pragma("noescape")
	c.Signature(walkSignature())
	c.Load(c.Param("b"), block)
	steps := operand.NewParamAddr("steps", 8)
	left := operand.NewParamAddr("left", 16)

	k := &avx512{code: code{&stream{}, c}, diagonal: diagonal, last: last}
	flush := func() { k.emit(c); k.stream = &stream{} }
	k.m44 = k.broadcast(number(0), 1<<44-1, 1<<44-1)
	k.offset = element{k.broadcast(number(1), 1<<54, 1<<54), k.broadcast(number(2), -4, -4)}
	flush()

	c.Label("step")
	k.absorb(swap4)
	flush()
	c.Instruction(must(x86.LEAQ(externals, external)))
	c.Instruction(must(x86.XORL(round.As32(), round.As32())))

	c.Label("external")
	boxes, raw := k.externalBoxes()
	boxes.emit(c)
	k.externalLayer(func(i, j int) vector { x := k.state(i, raw); return k.load([]vector{x.x0, x.x1}[j]) })
	flush()
	c.Instruction(must(x86.ADDQ(operand.U32(16*width), external)))
	c.Instruction(must(x86.INCL(round.As32())))
	c.Instruction(must(x86.TESTL(operand.U32(3), round.As32())))
	c.Instruction(must(x86.JNE(operand.LabelRef("external"))))
	c.Instruction(must(x86.TESTL(operand.U32(4), round.As32())))
	c.Instruction(must(x86.JNE(operand.LabelRef("inside"))))
	c.Instruction(must(x86.CMPL(round.As32(), operand.U8(16))))
	c.Instruction(must(x86.JEQ(operand.LabelRef("end"))))

	// Between the permutations: the layer that the second one begins with.
	m52 := k.broadcast(number(3), 1<<52-1, 1<<52-1)
	k.externalLayer(func(i, j int) vector {
		x := k.state(i, limits)
		part, offset := k.load(x.x1), k.offset.x1
		if j == 0 {
			part, offset = k.and(k.load(x.x0), m52), k.offset.x0
		}
		if i == 0 { // which is part of all others afterwards
			part = k.plus(part, offset)
		}
		return part
	})
	flush()
	c.Instruction(must(x86.JMP(operand.LabelRef("external"))))

	c.Label("inside")
	c.Instruction(must(x86.LEAQ(internals, internal)))
	k.internalRounds(number(3), number(4), number(5))
	c.Instruction(must(x86.JMP(operand.LabelRef("external"))))

	c.Label("end")
	// The first element, x0 + 2^52·x1, in canonical form. With x1 = 2^44·q + 2^12·h + l,
	// that is x0 + 2^52·l + 2^64·h + 2^96·q, and 2^64 = 2^32 − 1.
	x := k.state(0, limits)
	x0, x1 := k.and(k.load(x.x0), k.broadcast(number(3), 1<<52-1, 1<<52-1)), k.load(x.x1)
	low, h, q, s := c.ZMM(), c.ZMM(), c.ZMM(), c.ZMM()
	m32, p := k.broadcast(number(6), 0, 0).at, k.broadcast(number(7), 0, 0).at
	k.add(x86.VPSLLQ(operand.U8(52), x1.at, low))
	k.add(x86.VPADDQ(x0.at, low, low))
	k.add(x86.VPSRLQ(operand.U8(12), x1.at, h))
	k.add(x86.VPSRLQ(operand.U8(44), x1.at, q))
	k.add(x86.VPMULUDQ(m32, h, h)) // its low 32 bits
	k.add(x86.VPADDQ(h, low, s))
	k.add(x86.VPCMPUQ(operand.U8(1), low, s, reg.K1)) // s < low: a carry
	k.add(x86.VPADDQ(m32, s, reg.K1, s))
	k.add(x86.VPCMPUQ(operand.U8(1), q, s, reg.K1)) // s < q: a borrow
	k.add(x86.VPSUBQ(q, s, s))
	k.add(x86.VPSUBQ(m32, s, reg.K1, s))
	k.add(x86.VPCMPUQ(operand.U8(5), p, s, reg.K1)) // s ≥ p
	k.add(x86.VPSUBQ(p, s, reg.K1, s))
	k.add(x86.VPSHUFB(swap8, s, s))
	k.add(x86.VMOVDQU64(s, firsts()))
	k.add(x86.VPCMPUQ_BCST(operand.U8(2), target(), s, reg.K1)) // ≤
	k.add(x86.KMOVB(reg.K1, scratch.As32()))
	k.add(x86.VMOVDQU64(counters(), low))
	eight := c.ZMM()
	k.add(x86.VPBROADCASTQ(lanes(), eight))
	k.add(x86.VPADDQ(eight, low, low))
	k.add(x86.VMOVDQU64(low, counters()))
	flush()
	c.Instruction(must(x86.DECQ(steps)))
	c.Instruction(must(x86.JEQ(operand.LabelRef("done"))))
	c.Instruction(must(x86.TESTL(scratch.As32(), scratch.As32())))
	c.Instruction(must(x86.JEQ(operand.LabelRef("step"))))
	c.Label("done")
	c.Instruction(must(x86.MOVQ(scratch, survivors())))
	c.Instruction(must(x86.MOVQ(steps, scratch)))
	c.Instruction(must(x86.MOVQ(scratch, left)))
	c.Instruction(must(x86.VZEROUPPER()))
	c.Instruction(must(x86.RET()))
}

// absorb begins the states of the lanes' nonces: base + column · element 7 of the
// block, normal. The other elements are in the base.
func (k *avx512) absorb(swap operand.Mem) {
	r := k.c.ZMM()
	k.add(x86.VMOVDQU64(counters(), r))
	k.add(x86.VPSHUFB(swap, r, r))
	e := vector{at: r, hi: 1<<32 - 1}
	times := map[int]vector{1: e, 2: k.plus(e, e)}
	times[3] = k.plus(times[2], e)
	times[4] = k.plus(times[2], times[2])
	times[6] = k.plus(times[3], times[3])
	column := mixed([width]uint64{7: 1})
	for i := range width {
		z0 := k.plus(times[int(column[i])], vector{base(i, 0), 0, 1<<52 - 1, true})
		x1 := k.plus(k.right(52, z0), vector{base(i, 1), 0, 1<<12 - 1, true})
		k.put(i, element{z0.within(limits.x0), x1.within(limits.x1)})
	}
}

// total is the sum of all elements, as what the internal rounds add to each: with
// bit 52 of x0 set, which keeps what is subtracted in scale from making it negative,
// and one less in x1 for it.
var total = element{vector{lo: 1 << 52, hi: 1<<53 - 1}, vector{lo: -1, hi: 1 << 54}}

// internalRounds generates the rounds inside: the first S-box of element 0, and a
// loop. An iteration is the next S-box, a long chain, and beside it what the round
// before has left to do: the other elements, each the total + d·x, and their sum.
func (k *avx512) internalRounds(m52, t, minusOne operand.Mem) {
	c := k.c
	mask := k.broadcast(m52, 1<<52-1, 1<<52-1)

	// What goes round in registers.
	carried := func(bounds element) element {
		bounds.x0.at, bounds.x1.at = c.ZMM(), c.ZMM()
		return bounds
	}
	x, all := carried(limits), carried(total)
	carry := func(v, to vector) { k.add(x86.VMOVDQA64(v.within(to).at, to.at)) }

	// box is the S-box, and d·y for the next element 0, with its round constant.
	box := func(x element) (s *stream, full, product element) {
		one := *k
		one.stream = &stream{}
		y, full := one.normal(k.constants, one.sbox(k.constants, k.offset, x))
		product = one.scale(one.start(operand.Mem{Base: internal}, 0, 1<<52-1, 0, 1<<12-1), y, k.factors(0))
		return one.stream, full, product
	}
	// join ends a round.
	join := func(rest, y, product element) {
		x0 := k.plus(rest.x0, y.x0)
		x1 := k.plus(k.plus(k.plus(rest.x1, y.x1), vector{minusOne, -1, -1, true}), k.right(52, x0))
		k.add(x86.VPTERNLOGQ_BCST(operand.U8(0xea), t, mask.at, x0.at)) // x0 and mask, or t
		x0.lo, x0.hi = total.x0.lo, total.x0.hi
		next, _ := k.normal(k.constants, element{k.plus(product.x0, x0), k.plus(product.x1, x1)})
		carry(x0, all.x0)
		carry(x1, all.x1)
		carry(next.x0, x.x0)
		carry(next.x1, x.x1)
		k.add(x86.ADDQ(operand.U8(16), internal))
	}

	first := k.state(0, limits)
	s, y, product := box(element{k.load(first.x0), k.load(first.x1)})
	k.instructions = append(k.instructions, s.instructions...)
	var rest element
	for i := 1; i < width; i++ {
		other := k.state(i, limits)
		x0 := k.and(k.load(other.x0), mask)
		if i == 1 {
			rest = element{x0, k.load(other.x1)}
			continue
		}
		rest = element{k.plus(rest.x0, x0), k.plus(rest.x1, other.x1)}
	}
	join(rest, y, product)
	k.add(x86.MOVL(operand.U32(poseidon2.InternalRounds-1), scratch.As32()))
	k.emit(c)
	k.stream = &stream{}

	c.Label("internal")
	s, y, product = box(x)
	others := *k
	others.stream = &stream{}
	for i := 1; i < width; i++ {
		z := others.scale(all, others.other(i), k.factors(i))
		normal, full := others.normal(k.constants, z)
		others.put(i, element{normal.x0.within(limits.x0), normal.x1.within(limits.x1)})
		if i == 1 {
			rest = full
			continue
		}
		rest = element{others.plus(rest.x0, full.x0), others.plus(rest.x1, full.x1)}
	}
	k.stream = weave(others.stream, s)
	join(rest, y, product)
	k.emit(c)
	k.stream = &stream{}
	c.Instruction(must(x86.DECL(scratch.As32())))
	c.Instruction(must(x86.JNE(operand.LabelRef("internal"))))

	k.put(0, x)
	for i := 1; i < width; i++ {
		z := k.scale(all, k.other(i), k.factors(i))
		constant := k.last
		constant.Disp += 16 * i
		z.x0 = k.plus(z.x0, vector{constant, 0, 1<<52 - 1, true})
		constant.Disp += 8
		z.x1 = k.plus(z.x1, vector{constant, 0, 1<<12 - 1, true})
		normal, _ := k.normal(k.constants, z)
		k.put(i, element{normal.x0.within(limits.x0), normal.x1.within(limits.x1)})
	}
	k.emit(c)
	k.stream = &stream{}
}

// other is an element of the state in registers.
func (k *avx512) other(i int) element {
	x := k.state(i, limits)
	return element{k.load(x.x0), k.load(x.x1)}
}

// factors is where the table of the diagonal has element i's, see scale.
func (k *avx512) factors(i int) operand.Mem {
	m := k.diagonal
	m.Disp += 32 * i
	return m
}
