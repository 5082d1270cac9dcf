package kernel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
)

// A Model is what Schedule assumes of a CPU: how many instructions with vectors it begins
// in a cycle, and after how many cycles their results are there. With larger delays than
// the CPU's, instructions wait for each other less often, and take more registers.
type Model struct {
	All, Multiplies, Shifts int // these two are among all
	MultiplyDelay, Delay    int
}

// A Part is a stream that Schedule begins in cycle From, or later.
type Part struct {
	*Stream
	From int
}

// Schedule returns parts as one stream, in the order in which a CPU would begin their
// instructions that looked ahead without an end: in each cycle as many as can begin, those
// of earlier parts first.
//
// A part may use what earlier ones leave in registers or in memory; operands in memory
// with another text are taken for other places. Instructions must be of those with vectors,
// none of them a jump.
func Schedule(m Model, parts ...Part) *Stream {
	s := scheduler{model: m}
	places := map[string]*place{}
	var all []*node
	waiting := make([][]*node, len(parts))
	for i, part := range parts {
		for _, in := range part.instructions {
			n := newNode(in, places)
			all = append(all, n)
			if n.kind != free {
				waiting[i] = append(waiting[i], n)
			}
		}
	}
	some := func(nodes []*node) bool { return len(nodes) > 0 }
	for ; slices.ContainsFunc(waiting, some); s.cycle++ {
		s.begun = [kinds]int{}
		for i, part := range parts {
			if s.cycle < part.From {
				continue
			}
			for _, n := range waiting[i] {
				s.begin(n)
			}
			waiting[i] = slices.DeleteFunc(waiting[i], func(n *node) bool { return n.done })
		}
	}
	for _, n := range all {
		s.emit(n) // what nothing has waited for
	}
	return &s.Stream
}

// scheduler is a schedule under construction.
type scheduler struct {
	Stream
	model Model
	cycle int
	begun [kinds]int // in this cycle
}

// begin begins an instruction in this cycle, if it can.
func (s *scheduler) begin(n *node) {
	m, b := s.model, &s.begun
	full := b[multiply]+b[shift]+b[other] == m.All ||
		n.kind == multiply && b[multiply] == m.Multiplies ||
		n.kind == shift && b[shift] == m.Shifts
	if n.kind != store && full || !s.ready(n) {
		return
	}
	b[n.kind]++
	s.emit(n)
}

// ready reports whether all that an instruction needs is there in this cycle.
func (s *scheduler) ready(n *node) bool {
	for _, needed := range n.results {
		if needed.done && needed.there > s.cycle {
			return false
		}
	}
	for _, needed := range n.before {
		if !needed.done && (needed.kind != free || !s.ready(needed)) {
			return false
		}
	}
	return true
}

// emit appends an instruction, and before it what has to come before it and is free.
func (s *scheduler) emit(n *node) {
	if n.done {
		return
	}
	for _, needed := range n.before {
		s.emit(needed)
	}
	s.instructions = append(s.instructions, n.instruction)
	n.done, n.there = true, s.cycle
	switch n.kind {
	case multiply:
		n.there += s.model.MultiplyDelay
	case shift, other:
		n.there += s.model.Delay
	}
}

// node is an instruction of a schedule.
type node struct {
	instruction *ir.Instruction
	kind        kind
	before      []*node // what has to come before it
	results     []*node // those among them of which it takes results
	done        bool
	there       int // the cycle in which its result is there
}

type kind int

const (
	other kind = iota
	multiply
	shift
	store
	// free is what takes no port: loads, copies and zeros. They come with the first
	// instruction that takes their result.
	free
	kinds
)

func kindOf(in *ir.Instruction) kind {
	switch name := in.Opcode; {
	case operand.IsMem(in.Operands[len(in.Operands)-1]):
		return store
	case strings.HasPrefix(name, "VMOVDQ"), name == "VPBROADCASTQ", isZero(in):
		return free
	case strings.HasPrefix(name, "VPMADD52"), name == "VPMULUDQ":
		return multiply
	case strings.HasPrefix(name, "VPSLL"), strings.HasPrefix(name, "VPSRL"), strings.HasPrefix(name, "VPSRA"):
		return shift
	}
	return other
}

// isZero reports whether an instruction makes a zero of whatever is in a register.
func isZero(in *ir.Instruction) bool { return in.CancellingInputs && len(in.InputRegisters()) == 0 }

// place is a register or a place in memory, with the instructions that have last written
// to it, and read it since.
type place struct {
	written *node
	read    []*node
}

// newNode returns a node for the next instruction of a program.
func newNode(in *ir.Instruction, places map[string]*place) *node {
	n := &node{instruction: in, kind: kindOf(in)}
	var read, written []string
	for _, r := range in.InputRegisters() {
		read = append(read, fmt.Sprint(r.ID()))
	}
	for _, r := range in.OutputRegisters() {
		written = append(written, fmt.Sprint(r.ID()))
	}
	for i, o := range in.Operands {
		if operand.IsMem(o) && i < len(in.Operands)-1 {
			read = append(read, o.Asm())
		} else if operand.IsMem(o) {
			written = append(written, o.Asm())
		}
	}
	for _, name := range read {
		p := places[name]
		if p == nil {
			p = &place{}
			places[name] = p
		}
		if p.written != nil {
			n.before, n.results = append(n.before, p.written), append(n.results, p.written)
		}
		p.read = append(p.read, n)
	}
	for _, name := range written {
		if p := places[name]; p != nil {
			if p.written != nil {
				n.before = append(n.before, p.written)
			}
			n.before = append(n.before, slices.DeleteFunc(p.read, func(r *node) bool { return r == n })...)
		}
		places[name] = &place{written: n}
	}
	return n
}
