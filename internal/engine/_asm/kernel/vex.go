package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ifma are the instructions of AVX-IFMA, with their opcodes. Avo and Go's assembler know
// them as those of AVX-512, which have the same names, and a prefix (EVEX) that CPUs
// without AVX-512 do not know.
var ifma = map[string]byte{"VPMADD52LUQ": 0xb4, "VPMADD52HUQ": 0xb5}

// VEX has the functions of a compiled file be for CPUs with AVX2 and AVX-IFMA: it writes
// out the bytes of the instructions of AVX-IFMA. It is an error if there is anything else
// of AVX-512, be it a register.
func VEX(file *ir.File) error {
	for _, f := range file.Functions() {
		for _, in := range f.Instructions() {
			opcode, ok := ifma[in.Opcode]
			if err := withoutAVX512(in, ok); err != nil {
				return fmt.Errorf("%s: %w", text(in), err)
			}
			if !ok {
				continue
			}
			code, err := encode(opcode, in.Operands)
			if err != nil {
				return fmt.Errorf("%s: %w", text(in), err)
			}
			in.Opcode, in.Operands = data(code)+" // "+text(in), nil
		}
		f.ISA = slices.DeleteFunc(f.ISA, func(isa string) bool { return strings.HasPrefix(isa, "AVX512") })
		f.ISA = append(f.ISA, "AVX-IFMA")
		slices.Sort(f.ISA)
	}
	return nil
}

// withoutAVX512 returns an error if an instruction, which may be one of AVX-IFMA, takes
// something else of AVX-512.
func withoutAVX512(in *ir.Instruction, isIFMA bool) error {
	for _, isa := range in.ISA {
		if strings.HasPrefix(isa, "AVX512") && !isIFMA {
			return fmt.Errorf("requires %s", isa)
		}
	}
	if isIFMA && (len(in.Suffixes) > 0 || len(in.Operands) != 3) {
		return errors.New("is of AVX-512 alone")
	}
	for _, o := range in.Operands {
		if r, ok := o.(reg.Physical); ok && r.Kind() == reg.KindVector && (r.PhysicalIndex() > 15 || r.Size() > 32) {
			return fmt.Errorf("there is no register %s", r.Asm())
		}
	}
	return nil
}

func text(in *ir.Instruction) string {
	var operands []string
	for _, o := range in.Operands {
		operands = append(operands, o.Asm())
	}
	return in.OpcodeWithSuffixes() + " " + strings.Join(operands, ", ")
}

// data returns bytes as Go's assembler takes them.
func data(code []byte) string {
	var words []string
	for len(code) >= 4 {
		words = append(words, fmt.Sprintf("LONG $%#08x", binary.LittleEndian.Uint32(code)))
		code = code[4:]
	}
	for _, b := range code {
		words = append(words, fmt.Sprintf("BYTE $%#02x", b))
	}
	return strings.Join(words, "; ")
}

// encode returns an instruction VEX.256.66.0F38.W1, with the opcode given, on operands in
// the order of Go's assembler: a register or a place in memory, and two registers. An
// address is a register and a displacement.
func encode(opcode byte, operands []operand.Op) ([]byte, error) {
	var numbers [3]byte // of the registers; the first may be an address's
	for i, o := range operands {
		if m, ok := o.(operand.Mem); ok && i == 0 {
			if m.Symbol.Name != "" || m.Index != nil {
				return nil, fmt.Errorf("%s is not an address of a register and a displacement", m.Asm())
			}
			o = m.Base
		}
		r, ok := o.(reg.Physical)
		if !ok {
			return nil, fmt.Errorf("%s is not a register", o.Asm())
		}
		numbers[i] = byte(r.PhysicalIndex())
	}
	rm, source, to := numbers[0], numbers[1], numbers[2]
	code := []byte{
		0xc4,
		(^to>>3&1)<<7 | 1<<6 | (^rm>>3&1)<<5 | 2, // R, X, B inverted; the map 0F38
		1<<7 | (^source&15)<<3 | 1<<2 | 1,        // W; vvvv inverted; 256 bits; the prefix 66
		opcode,
	}
	modRM := to&7<<3 | rm&7
	m, inMemory := operands[0].(operand.Mem)
	if !inMemory {
		return append(code, 3<<6|modRM), nil
	}
	const sp, bp = 4, 5 // or R12, R13
	short := math.MinInt8 <= m.Disp && m.Disp <= math.MaxInt8
	switch {
	case m.Disp == 0 && rm&7 != bp:
		code = append(code, modRM)
	case short:
		code = append(code, 1<<6|modRM)
	default:
		code = append(code, 2<<6|modRM)
	}
	if rm&7 == sp {
		code = append(code, 0x24) // no index
	}
	switch {
	case m.Disp == 0 && rm&7 != bp:
		return code, nil
	case short:
		return append(code, byte(m.Disp)), nil
	default:
		return binary.LittleEndian.AppendUint32(code, uint32(m.Disp)), nil
	}
}
