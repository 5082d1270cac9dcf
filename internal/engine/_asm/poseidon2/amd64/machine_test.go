package main

import (
	"flag"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/engine/_asm/machine"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

var cases = flag.Int("cases", 20, "random cases")

// with52 are the kernels with VPMADD52, and the lanes of each block.
var with52 = []subject{
	{"avx512", walkAVX512, 8, 2},
	{"avx512wide", walkAVX512Wide, 8, 0},
	{"avxifma", walkAVXIFMA, 4, 1},
}

type subject struct {
	name             string
	generate         func(*build.Context)
	vectors, scalars int
}

// compiled is a kernel, as it is before bytes are written out.
func compiled(t *testing.T, generate func(*build.Context)) (*ir.File, *ir.Function) {
	t.Helper()
	file, err := kernel.Compile(generate)
	if err != nil {
		t.Fatal(err)
	}
	return file, file.Functions()[0]
}

// size of a block, in bytes.
const size = 8 * 312

// link has the blocks find each other.
func link(m *machine.Machine) {
	m.Store(other(), size)
	m.Store(other().Offset(size), -size&(1<<64-1))
}

// edge draws a number with long runs of ones and zeros, or any.
func edge(r *rand.Rand) uint64 {
	x := r.Uint64()
	switch r.IntN(4) {
	case 0:
		x = []uint64{0, 1, 1<<32 - 1, 1 << 32, 1<<52 - 1, 1 << 52, poseidon2.P - 1, poseidon2.P, 1<<64 - 1}[r.IntN(9)]
	case 1:
		x >>= r.IntN(64)
	case 2:
		x = -(x >> r.IntN(64))
	}
	return x
}

// TestWalk compares steps of the kernels with the rule.
func TestWalk(t *testing.T) {
	for _, k := range with52 {
		t.Run(k.name, func(t *testing.T) { testWalk(t, k) })
	}
}

func testWalk(t *testing.T, of subject) {
	file, function := compiled(t, of.generate)
	r := rand.New(rand.NewPCG(1, 512))
	const steps = 2
	half := of.vectors + of.scalars
	all := uint32(2 * half)
	for range *cases {
		m := machine.New(file, steps)
		var begin [width]uint64 // behind the first layer, with the first constants
		counter := r.Uint32()
		for i := range begin {
			begin[i] = edge(r)
		}
		for k := range 2 {
			in := func(m operand.Mem) operand.Mem { return m.Offset(k * size) }
			for i, x := range begin {
				words := split(x)
				m.Store(in(base(i, 0)), words[:]...)
				m.Store(in(form(i)), multiply(x%poseidon2.P, epsilon))
			}
			for i := range of.vectors {
				m.Store(in(counters()).Offset(8*i), uint64(counter+uint32(half*k+i)))
			}
			m.Store(in(lanes()), uint64(all))
		}
		link(m)
		m.Run(function, "")
		for i := range all {
			e := uint64(bits.ReverseBytes32(counter + (steps-1)*all + i))
			s := begin
			for k, factor := range poseidon2.Mix([width]uint64{7: 1}) {
				s[k] = add(s[k]%poseidon2.P, multiply(factor, e))
			}
			if got, want := m.Load(firstOf(int(i)%half).Offset(int(i)/half*size)), first(s); got != want {
				t.Fatalf("from %x, counter %#x, lane %d: %016x, want %016x", begin, counter, i, got, want)
			}
		}
		for k := range 2 {
			if left, survivors := m.Left(), m.Load(survivors().Offset(k*size)); left != 0 || survivors != 0 {
				t.Fatalf("%d steps are left, with survivors %b in block %d", left, survivors, k)
			}
		}
	}
}

// first returns the top 64 bits of the hash, from a state behind the first layer, with
// the first constants.
func first(begin [width]uint64) uint64 {
	rule := poseidon2.NewConstants()
	for i, constant := range rule.Initial[0] {
		begin[i] = add(begin[i], poseidon2.P-constant)
	}
	s := poseidon2.Unmix(begin)
	s.Permute()
	s[0], s[1] = add(s[0], 1), add(s[1], 1)
	s.Permute()
	return bits.ReverseBytes64(s[0])
}

// TestEnd has the kernels end a step on all kinds of normal elements: next to where
// one of their parts, or the number that they are, comes to an end. By the rounds hardly
// any of them is to be had.
func TestEnd(t *testing.T) {
	for _, k := range with52 {
		t.Run(k.name, func(t *testing.T) { testEnd(t, k) })
	}
}

func testEnd(t *testing.T, of subject) {
	file, function := compiled(t, of.generate)
	r := rand.New(rand.NewPCG(2, 512))
	p := new(big.Int).SetUint64(poseidon2.P)
	for range 1000 * *cases {
		m := machine.New(file, 1)
		link(m)
		goal := edge(r)
		m.Store(target(), goal)
		var survive uint64
		results := make([]uint64, of.vectors)
		for lane := range results {
			// A multiple of p that is next to a sum of few powers of two, or any number.
			x := new(big.Int).SetUint64(r.Uint64N(1<<32 + 1))
			x.Mul(x, p)
			x.Add(x, big.NewInt(r.Int64N(5)-2))
			if r.IntN(2) == 0 {
				x.SetUint64(edge(r))
				x.Lsh(x, uint(r.IntN(33))).Add(x, big.NewInt(r.Int64N(5)-2))
			}
			if r.IntN(4) == 0 { // from 2^96 on
				x.SetUint64(edge(r)).Add(x, new(big.Int).Lsh(big.NewInt(1), 96))
			}
			limit := new(big.Int).Lsh(big.NewInt(limits.x1.hi+1), 52)
			x.Mod(x, limit)
			x0, x1 := new(big.Int), new(big.Int)
			x1.DivMod(x, new(big.Int).Lsh(big.NewInt(1), 52), x0)
			m.Store(limb(0, 0).Offset(8*lane), x0.Uint64()|r.Uint64N(1<<8)<<52) // beyond bit 51 it does not count
			m.Store(limb(0, 1).Offset(8*lane), x1.Uint64())
			results[lane] = bits.ReverseBytes64(new(big.Int).Mod(x, p).Uint64())
			if results[lane] <= goal {
				survive |= 1 << lane
			}
		}
		m.Run(function, "end")
		for lane, want := range results {
			if got := m.Load(firstOf(lane)); got != want {
				t.Fatalf("x0 = %#x, x1 = %#x: %016x, want %016x", m.Load(limb(0, 0).Offset(8*lane)), m.Load(limb(0, 1).Offset(8*lane)), got, want)
			}
		}
		if got := m.Load(survivors()) & (1<<of.vectors - 1); got != survive {
			t.Fatalf("%x at most %#x: survivors %b, want %b", results, goal, got, survive)
		}
	}
}
