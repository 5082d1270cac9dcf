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

	"github.com/quantus-network/quantus-miner/internal/poseidon2"
)

var cases = flag.Int("cases", 20, "random cases")

// compiled is the kernel for AVX-512.
func compiled(t *testing.T) (*ir.File, *ir.Function) {
	t.Helper()
	file, err := compile(func(c *build.Context) {
		k := newAVX512(c)
		walk(c, "walkAVX512", "", k, newScalars(c, 8, 2), k.rounds)
	})
	if err != nil {
		t.Fatal(err)
	}
	return file, file.Functions()[0]
}

func (m *machine) store(at operand.Mem, words ...uint64) {
	for i, word := range words {
		m.memory[blockAt+uint64(at.Disp)+8*uint64(i)] = word
	}
}

func (m *machine) load(at operand.Mem) uint64 { return m.memory[blockAt+uint64(at.Disp)] }

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

// TestWalkAVX512 compares steps of the kernel with the rule.
func TestWalkAVX512(t *testing.T) {
	file, function := compiled(t)
	r := rand.New(rand.NewPCG(1, 512))
	for range *cases {
		const steps, all = 2, 10
		m := newMachine(file, steps)
		var begin [width]uint64 // behind the first layer, with the first constants
		for i := range begin {
			begin[i] = edge(r)
			words := split(begin[i])
			m.store(base(i, 0), words[:]...)
			m.store(form(i), multiply(begin[i]%poseidon2.P, epsilon))
		}
		counter := r.Uint32()
		for i := range uint32(8) {
			m.store(plusBytes(counters(), 8*int(i)), uint64(counter+i))
		}
		m.store(lanes(), all)
		m.run(function, "")
		for i := range uint32(all) {
			e := uint64(bits.ReverseBytes32(counter + (steps-1)*all + i))
			s := begin
			for k, factor := range mixed([width]uint64{7: 1}) {
				s[k] = add(s[k]%poseidon2.P, multiply(factor, e))
			}
			if got, want := m.load(firstOf(int(i))), first(s); got != want {
				t.Fatalf("from %x, counter %#x, lane %d: %016x, want %016x", begin, counter, i, got, want)
			}
		}
		if left := m.memory[frameAt+16]; left != 0 || m.load(survivors()) != 0 {
			t.Fatalf("%d steps are left, with survivors %b", left, m.load(survivors()))
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
	s := poseidon2.State(unmixed(begin))
	s.Permute()
	s[0], s[1] = add(s[0], 1), add(s[1], 1)
	s.Permute()
	return bits.ReverseBytes64(s[0])
}

// TestEnd has the kernel end a step on all kinds of normal elements: next to where
// one of their parts, or the number that they are, comes to an end. By the rounds hardly
// any of them is to be had.
func TestEnd(t *testing.T) {
	file, function := compiled(t)
	r := rand.New(rand.NewPCG(2, 512))
	p := new(big.Int).SetUint64(poseidon2.P)
	for range 1000 * *cases {
		m := newMachine(file, 1)
		goal := edge(r)
		m.store(target(), goal)
		var survive uint64
		var results [8]uint64
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
			m.store(plusBytes(limb(0, 0), 8*lane), x0.Uint64()|r.Uint64N(1<<8)<<52) // beyond bit 51 it does not count
			m.store(plusBytes(limb(0, 1), 8*lane), x1.Uint64())
			results[lane] = bits.ReverseBytes64(new(big.Int).Mod(x, p).Uint64())
			if results[lane] <= goal {
				survive |= 1 << lane
			}
		}
		m.run(function, "end")
		for lane, want := range results {
			if got := m.load(firstOf(lane)); got != want {
				t.Fatalf("x0 = %#x, x1 = %#x: %016x, want %016x", m.load(plusBytes(limb(0, 0), 8*lane)), m.load(plusBytes(limb(0, 1), 8*lane)), got, want)
			}
		}
		if got := m.load(survivors()) & 0xff; got != survive {
			t.Fatalf("%x at most %#x: survivors %b, want %b", results, goal, got, survive)
		}
	}
}
