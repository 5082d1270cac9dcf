package machine

import (
	"math/bits"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// scalar is an instruction in general registers that is no jump. Operands are in the
// order of Go's assembler, the destination last. Those of 32 bits clear the upper half.
func (m *Machine) scalar(in *ir.Instruction) {
	o := in.Operands
	last := o[len(o)-1]
	if in.Opcode == "LEAQ" {
		m.set(last, m.address(o[0].(operand.Mem)))
		return
	}
	width := uint64(1<<64 - 1)
	if in.Opcode[len(in.Opcode)-1] == 'L' {
		width = 1<<32 - 1
	}
	a, b := m.value(o[0])&width, m.value(last)&width
	result := func(v, carry, overflow uint64) {
		m.set(last, v&width)
		m.cf, m.of, m.zf, m.less = carry, overflow, flag(v&width == 0), unknown
	}
	// sum adds to b; difference takes from it.
	sum := func(carry uint64) {
		v, over := bits.Add64(b, a, carry)
		if width == 1<<32-1 {
			over = v >> 32 & 1
		}
		result(v, over, unknown)
	}
	difference := func(borrow uint64) {
		v, over := bits.Sub64(b, a, borrow)
		result(v, over, unknown)
	}
	switch in.Opcode {
	case "MOVQ", "MOVL":
		m.set(last, a)
	case "MOVBEQQ", "BSWAPQ":
		m.set(last, bits.ReverseBytes64(a))
	case "BSWAPL":
		m.set(last, uint64(bits.ReverseBytes32(uint32(a))))
	case "ADDQ", "ADDL":
		sum(0)
	case "ADCQ":
		sum(m.cf)
	case "ADCXQ":
		b, m.cf = bits.Add64(b, a, m.cf)
		m.set(last, b)
	case "ADOXQ":
		b, m.of = bits.Add64(b, a, m.of)
		m.set(last, b)
	case "SUBQ":
		difference(0)
	case "SBBQ", "SBBL":
		difference(m.cf)
	case "DECQ":
		result(b-1, m.cf, unknown)
	case "INCQ":
		result(b+1, m.cf, unknown)
	case "ORQ", "ORL":
		result(a|b, 0, 0)
	case "XORL":
		result(a^b, 0, 0)
	case "SHLL":
		result(b<<a, unknown, unknown)
	case "MULXQ":
		high, low := bits.Mul64(m.general[reg.RDX.ID()], a)
		m.set(o[1], low)
		m.set(o[2], high)
	case "SHLXQ":
		m.set(last, m.value(o[1])<<(a&63))
	case "SHRXQ":
		m.set(last, m.value(o[1])>>(a&63))
	case "TESTL":
		m.cf, m.of, m.zf = 0, 0, flag(a&b == 0)
	case "CMPL", "CMPQ": // the order of Go's assembler is that of what is compared
		m.cf, m.of, m.zf, m.less = flag(a < b), unknown, flag(a == b), flag(int64(a) < int64(b))
	case "SETLS":
		m.set(last, m.value(last)&^0xff|m.cf|m.zf)
	default:
		panic("unknown instruction " + in.Opcode)
	}
}
