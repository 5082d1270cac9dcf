// Package machine runs kernels for AVX-512 and AVX-IFMA instruction by instruction, for
// their tests: few CPUs have those, and the ones that test this project need not. It shows that a
// program is right; that Go's assembler encodes it as it should, and that CPUs do as
// their manuals say, the tests of the packages simd show where they can.
package machine

import (
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
)

// A Machine is as much of an amd64 CPU with AVX-512 and AVX-IFMA as the kernels use.
type Machine struct {
	general    map[reg.ID]uint64
	vectors    map[reg.ID][8]uint64 // also of four words, with zeros behind them
	masks      map[reg.ID]uint8
	memory     map[uint64]uint64 // words at addresses divisible by 8
	tables     map[string]uint64 // their addresses
	next       uint64            // address of a table
	cf, of, zf uint64            // 0 or 1, or unknown
	less       uint64            // after CMPQ alone: whether it was, as numbers with a sign
}

// unknown is a flag that no program may rely on: sums with it are wrong.
const unknown = 0xbad

// Where things are in its memory.
const (
	blockAt uint64 = (iota + 1) << 20
	frameAt
	tablesAt
)

// New returns a machine with the tables of a kernel's file, that is about to run the
// kernel for so many steps.
func New(f *ir.File, steps uint64) *Machine {
	m := &Machine{
		general: map[reg.ID]uint64{},
		vectors: map[reg.ID][8]uint64{},
		masks:   map[reg.ID]uint8{},
		memory:  map[uint64]uint64{},
		tables:  map[string]uint64{},
		next:    tablesAt,
	}
	for _, section := range f.Sections {
		if table, ok := section.(*ir.Global); ok {
			words := make([]uint64, table.Size/8)
			for _, datum := range table.Data {
				words[datum.Offset/8] = uint64(datum.Value.(operand.U64))
			}
			m.Table(table.Symbol.Name, words...)
		}
	}
	m.memory[frameAt], m.memory[frameAt+8] = blockAt, steps
	m.general[kernel.Block.ID()] = blockAt // as it is after the first instruction
	return m
}

// Table adds a table of words, which the program finds by its name.
func (m *Machine) Table(name string, words ...uint64) {
	m.tables[name] = m.next
	for _, word := range words {
		m.memory[m.next] = word
		m.next += 8
	}
}

// Store stores words in the block, from a place on.
func (m *Machine) Store(at operand.Mem, words ...uint64) {
	for i, word := range words {
		m.memory[m.address(at.Offset(8*i))] = word
	}
}

// Load returns a word of the block.
func (m *Machine) Load(at operand.Mem) uint64 { return m.memory[m.address(at)] }

// Left is how many steps the kernel has left.
func (m *Machine) Left() uint64 { return m.memory[frameAt+16] }

// Run runs a function to its end, from its beginning or from a label.
func (m *Machine) Run(f *ir.Function, from string) {
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
		case "JMP", "JEQ", "JNE", "JLT":
			if in.Opcode == "JMP" || in.Opcode == "JLT" && m.less == 1 ||
				in.Opcode == "JEQ" && m.zf == 1 || in.Opcode == "JNE" && m.zf == 0 {
				i = labels[string(in.Operands[0].(operand.LabelRef))]
			}
		default:
			if in.Opcode[0] == 'V' || in.Opcode[0] == 'K' {
				m.vectorial(in)
			} else {
				m.scalar(in)
			}
		}
	}
}

func (m *Machine) address(o operand.Mem) uint64 {
	at := uint64(o.Disp)
	switch {
	case o.Base == reg.FramePointer:
		at += frameAt
	case o.Symbol.Name != "":
		table, ok := m.tables[o.Symbol.Name]
		if !ok {
			panic("unknown symbol " + o.Symbol.Name)
		}
		at += table
	default:
		at += m.general[o.Base.ID()]
	}
	if o.Index != nil {
		at += m.general[o.Index.ID()] * uint64(o.Scale)
	}
	return at
}

func id(o operand.Op) reg.ID { return o.(reg.Register).ID() }

// value is what a general operand holds.
func (m *Machine) value(o operand.Op) uint64 {
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

func (m *Machine) set(o operand.Op, v uint64) {
	if o, ok := o.(operand.Mem); ok {
		m.memory[m.address(o)] = v
		return
	}
	m.general[id(o)] = v
}

// flag is a flag that is set or not.
func flag(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}
