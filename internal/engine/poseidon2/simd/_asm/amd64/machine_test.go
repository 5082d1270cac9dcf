package main

import (
	"math/bits"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Few machines have AVX-512 with IFMA, and those that test this project need not. So
// the kernel is run by a machine of our own here, instruction by instruction. That
// shows that the program is right; that Go's assembler encodes it as it should, and
// that CPUs do as their manuals say, the tests of package simd show where they can.

// machine is as much of an amd64 CPU with AVX-512 as the kernel uses.
type machine struct {
	general map[reg.ID]uint64
	vectors map[reg.ID][8]uint64
	masks   map[reg.ID]uint8
	memory  map[uint64]uint64 // words at addresses divisible by 8
	symbols map[string]uint64 // addresses of tables
	cf, zf  uint64            // 0 or 1
}

// Where things are in its memory.
const (
	blockAt uint64 = (iota + 1) << 20
	frameAt
	tablesAt
)

// newMachine returns a machine that is about to run the function of a file for so
// many steps.
func newMachine(f *ir.File, steps uint64) *machine {
	m := &machine{
		map[reg.ID]uint64{}, map[reg.ID][8]uint64{}, map[reg.ID]uint8{}, map[uint64]uint64{}, map[string]uint64{}, 0, 0,
	}
	next := tablesAt
	for _, section := range f.Sections {
		if table, ok := section.(*ir.Global); ok {
			m.symbols[table.Symbol.Name] = next
			for _, datum := range table.Data {
				m.memory[next+uint64(datum.Offset)] = uint64(datum.Value.(operand.U64))
			}
			next += uint64(table.Size)
		}
	}
	m.memory[frameAt], m.memory[frameAt+8] = blockAt, steps
	m.general[block.ID()] = blockAt // as it is after the first instruction
	return m
}

func (m *machine) address(o operand.Mem) uint64 {
	at := uint64(o.Disp)
	switch {
	case o.Base == reg.FramePointer:
		return at + frameAt
	case o.Symbol.Name != "":
		return at + m.symbols[o.Symbol.Name]
	}
	return at + m.general[o.Base.ID()]
}

func id(o operand.Op) reg.ID { return o.(reg.Register).ID() }

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
	return m.general[id(o)]
}

func (m *machine) set(o operand.Op, v uint64) {
	if o, ok := o.(operand.Mem); ok {
		m.memory[m.address(o)] = v
		return
	}
	m.general[id(o)] = v
}

// vector is what a vector operand holds; broadcast is for those in memory.
func (m *machine) vector(o operand.Op, broadcast bool) (v [8]uint64) {
	at, ok := o.(operand.Mem)
	if !ok {
		return m.vectors[id(o)]
	}
	for i := range v {
		v[i] = m.memory[m.address(at)]
		if !broadcast {
			at.Disp += 8
		}
	}
	return v
}

// run runs a function to its end, from its beginning or from a label.
func (m *machine) run(f *ir.Function, from string) {
	labels := map[string]int{"": 0}
	for i, node := range f.Nodes {
		if label, ok := node.(ir.Label); ok {
			labels[string(label)] = i
		}
	}
	for i := labels[from]; ; i++ {
		in, ok := f.Nodes[i].(*ir.Instruction)
		if !ok {
			continue
		}
		switch in.Opcode {
		case "RET":
			return
		case "JMP", "JEQ", "JNE":
			if in.Opcode == "JMP" || (m.zf == 1) == (in.Opcode == "JEQ") {
				i = labels[string(in.Operands[0].(operand.LabelRef))]
			}
		default:
			if in.Opcode[0] == 'V' || in.Opcode[0] == 'K' {
				m.doVector(in)
			} else {
				m.do(in)
			}
		}
	}
}

// do is an instruction in general registers. Operands are in the order of Go's
// assembler, the destination last. Those of 32 bits clear the upper half.
func (m *machine) do(in *ir.Instruction) {
	o := in.Operands
	last := o[len(o)-1]
	width := uint64(1<<64 - 1)
	if in.Opcode[len(in.Opcode)-1] == 'L' {
		width = 1<<32 - 1
	}
	a, b := uint64(0), m.value(last)&width
	if at, ok := o[0].(operand.Mem); !ok || in.Opcode != "LEAQ" {
		a = m.value(o[0]) & width
	} else {
		a = m.address(at)
	}
	result := func(v uint64) {
		m.set(last, v&width)
		m.zf = 0
		if v&width == 0 {
			m.zf = 1
		}
	}
	// sum adds to b; difference takes from it.
	sum := func(carry uint64) {
		v, over := bits.Add64(b, a, carry)
		if width == 1<<32-1 {
			over = v >> 32 & 1
		}
		result(v)
		m.cf = over
	}
	difference := func(borrow uint64) {
		v, over := bits.Sub64(b, a, borrow)
		result(v)
		m.cf = over
	}
	switch in.Opcode {
	case "MOVQ", "MOVL", "LEAQ":
		m.set(last, a)
	case "ADDQ", "ADDL":
		sum(0)
	case "ADCQ":
		sum(m.cf)
	case "SUBQ":
		difference(0)
	case "SBBQ", "SBBL":
		difference(m.cf)
	case "DECQ":
		result(b - 1)
	case "INCQ":
		result(b + 1)
	case "ORL":
		result(a | b)
	case "SHLL":
		result(b << a)
	case "BSWAPQ":
		m.set(last, bits.ReverseBytes64(b))
	case "BSWAPL":
		m.set(last, uint64(bits.ReverseBytes32(uint32(b))))
	case "MULXQ":
		high, low := bits.Mul64(m.general[reg.RDX.ID()], a)
		m.set(o[1], low)
		m.set(o[2], high)
	case "SHLXQ":
		m.set(last, m.value(o[1])<<(a&63))
	case "SHRXQ":
		m.set(last, m.value(o[1])>>(a&63))
	case "TESTL", "CMPL", "CMPQ":
		v, over := a&b, uint64(0)
		if in.Opcode != "TESTL" {
			v, over = bits.Sub64(a, b, 0) // the order of Go's assembler is that of what is compared
		}
		m.cf, m.zf = over, 0
		if v == 0 {
			m.zf = 1
		}
	case "SETLS":
		m.set(last, m.value(last)&^0xff|m.cf|m.zf)
	default:
		panic("unknown instruction " + in.Opcode)
	}
}

// doVector is a vector instruction.
func (m *machine) doVector(in *ir.Instruction) {
	if in.Opcode == "VZEROUPPER" {
		return
	}
	o := in.Operands
	last := o[len(o)-1]
	broadcast := len(in.Suffixes) == 1 && in.Suffixes[0] == "BCST"
	// The operands in front of the destination, the last of them first: those before
	// are an immediate, a mask, or more vectors.
	var first, second [8]uint64
	var immediate uint64
	mask := uint8(0xff)
	var sources []operand.Op
	for _, x := range o[:len(o)-1] {
		if r, ok := x.(reg.Register); ok && r.Kind() == reg.KindOpmask && in.Opcode != "KMOVB" {
			mask = m.masks[id(x)]
		} else if n, ok := x.(operand.U8); ok {
			immediate = uint64(n)
		} else {
			sources = append(sources, x)
		}
	}
	if in.Opcode == "KMOVB" {
		m.set(last, uint64(m.masks[id(o[0])]))
		return
	}
	first = m.vector(sources[len(sources)-1], false)
	if len(sources) == 2 {
		second = m.vector(sources[0], broadcast)
	}
	lanes := func(f func(i int) uint64) {
		v := m.vector(last, false)
		for i := range v {
			if mask>>i&1 == 1 {
				v[i] = f(i)
			}
		}
		if at, ok := last.(operand.Mem); ok {
			for i := range v {
				m.memory[m.address(at)+8*uint64(i)] = v[i]
			}
			return
		}
		m.vectors[id(last)] = v
	}
	product := func(i int) (high, low uint64) {
		const low52 = 1<<52 - 1
		high, low = bits.Mul64(first[i]&low52, second[i]&low52)
		return high<<12 | low>>52, low & low52
	}
	switch in.Opcode {
	case "VMOVDQA64", "VMOVDQU64":
		lanes(func(i int) uint64 { return first[i] })
	case "VPBROADCASTQ":
		first = m.vector(o[0], true)
		lanes(func(i int) uint64 { return first[i] })
	case "VPXORQ":
		lanes(func(i int) uint64 { return first[i] ^ second[i] })
	case "VPANDQ":
		lanes(func(i int) uint64 { return first[i] & second[i] })
	case "VPADDQ":
		lanes(func(i int) uint64 { return first[i] + second[i] })
	case "VPSUBQ":
		lanes(func(i int) uint64 { return first[i] - second[i] })
	case "VPMULUDQ":
		lanes(func(i int) uint64 { return first[i] & (1<<32 - 1) * (second[i] & (1<<32 - 1)) })
	case "VPSLLQ":
		lanes(func(i int) uint64 { return first[i] << immediate })
	case "VPSRLQ":
		lanes(func(i int) uint64 { return first[i] >> immediate })
	case "VPSRAQ":
		lanes(func(i int) uint64 { return uint64(int64(first[i]) >> immediate) })
	case "VPTERNLOGQ":
		if immediate != 0xea {
			panic("another function than (a and b) or c")
		}
		old := m.vector(last, false)
		lanes(func(i int) uint64 { return old[i]&first[i] | second[i] })
	case "VPMADD52LUQ", "VPMADD52HUQ":
		old := m.vector(last, false)
		lanes(func(i int) uint64 {
			high, low := product(i)
			if in.Opcode == "VPMADD52HUQ" {
				return old[i] + high
			}
			return old[i] + low
		})
	case "VPSHUFB":
		lanes(func(i int) (v uint64) {
			for k := range 8 {
				at := second[i] >> (8 * k) & 0xff
				if at < 0x80 { // else 0
					v |= first[i&^1+int(at>>3)] >> (8 * (at & 7)) & 0xff << (8 * k)
				}
			}
			return v
		})
	case "VPCMPUQ":
		result := uint8(0)
		for i := range 8 {
			less, equal := first[i] < second[i], first[i] == second[i]
			if map[uint64]bool{1: less, 2: less || equal, 5: !less}[immediate] {
				result |= 1 << i
			}
		}
		m.masks[id(last)] = result
	default:
		panic("unknown instruction " + in.Opcode)
	}
}
