package kernel

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// parser turns text into a program.
type parser struct {
	program
	slots  map[string]int
	labels map[string]int
	tables map[string]uint64 // addresses
	block  *asmBlock
	names  []string // of the present block, by order
	scope  int
	region string
}

var (
	tablePattern = regexp.MustCompile(`^\.const \.align \d+ \.(b8|u32|u64) (\w+)(?:\[\d+\])? = \{?([^}]*)\}?$`)
	labelPattern = regexp.MustCompile(`^(\$?\w+):$`)
	wordPattern  = regexp.MustCompile(`%?[A-Za-z_]\w*|\d+`)
)

// parse parses a text with one kernel.
func parse(text string) (*program, error) {
	p := &parser{program: program{memory: map[uint64][]byte{}}, slots: map[string]int{}, labels: map[string]int{}, tables: map[string]uint64{}, region: "entry"}
	inside := false
	for n, line := range strings.Split(text, "\n") {
		line = strings.Join(strings.Fields(line), " ")
		switch {
		case line == "// begin inline asm":
			p.block, p.names = &asmBlock{region: p.region, written: map[string]bool{}, from: len(p.code)}, nil
			p.emit(line, func(m *machine) error { m.ccKind = 0; return nil })
		case line == "// end inline asm":
			p.block.to = len(p.code)
			p.blocks, p.block = append(p.blocks, p.block), nil
			p.emit(line, func(m *machine) error { m.ccKind = 0; return nil })
		case line == "" || strings.HasPrefix(line, "//") || line == ")" || strings.HasPrefix(line, ".visible .entry") || strings.HasPrefix(line, ".param "):
		case line == "{":
			if inside {
				p.scope = n
			}
			inside = true
		case line == "}":
			p.scope = 0
		case labelPattern.MatchString(line):
			p.region = strings.TrimSuffix(line, ":")
			p.labels[p.region] = len(p.code)
		default:
			if err := p.statement(strings.TrimSuffix(line, ";")); err != nil {
				return nil, fmt.Errorf("line %d: %s: %w", n+1, line, err)
			}
		}
	}
	p.registers, p.places = len(p.slots), p.slots
	return &p.program, nil
}

func (p *parser) emit(text string, do func(*machine) error) {
	p.code = append(p.code, instruction{text, do})
}

// statement parses a directive or an instruction.
func (p *parser) statement(line string) error {
	for _, prefix := range []string{".version ", ".target ", ".address_size ", ".reg ", ".pragma "} {
		if strings.HasPrefix(line, prefix) {
			return nil
		}
	}
	if table := tablePattern.FindStringSubmatch(line); table != nil {
		size := map[string]int{"b8": 1, "u32": 4, "u64": 8}[table[1]]
		var content []byte
		for _, number := range strings.Split(table[3], ",") {
			x, err := immediate(strings.TrimSpace(number))
			if err != nil {
				return err
			}
			content = append(content, binary.LittleEndian.AppendUint64(nil, x)[:size]...)
		}
		address := uint64(constantBase+len(p.tables)) << 32
		p.tables[table[2]] = address
		p.memory[address>>32] = content
		return nil
	}
	guard, rest, guarded := strings.Cut(line, " ")
	if !strings.HasPrefix(guard, "@") {
		rest, guarded = line, false
	}
	code, arguments, _ := strings.Cut(rest, " ")
	do, err := p.operation(strings.Split(code, "."), operands(arguments))
	if err != nil {
		return err
	}
	if guarded {
		name, not := strings.CutPrefix(guard[1:], "!")
		predicate, always, when := p.slot(name), do, uint64(1)
		if not {
			when = 0
		}
		do = func(m *machine) error {
			if m.r[predicate] == when {
				return always(m)
			}
			return nil
		}
	}
	if p.block != nil {
		p.block.flow(arguments)
		p.block.shape += wordPattern.ReplaceAllStringFunc(line, p.shapeOf) + "; "
	}
	p.emit(line, do)
	return nil
}

// flow notes what an instruction reads and writes.
func (b *asmBlock) flow(arguments string) {
	list := operands(arguments)
	for _, word := range wordPattern.FindAllString(strings.Join(list[1:], " "), -1) {
		if word[0] == '%' && !b.written[word] && !slices.Contains(b.inputs, word) {
			b.inputs = append(b.inputs, word)
		}
	}
	for _, word := range wordPattern.FindAllString(list[0], -1) {
		if word[0] == '%' && !b.written[word] {
			b.outputs = append(b.outputs, word)
		}
		b.written[word] = true
	}
}

// shapeOf names registers by their order in a block of inline PTX.
func (p *parser) shapeOf(word string) string {
	if _, register := p.slots[p.scoped(word)]; !register {
		return word
	}
	for i, name := range p.names {
		if name == word {
			return fmt.Sprint("r", i)
		}
	}
	p.names = append(p.names, word)
	return fmt.Sprint("r", len(p.names)-1)
}

// scoped returns the name of a register: those of an inner block are its own.
func (p *parser) scoped(name string) string {
	if strings.HasPrefix(name, "%") {
		return name
	}
	return fmt.Sprint(p.scope, " ", name)
}

// slot returns the place of a register.
func (p *parser) slot(name string) int {
	name = p.scoped(name)
	if _, ok := p.slots[name]; !ok {
		p.slots[name] = len(p.slots)
	}
	return p.slots[name]
}

// operands splits at the commas that are not between braces.
func operands(text string) (list []string) {
	depth, from := 0, 0
	for i, c := range text + "," {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth == 0 {
				list = append(list, strings.TrimSpace(text[from:i]))
				from = i + 1
			}
		}
	}
	return list
}

func immediate(text string) (uint64, error) {
	if x, err := strconv.ParseInt(text, 0, 64); err == nil {
		return uint64(x), nil
	}
	return strconv.ParseUint(strings.TrimSuffix(text, "U"), 0, 64)
}

// value returns what reads an operand: a register, a number, the address of a table, or what a thread
// knows of itself: it is thread 0 of a block of one.
func (p *parser) value(text string) func(*machine) uint64 {
	constant := func(x uint64) func(*machine) uint64 { return func(*machine) uint64 { return x } }
	if x, err := immediate(text); err == nil {
		return constant(x)
	}
	if address, ok := p.tables[text]; ok {
		return constant(address)
	}
	switch text {
	case "%tid.x", "%ctaid.x":
		return constant(0)
	case "%ntid.x":
		return constant(1)
	}
	slot := p.slot(text)
	return func(m *machine) uint64 { return m.r[slot] }
}

// place returns what reads the address of an operand in brackets.
func (p *parser) place(text string) func(*machine) uint64 {
	base, offset, _ := strings.Cut(strings.Trim(text, "[]"), "+")
	at := p.value(base)
	more, _ := immediate(offset) // 0 if there is none
	return func(m *machine) uint64 { return at(m) + more }
}
