package machine

import (
	"math/bits"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vector is what a vector operand of so many words holds; broadcast is for those in memory.
func (m *Machine) vector(o operand.Op, words int, broadcast bool) (v [8]uint64) {
	at, ok := o.(operand.Mem)
	if !ok {
		return m.vectors[id(o)]
	}
	for i := range words {
		v[i] = m.memory[m.address(at)]
		if !broadcast {
			at.Disp += 8
		}
	}
	return v
}

// vectorial is an instruction with vectors or masks.
func (m *Machine) vectorial(in *ir.Instruction) {
	o := in.Operands
	switch in.Opcode {
	case "VZEROUPPER":
		return
	case "KMOVB":
		m.set(o[1], uint64(m.masks[id(o[0])]))
		return
	case "KORTESTB":
		or := m.masks[id(o[0])] | m.masks[id(o[1])]
		m.cf, m.of, m.zf = flag(or == 0xff), 0, flag(or == 0)
		return
	}
	last := o[len(o)-1]
	words := 8
	for _, x := range o {
		if r, ok := x.(reg.Register); ok && r.Kind() == reg.KindVector {
			words = int(r.Size()) / 8
		}
	}
	broadcast := len(in.Suffixes) == 1 && in.Suffixes[0] == "BCST"
	// The operands in front of the destination, the last of them first: those before
	// are an immediate, a mask, or more vectors.
	var first, second [8]uint64
	var immediate uint64
	mask := uint8(0xff)
	var sources []operand.Op
	for _, x := range o[:len(o)-1] {
		if r, ok := x.(reg.Register); ok && r.Kind() == reg.KindOpmask {
			mask = m.masks[id(x)]
		} else if n, ok := x.(operand.U8); ok {
			immediate = uint64(n)
		} else {
			sources = append(sources, x)
		}
	}
	first = m.vector(sources[len(sources)-1], words, in.Opcode == "VPBROADCASTQ")
	if len(sources) == 2 {
		second = m.vector(sources[0], words, broadcast)
	}
	lanes := func(f func(i int) uint64) {
		v := m.vector(last, words, false)
		for i := range words {
			if mask>>i&1 == 1 {
				v[i] = f(i)
			}
		}
		if at, ok := last.(operand.Mem); ok {
			m.Store(at, v[:words]...)
			return
		}
		clear(v[words:])
		m.vectors[id(last)] = v
	}
	compare := func(f func(i int) bool) {
		result := uint8(0)
		for i := range words {
			if f(i) {
				result |= 1 << i
			}
		}
		m.masks[id(last)] = result & mask
	}
	product := func(i int) (high, low uint64) {
		const low52 = 1<<52 - 1
		high, low = bits.Mul64(first[i]&low52, second[i]&low52)
		return high<<12 | low>>52, low & low52
	}
	switch in.Opcode {
	case "VMOVDQA64", "VMOVDQU64", "VMOVDQU", "VPBROADCASTQ":
		lanes(func(i int) uint64 { return first[i] })
	case "VPXORQ", "VPXOR":
		lanes(func(i int) uint64 { return first[i] ^ second[i] })
	case "VPANDQ", "VPAND":
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
	case "VPROLQ":
		lanes(func(i int) uint64 { return bits.RotateLeft64(first[i], int(immediate)) })
	case "VPTERNLOGQ":
		old := m.vector(last, words, false)
		lanes(func(i int) (v uint64) {
			for bit := range 64 {
				index := old[i]>>bit&1<<2 | first[i]>>bit&1<<1 | second[i]>>bit&1
				v |= immediate >> index & 1 << bit
			}
			return v
		})
	case "VPMADD52LUQ", "VPMADD52HUQ":
		old := m.vector(last, words, false)
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
	case "VPCMPGTQ": // of numbers with a sign, without a mask
		lanes(func(i int) uint64 { return -flag(int64(first[i]) > int64(second[i])) })
	case "VMOVMSKPD":
		var signs uint64
		for i := range words {
			signs |= first[i] >> 63 << i
		}
		m.set(last, signs)
	case "VPTESTNMQ":
		compare(func(i int) bool { return first[i]&second[i] == 0 })
	case "VPCMPUQ":
		compare(func(i int) bool {
			switch immediate {
			case 1:
				return first[i] < second[i]
			case 2:
				return first[i] <= second[i]
			case 5:
				return first[i] >= second[i]
			}
			panic("unknown comparison")
		})
	default:
		panic("unknown instruction " + in.Opcode)
	}
}
