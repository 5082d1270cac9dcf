package kernel

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Color has a stream use as few registers for vectors as there can be: each that is first
// written to in the stream, and nowhere used behind it, is one of a few, of which one is
// free again when it was read for the last time. As lives in straight code are intervals, that
// is optimal, which the allocator of avo is not.
func (s *Stream) Color(c *build.Context) {
	last := map[reg.ID]int{} // use of it
	for i, in := range s.instructions {
		for _, r := range append(in.InputRegisters(), in.OutputRegisters()...) {
			last[r.ID()] = i
		}
	}
	colors := map[reg.ID]reg.VecVirtual{}
	others := map[reg.ID]bool{} // read before they were written to
	var free []reg.VecVirtual
	for i, in := range s.instructions {
		// What is read for the last time makes room for what is written.
		of := map[reg.ID]reg.VecVirtual{}
		for _, r := range in.InputRegisters() {
			id := r.ID()
			if color, ok := colors[id]; ok {
				of[id] = color
				if last[id] == i {
					free = append(free, color)
					delete(colors, id)
				}
			} else if of[id] == nil {
				others[id] = true
			}
		}
		for _, r := range in.OutputRegisters() {
			id := r.ID()
			if r.Kind() != reg.KindVector || others[id] || of[id] != nil {
				continue
			}
			if last[id] == i {
				panic(fmt.Sprintf("nothing reads what %s returns", in.Opcode))
			}
			if len(free) == 0 {
				free = append(free, c.ZMM())
			}
			of[id], colors[id], free = free[0], free[0], free[1:]
		}
		for _, operands := range [][]operand.Op{in.Operands, in.Inputs, in.Outputs} {
			for k, o := range operands {
				v, ok := o.(reg.VecVirtual)
				if !ok || of[v.ID()] == nil {
					continue
				}
				if v.Size() == 32 {
					operands[k] = of[v.ID()].AsY()
				} else {
					operands[k] = of[v.ID()].AsZ()
				}
			}
		}
	}
}
