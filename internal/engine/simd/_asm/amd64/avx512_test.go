package main

import (
	"crypto/sha3"
	"encoding/binary"
	"flag"
	"fmt"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/quantus-network/quantus-miner/internal/engine/simd/_asm/keccak"
)

// Few machines have AVX-512, and those that test this project need not. So the
// kernel is run by a machine of our own here, instruction by instruction. That
// shows that the program is right; that Go's assembler encodes it as it should, and
// that CPUs do as their manuals say, the tests of package simd show where they can.

// machine is as much of an amd64 CPU with AVX-512 as the kernel uses.
type machine struct {
	general    map[string]uint64
	vectors    map[string][8]uint64
	masks      map[string]uint8
	memory     map[uint64]uint64 // words at addresses divisible by 8
	cf, of, zf uint64            // 0 or 1
}

// Where things are in its memory.
const (
	blockAt uint64 = (iota + 1) << 20
	frameAt
	constantsAt
	paddingAt
)

func (m *machine) address(o operand.Mem) uint64 {
	at := uint64(o.Disp)
	switch {
	case o.Base == reg.FramePointer:
		at += frameAt
	case o.Symbol.Name == "·roundConstants":
		at += constantsAt
	case o.Symbol.Name == "avx512Padding":
		at += paddingAt
	case o.Symbol.Name != "":
		panic("unknown symbol " + o.Symbol.Name)
	default:
		at += m.general[name(o.Base)]
	}
	if o.Index != nil {
		at += m.general[name(o.Index)] * uint64(o.Scale)
	}
	return at
}

func name(o operand.Op) string { return o.(reg.Physical).Asm() }

// value is what a general operand holds.
func (m *machine) value(o operand.Op) uint64 {
	switch o := o.(type) {
	case operand.U8:
		return uint64(o)
	case operand.U32:
		return uint64(o)
	case operand.Mem:
		return m.memory[m.address(o)]
	}
	return m.general[name(o)]
}

func (m *machine) set(o operand.Op, v uint64) {
	if o, ok := o.(operand.Mem); ok {
		m.memory[m.address(o)] = v
		return
	}
	m.general[name(o)] = v
}

// vector is what a vector operand holds; broadcast is for those in memory.
func (m *machine) vector(o operand.Op, broadcast bool) (v [8]uint64) {
	at, ok := o.(operand.Mem)
	if !ok {
		return m.vectors[name(o)]
	}
	for i := range v {
		v[i] = m.memory[m.address(at)]
		if !broadcast {
			at.Disp += 8
		}
	}
	return v
}

// run runs a function to its end.
func (m *machine) run(f *ir.Function) {
	labels := map[string]int{}
	for i, node := range f.Nodes {
		if label, ok := node.(ir.Label); ok {
			labels[string(label)] = i
		}
	}
	for i := 0; ; i++ {
		in, ok := f.Nodes[i].(*ir.Instruction)
		if !ok {
			continue
		}
		switch in.Opcode {
		case "RET":
			return
		case "JEQ", "JNE":
			if (m.zf == 1) == (in.Opcode == "JEQ") {
				i = labels[string(in.Operands[0].(operand.LabelRef))]
			}
		default:
			m.do(in)
		}
	}
}

// do is an instruction that is no jump. Operands are in the order of Go's
// assembler, the destination last.
func (m *machine) do(in *ir.Instruction) {
	if in.Opcode == "VZEROUPPER" {
		return
	}
	o := in.Operands
	last := o[len(o)-1]
	broadcast := len(in.Suffixes) == 1 && in.Suffixes[0] == "BCST"
	lanes := func(f func(i int) uint64) {
		var v [8]uint64
		for i := range v {
			v[i] = f(i)
		}
		m.vectors[name(last)] = v
	}
	compare := func(f func(i int) bool) {
		mask := uint8(0)
		for i := range 8 {
			if f(i) {
				mask |= 1 << i
			}
		}
		m.masks[name(last)] = mask
	}
	result := func(v uint64) {
		m.set(last, v)
		m.zf = 0
		if v == 0 {
			m.zf = 1
		}
	}
	switch in.Opcode {
	case "VMOVDQA64", "VMOVDQU64":
		v := m.vector(o[0], false)
		lanes(func(i int) uint64 { return v[i] })
	case "VPBROADCASTQ":
		v := m.vector(o[0], true)
		lanes(func(i int) uint64 { return v[i] })
	case "VPXORQ":
		a, b := m.vector(o[0], broadcast), m.vector(o[1], false)
		lanes(func(i int) uint64 { return a[i] ^ b[i] })
	case "VPROLQ":
		a := m.vector(o[1], false)
		lanes(func(i int) uint64 { return bits.RotateLeft64(a[i], int(m.value(o[0]))) })
	case "VPTERNLOGQ":
		table := m.value(o[0])
		third, second, first := m.vector(o[1], false), m.vector(o[2], false), m.vector(o[3], false)
		lanes(func(i int) (v uint64) {
			for bit := range 64 {
				index := first[i]>>bit&1<<2 | second[i]>>bit&1<<1 | third[i]>>bit&1
				v |= table >> index & 1 << bit
			}
			return v
		})
	case "VPTESTNMQ":
		a, b := m.vector(o[0], broadcast), m.vector(o[1], false)
		compare(func(i int) bool { return a[i]&b[i] == 0 })
	case "VPCMPUQ":
		if m.value(o[0]) != 5 {
			panic("a comparison other than ≥")
		}
		a, b := m.vector(o[1], broadcast), m.vector(o[2], false)
		compare(func(i int) bool { return b[i] >= a[i] })
	case "KORTESTB":
		m.zf = 0
		if m.masks[name(o[0])]|m.masks[name(o[1])] == 0 {
			m.zf = 1
		}
	case "KMOVB":
		m.set(last, uint64(m.masks[name(o[0])]))
	case "MULXQ":
		high, low := bits.Mul64(m.general[name(reg.RDX)], m.value(o[0]))
		m.set(o[1], low)
		m.set(o[2], high)
	case "ADCXQ":
		var sum uint64
		sum, m.cf = bits.Add64(m.value(o[0]), m.value(o[1]), m.cf)
		m.set(last, sum)
	case "ADOXQ":
		var sum uint64
		sum, m.of = bits.Add64(m.value(o[0]), m.value(o[1]), m.of)
		m.set(last, sum)
	case "ADDQ", "ADCQ":
		carry := m.cf
		if in.Opcode == "ADDQ" {
			carry = 0
		}
		var sum uint64
		sum, m.cf = bits.Add64(m.value(o[0]), m.value(o[1]), carry)
		m.of = 0xbad // signed overflow, which nothing here may rely on
		result(sum)
	case "XORL", "ORQ":
		v := m.value(o[0]) | m.value(o[1])
		if in.Opcode == "XORL" {
			v = uint64(uint32(m.value(o[0]) ^ m.value(o[1])))
		}
		m.cf, m.of = 0, 0
		result(v)
	case "SHLXQ":
		m.set(last, m.value(o[1])<<(m.value(o[0])&63))
	case "SHRXQ":
		m.set(last, m.value(o[1])>>(m.value(o[0])&63))
	case "MOVQ", "MOVL":
		m.set(last, m.value(o[0]))
	case "MOVBEQQ":
		m.set(last, bits.ReverseBytes64(m.value(o[0])))
	case "LEAQ":
		m.set(last, m.address(o[0].(operand.Mem)))
	case "DECQ":
		m.of = 0xbad
		result(m.value(last) - 1)
	case "CMPQ":
		m.cf, m.of, m.zf = 0xbad, 0xbad, 0
		if m.value(o[0]) == m.value(o[1]) {
			m.zf = 1
		}
	default:
		panic("unknown instruction " + in.Opcode)
	}
}

var cases = flag.Int("cases", 200, "random cases")

// TestWalkAVX512 compares some steps of the kernel with math/big and crypto/sha3.
func TestWalkAVX512(t *testing.T) {
	file, err := compile(walkAVX512, omission{})
	if err != nil {
		t.Fatal(err)
	}
	function := file.Functions()[0]
	corrected, survived := 0, 0
	for seed := range uint64(*cases) {
		r := rand.New(rand.NewPCG(seed, 512))
		w := newWalk(r)
		m := w.machine()
		m.run(function)
		w.check(t, fmt.Sprintf("case %d", seed), m)
		corrected += w.corrected
		if w.survivors != 0 {
			survived++
		}
		if t.Failed() {
			return
		}
	}
	if corrected == 0 || survived == 0 {
		t.Errorf("%d residues were corrected, and in %d cases a nonce survived: too few to show anything", corrected, survived)
	}
}

// walk is a run of the kernel, and what has to come of it.
type walk struct {
	m, n   *big.Int
	shift  uint
	y      [8]*big.Int
	target uint64
	mask   uint64
	steps  uint64

	survivors uint64
	corrected int
}

// random draws an integer of up to size bits with runs of ones and zeros.
func random(r *rand.Rand, size uint) *big.Int {
	x := new(big.Int)
	for range 8 {
		word := r.Uint64()
		if r.IntN(2) == 0 {
			word = []uint64{0, 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}[r.IntN(5)]
		}
		x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(word))
	}
	return x.Rsh(x, 512-size)
}

func newWalk(r *rand.Rand) *walk {
	w := &walk{shift: uint(r.IntN(21)) * uint(r.IntN(2)), steps: 1 + r.Uint64N(4)}
	one := big.NewInt(1)
	for {
		w.n, w.m = random(r, 512-w.shift), random(r, 256)
		w.n.SetBit(w.n.SetBit(w.n, int(511-w.shift), 1), 0, 1)
		if w.m.Sign() > 0 && new(big.Int).GCD(nil, nil, w.m, w.n).Cmp(one) == 0 {
			break
		}
	}
	inverse := new(big.Int).ModInverse(w.m, w.n)
	for i := range w.y {
		w.y[i] = random(r, 512)
		if r.IntN(2) == 0 { // the product is next to a multiple of n
			w.y[i].Mul(big.NewInt(r.Int64N(9)-4), inverse)
		}
		w.y[i].Mod(w.y[i], w.n)
	}
	w.mask = ^uint64(0)
	w.target = r.Uint64()
	switch r.IntN(3) {
	case 0:
		w.mask = r.Uint64() & r.Uint64() & r.Uint64() & r.Uint64()
	case 1:
		w.target = hash(w.y[r.IntN(8)])
	}
	return w
}

// hash is lane 0 of a residue's SHA3-512.
func hash(y *big.Int) uint64 {
	sum := sha3.Sum512(y.FillBytes(make([]byte, 64)))
	return binary.LittleEndian.Uint64(sum[:])
}

// words returns the words of an integer, least significant first.
func words(x *big.Int, count int) []uint64 {
	b := x.FillBytes(make([]byte, 8*count))
	w := make([]uint64, count)
	for i := range w {
		w[i] = binary.BigEndian.Uint64(b[8*(count-1-i):])
	}
	return w
}

// machine returns a machine that is about to run the kernel.
func (w *walk) machine() *machine {
	c := &machine{map[string]uint64{}, map[string][8]uint64{}, map[string]uint8{}, map[uint64]uint64{}, 0, 0, 0}
	store := func(o operand.Mem, values ...uint64) {
		for i, v := range values {
			c.memory[blockAt+uint64(o.Disp)+8*uint64(i)] = v
		}
	}
	scaled := new(big.Int).Lsh(w.n, w.shift)
	reciprocal := new(big.Int).Lsh(w.m, 575)
	store(mu(0), words(reciprocal.Quo(reciprocal, scaled), 5)...)
	store(m(0), words(w.m, 4)...)
	store(negN(0), words(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 512), w.n), 8)...)
	store(shiftLeft(), 1+uint64(w.shift))
	store(shiftRight(), 63-uint64(w.shift))
	store(limit(), -(uint64(12) << (1 + w.shift)))
	rcs := roundConstantsOf()
	store(target(), w.target^rcs[23])
	store(mask(), w.mask)
	for lane, y := range w.y {
		for i, word := range words(y, 8) {
			c.memory[blockAt+uint64(64*lane+8*i)] = word
			c.memory[blockAt+uint64(message(7-i).Disp+8*lane)] = bits.ReverseBytes64(word)
		}
	}
	for i, constant := range rcs {
		c.memory[constantsAt+8*uint64(i)] = constant
	}
	c.memory[paddingAt] = keccak.Padding
	c.memory[frameAt] = blockAt
	c.memory[frameAt+8] = w.steps
	return c
}

// roundConstantsOf returns ι's constants, by their rule (FIPS 202, 3.2.5): bit
// 2^j − 1 of round i is output 7i+j of a linear feedback shift register.
func roundConstantsOf() (rcs [keccak.Rounds]uint64) {
	state := 1
	for i := range rcs {
		for j := range 7 {
			rcs[i] |= uint64(state&1) << (1<<j - 1)
			state <<= 1
			if state > 0xff {
				state ^= 0x171
			}
		}
	}
	return rcs
}

// check compares what the machine has left with what it should have.
func (w *walk) check(t *testing.T, name string, m *machine) {
	t.Helper()
	load := func(o operand.Mem) uint64 { return m.memory[blockAt+uint64(o.Disp)] }
	done := w.steps - m.memory[frameAt+16]
	flags := load(flagged())
	if done == 0 || done > w.steps {
		t.Fatalf("%s: %d steps of %d", name, done, w.steps)
	}
	for step := range done {
		var want uint64
		for lane, y := range w.y {
			if (hash(y)^w.target)&w.mask == 0 {
				want |= 1 << lane
			}
			w.y[lane] = new(big.Int).Mod(new(big.Int).Mul(y, w.m), w.n)
		}
		switch {
		case step < done-1 && want != 0:
			t.Errorf("%s: step %d went on, though %b survived", name, step, want)
		case step == done-1:
			w.survivors = load(survivors())
			if w.survivors != want {
				t.Errorf("%s: step %d: survivors %b, want %b", name, step, w.survivors, want)
			}
			if step < w.steps-1 && want|flags == 0 {
				t.Errorf("%s: returned after %d steps of %d for nothing", name, done, w.steps)
			}
		}
	}
	for lane, want := range w.y {
		var got, message512 [64]byte
		for i := range 8 {
			binary.BigEndian.PutUint64(got[8*(7-i):], m.memory[blockAt+uint64(64*lane+8*i)])
			binary.LittleEndian.PutUint64(message512[8*i:], m.memory[blockAt+uint64(message(i).Disp+8*lane)])
		}
		if got != message512 {
			t.Errorf("%s, lane %d: residue %x, message %x", name, lane, got, message512)
		}
		y := new(big.Int).SetBytes(got[:])
		if flags>>lane&1 == 1 { // what package simd does then
			reduced := new(big.Int).Sub(y, w.n)
			if reduced.Sign() < 0 {
				reduced.Add(reduced, new(big.Int).Lsh(big.NewInt(1), 512))
			}
			if reduced.Bit(511) == 0 {
				y = reduced
				w.corrected++
			}
		}
		if y.Cmp(want) != 0 {
			t.Errorf("%s, lane %d: residue %x, want %x", name, lane, y, want)
		}
	}
}
