package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// A program is a kernel in PTX, to be run by one thread: as much of the language as NVRTC and
// the text's own inline PTX use. What it does not know, it does not parse. The carry is known
// within a stretch of inline PTX alone: ptxas may use it otherwise between them.
type program struct {
	code      []instruction
	registers int
	memory    map[uint64][]byte // the constants, by the high half of their address
	blocks    []*asmBlock
	places    map[string]int // of the registers, by name
}

// instruction is one of them, with the block of inline PTX in which it is.
type instruction struct {
	text string
	do   func(*machine) error
}

// asmBlock is a stretch of inline PTX.
type asmBlock struct {
	region  string // the label before it
	shape   string // its text, registers by the order in which they appear
	carries []*carry
	// inputs are the registers that it reads and has not written, in the order in which they appear, and
	// outputs those of the text around it that it writes. Registers of its own have no %.
	inputs, outputs []string
	written         map[string]bool
	from, to        int // the instructions
}

// carry is a place at which a carry is used.
type carry struct {
	text   string
	borrow bool
	seen   [2]uint64 // how often it was 0 and 1
}

// machine is a thread that runs a program.
type machine struct {
	*program
	r      []uint64
	global []byte            // at address globalBase
	param  map[string]uint64 // by name
	pc     int
	cc     uint64
	ccKind byte // '+' if an addition has set it, '-' a subtraction, 0 nothing that may be relied on
}

// Addresses: a table of constants has the high half constantBase + its number, and what is
// below it is an offset.
const globalBase, constantBase = 1 << 32, 2

var errUnknown = errors.New("not known to this machine")

// operation returns what an instruction does.
func (p *parser) operation(code, args []string) (func(*machine) error, error) {
	kind := code[len(code)-1]
	has := func(modifier string) bool {
		for _, c := range code[1:] {
			if c == modifier {
				return true
			}
		}
		return false
	}
	width, _ := strconv.Atoi(strings.TrimLeft(kind, "usb"))
	if kind == "pred" {
		width = 1
	}
	signed := kind[0] == 's'
	mask := uint64(1)<<width - 1 // all ones for 64
	// extend has a value of a signed type be one of 64 bits.
	extend := func(x uint64) uint64 {
		if signed {
			return uint64(int64(x<<(64-width)) >> (64 - width))
		}
		return x & mask
	}
	switch code[0] {
	case "ret":
		return func(m *machine) error { m.pc = len(m.code); return nil }, nil
	case "bra":
		return func(m *machine) error { m.pc = p.labels[args[0]]; return nil }, nil
	case "ld":
		if has("param") {
			name, slot := strings.Trim(args[1], "[]"), p.slot(args[0])
			return func(m *machine) error { m.r[slot] = m.param[name] & mask; return nil }, nil
		}
		if width == 0 || !has("global") && !has("const") {
			return nil, errUnknown
		}
		slot, at := p.slot(args[0]), p.place(args[1])
		return func(m *machine) error {
			cell, err := m.cell(at(m), width/8)
			if err == nil {
				m.r[slot] = binary.LittleEndian.Uint64(append(append([]byte(nil), cell...), make([]byte, 8)...))
			}
			return err
		}, nil
	case "st":
		at, value := p.place(args[0]), p.value(args[1])
		return func(m *machine) error {
			cell, err := m.cell(at(m), width/8)
			if err == nil {
				copy(cell, binary.LittleEndian.AppendUint64(nil, value(m)))
			}
			return err
		}, nil
	case "atom":
		if !has("add") || width != 32 {
			return nil, errUnknown
		}
		slot, at, value := p.slot(args[0]), p.place(args[1]), p.value(args[2])
		return func(m *machine) error {
			cell, err := m.cell(at(m), 4)
			if err == nil {
				old := binary.LittleEndian.Uint32(cell)
				m.r[slot] = uint64(old)
				binary.LittleEndian.PutUint32(cell, old+uint32(value(m)))
			}
			return err
		}, nil
	}
	if names := strings.Trim(args[0], "{}"); names != args[0] { // mov.b64 {low, high}, x
		low, high, _ := strings.Cut(names, ",")
		l, h, x := p.slot(strings.TrimSpace(low)), p.slot(strings.TrimSpace(high)), p.value(args[1])
		if code[0] != "mov" || width != 64 {
			return nil, errUnknown
		}
		return func(m *machine) error { v := x(m); m.r[l], m.r[h] = v&0xffffffff, v>>32; return nil }, nil
	}
	if names := strings.Trim(args[len(args)-1], "{}"); names != args[len(args)-1] { // mov.b64 x, {low, high}
		low, high, _ := strings.Cut(names, ",")
		l, h, x := p.value(strings.TrimSpace(low)), p.value(strings.TrimSpace(high)), p.slot(args[0])
		if code[0] != "mov" || width != 64 {
			return nil, errUnknown
		}
		return func(m *machine) error { m.r[x] = l(m)&0xffffffff | h(m)<<32; return nil }, nil
	}
	target := p.slot(args[0])
	var in [4]func(*machine) uint64
	for i, arg := range args[1:] {
		in[i] = p.value(arg)
	}
	a, b, c, d := in[0], in[1], in[2], in[3]
	if adds := map[string]byte{"add": '+', "addc": '+', "sub": '-', "subc": '-', "mad": '+', "madc": '+'}[code[0]]; adds != 0 {
		// With the carry or without: a·b + c, a + b or a − b.
		var use *carry
		if strings.HasSuffix(code[0], "c") {
			use = &carry{text: strings.Join(code, "."), borrow: adds == '-'}
			if p.block == nil {
				return nil, errors.New("a carry outside of inline PTX")
			}
			p.block.carries = append(p.block.carries, use)
		}
		sets := has("cc")
		wide := width
		if has("wide") {
			wide *= 2
		}
		ones := uint64(1)<<wide - 1
		return func(m *machine) error {
			x, y := extend(a(m)), extend(b(m))
			if c != nil {
				high, low := product(x, y, signed)
				switch {
				case has("wide") || has("lo"):
					x = low
				case width == 64:
					x = high
				default:
					x = low >> 32
				}
				y = c(m)
			}
			x, y = x&ones, y&ones
			var cin, out uint64
			if use != nil {
				if m.ccKind != adds {
					return fmt.Errorf("a carry of the kind %q is used as %q", m.ccKind, adds)
				}
				cin = m.cc
				use.seen[cin]++
			}
			var sum uint64
			if adds == '+' {
				sum, out = bits.Add64(x, y, cin)
				if wide == 32 {
					out = sum >> 32
				}
			} else {
				sum, out = bits.Sub64(x, y, cin)
			}
			m.r[target] = sum & ones
			if sets {
				m.cc, m.ccKind = out, adds
			}
			return nil
		}, nil
	}
	var f func(*machine) uint64
	switch code[0] {
	case "mov":
		f = a
	case "cvta":
		f = a
	case "mul":
		f = func(m *machine) uint64 {
			high, low := product(extend(a(m)), extend(b(m)), signed)
			switch {
			case has("lo"):
				return low & mask
			case has("wide"):
				return low
			case width == 64:
				return high
			default:
				return low >> 32 & mask
			}
		}
	case "cvt": // cvt.to.from
		from := code[len(code)-1]
		to, _ := strconv.Atoi(strings.TrimLeft(code[len(code)-2], "usb"))
		if len(code) != 3 || from[0] == 'f' {
			return nil, errUnknown
		}
		f = func(m *machine) uint64 { return extend(a(m)) & (1<<to - 1) }
	case "bfi":
		f = func(m *machine) uint64 {
			field := (uint64(1)<<d(m) - 1) << c(m)
			return (b(m)&^field | a(m)<<c(m)&field) & mask
		}
	case "shl":
		f = func(m *machine) uint64 { return a(m) << b(m) & mask }
	case "shr":
		if signed {
			f = func(m *machine) uint64 { return uint64(int64(extend(a(m)))>>b(m)) & mask }
		} else {
			f = func(m *machine) uint64 { return extend(a(m)) >> b(m) }
		}
	case "and":
		f = func(m *machine) uint64 { return a(m) & b(m) & mask }
	case "or":
		f = func(m *machine) uint64 { return (a(m) | b(m)) & mask }
	case "xor":
		f = func(m *machine) uint64 { return (a(m) ^ b(m)) & mask }
	case "not":
		f = func(m *machine) uint64 { return ^a(m) & mask }
	case "neg":
		f = func(m *machine) uint64 { return -a(m) & mask }
	case "max", "min":
		f = func(m *machine) uint64 {
			x, y := extend(a(m)), extend(b(m))
			if less := x < y && !signed || int64(x) < int64(y) && signed; less == (code[0] == "max") {
				x = y
			}
			return x & mask
		}
	case "selp":
		f = func(m *machine) uint64 {
			if c(m) == 1 {
				return a(m) & mask
			}
			return b(m) & mask
		}
	case "setp":
		compare, err := comparison(code[1], signed)
		if err != nil || len(code) != 3 {
			return nil, errUnknown
		}
		f = func(m *machine) uint64 {
			if compare(extend(a(m)), extend(b(m))) {
				return 1
			}
			return 0
		}
	default:
		return nil, errUnknown
	}
	return func(m *machine) error { m.r[target] = f(m); return nil }, nil
}

// product returns a product of 128 bits.
func product(x, y uint64, signed bool) (high, low uint64) {
	high, low = bits.Mul64(x, y)
	if signed {
		high -= uint64(int64(x)>>63)&y + uint64(int64(y)>>63)&x
	}
	return high, low
}

func comparison(name string, signed bool) (func(x, y uint64) bool, error) {
	less := func(x, y uint64) bool { return x < y }
	if signed {
		less = func(x, y uint64) bool { return int64(x) < int64(y) }
	}
	switch name {
	case "eq":
		return func(x, y uint64) bool { return x == y }, nil
	case "ne":
		return func(x, y uint64) bool { return x != y }, nil
	case "lt", "lo":
		return less, nil
	case "ge", "hs":
		return func(x, y uint64) bool { return !less(x, y) }, nil
	case "gt", "hi":
		return func(x, y uint64) bool { return less(y, x) }, nil
	case "le", "ls":
		return func(x, y uint64) bool { return !less(y, x) }, nil
	}
	return nil, errUnknown
}

// cell returns the bytes at an address.
func (m *machine) cell(address uint64, size int) ([]byte, error) {
	content := m.global
	if address>>32 != globalBase>>32 {
		content = m.memory[address>>32]
	}
	at := int(address & 0xffffffff)
	if at+size > len(content) || at%size != 0 {
		return nil, fmt.Errorf("there is nothing at address %#x, or it is not aligned", address)
	}
	return content[at : at+size], nil
}

// runBlock runs a block of inline PTX alone, and returns its outputs.
func (p *program) runBlock(b *asmBlock, inputs []uint64) (outputs []uint64, err error) {
	m := &machine{program: p, r: make([]uint64, p.registers)}
	for i, x := range inputs {
		m.r[p.places[b.inputs[i]]] = x
	}
	for _, instruction := range p.code[b.from:b.to] {
		if err := instruction.do(m); err != nil {
			return nil, fmt.Errorf("%s: %w", instruction.text, err)
		}
	}
	for _, name := range b.outputs {
		outputs = append(outputs, m.r[p.places[name]])
	}
	return outputs, nil
}

// maxSteps bounds a run: a nonce takes some 60,000 instructions.
const maxSteps = 1 << 20

// run runs the program, with what is in global memory and the parameters, by name.
func (p *program) run(global []byte, param map[string]uint64) error {
	m := &machine{program: p, r: make([]uint64, p.registers), global: global, param: param}
	for range maxSteps {
		if m.pc == len(p.code) {
			return nil
		}
		at := m.pc
		m.pc++
		if err := p.code[at].do(m); err != nil {
			return fmt.Errorf("%s: %w", p.code[at].text, err)
		}
	}
	return errors.New("it does not end")
}
