package main

import (
	"fmt"
	"slices"
	"strings"
)

// A register is R0 to R30, or ZR, or a value, for which text finds one of them.
type register int

// zero is the register ZR, which is 0. What is behind it are values.
const zero register = 31

func (r register) String() string {
	if r == zero {
		return "ZR"
	}
	return fmt.Sprintf("R%d", int(r))
}

// An instruction is in the syntax of Go's assembler, which has the operands in the reverse
// of the manual's order.
type instruction struct {
	// format has a verb for each register, first for those that are read.
	format        string
	read, written []register
}

// is reports whether the instruction has one of these names.
func (in instruction) is(names ...string) bool {
	name, _, _ := strings.Cut(in.format, " ")
	return slices.Contains(names, name)
}

func (in instruction) setsFlags() bool { return in.is("ADDS", "SUBS", "SBCS", "CMP") }

func (in instruction) readsFlags() bool {
	return in.is("ADC", "SBC", "SBCS", "CSEL", "CSETMW", "CSETW")
}

// code is a straight piece of a program.
type code struct {
	instructions []instruction
	last         *register // of the values
}

func newCode() *code {
	last := zero
	return &code{last: &last}
}

// beside returns an empty piece, for code that is to be woven with other such pieces.
func (c *code) beside() *code { return &code{last: c.last} }

func (c *code) value() register {
	*c.last++
	return *c.last
}

// into appends an instruction that writes a register.
func (c *code) into(to register, format string, read ...register) register {
	c.instructions = append(c.instructions, instruction{format, read, []register{to}})
	return to
}

// op appends an instruction that writes a value, and returns that.
func (c *code) op(format string, read ...register) register {
	return c.into(c.value(), format, read...)
}

// do appends an instruction that writes no register.
func (c *code) do(format string, read ...register) {
	c.instructions = append(c.instructions, instruction{format, read, nil})
}

// load returns a word of the memory from base on, load2 two that follow each other.
func (c *code) load(base register, word int) register {
	return c.op(fmt.Sprintf("MOVD %d(%%v), %%v", 8*word), base)
}

func (c *code) load2(base register, word int) (x, y register) {
	x, y = c.value(), c.value()
	format := fmt.Sprintf("LDP %d(%%v), (%%v, %%v)", 8*word)
	c.instructions = append(c.instructions, instruction{format, []register{base}, []register{x, y}})
	return x, y
}

func (c *code) store(x, base register, word int) {
	c.do(fmt.Sprintf("MOVD %%v, %d(%%v)", 8*word), x, base)
}

func (c *code) store2(x, y, base register, word int) {
	c.do(fmt.Sprintf("STP (%%v, %%v), %d(%%v)", 8*word), x, y, base)
}

// groups cuts code into pieces as small as can be, but never between an instruction that
// sets flags and the last one that reads them.
func (c *code) groups() (groups [][]instruction) {
	wanted := false // by what is behind
	for _, in := range slices.Backward(c.instructions) {
		if !wanted {
			groups = append(groups, nil)
		}
		group := &groups[len(groups)-1]
		*group = append(*group, in)
		wanted = in.readsFlags() || wanted && !in.setsFlags()
	}
	for _, group := range groups {
		slices.Reverse(group)
	}
	slices.Reverse(groups)
	return groups
}

// weave appends pieces that do not wait for each other's results, in turns.
func (c *code) weave(pieces ...*code) {
	var all [][][]instruction
	for _, piece := range pieces {
		all = append(all, piece.groups())
	}
	for slices.ContainsFunc(all, func(groups [][]instruction) bool { return len(groups) > 0 }) {
		for i, groups := range all {
			if len(groups) > 0 {
				c.instructions = append(c.instructions, groups[0]...)
				all[i] = groups[1:]
			}
		}
	}
}

// text returns the code with registers of a pool for its values, each of which is free
// again where its value is read for the last time.
func (c *code) text(free ...register) string {
	last := map[register]int{}
	for i, in := range c.instructions {
		for _, r := range in.read {
			last[r] = i
		}
	}
	var text strings.Builder
	of := map[register]register{}
	for i, in := range c.instructions {
		var operands []any
		var done []register
		for _, r := range in.read {
			if r > zero && last[r] == i && !slices.Contains(done, r) {
				done = append(done, r)
			}
			operands = append(operands, found(of, r))
		}
		for _, r := range done {
			free = append(free, of[r])
			delete(of, r)
		}
		for _, r := range in.written {
			if r > zero {
				if last[r] <= i || len(free) == 0 {
					panic(fmt.Sprintf("%d registers are left for %s, the last read is at %d of %d", len(free), in.format, last[r], i))
				}
				of[r], free = free[0], free[1:]
			}
			operands = append(operands, found(of, r))
		}
		fmt.Fprintf(&text, "\t"+in.format+"\n", operands...)
	}
	return text.String()
}

// found returns the register of a value.
func found(of map[register]register, r register) register {
	if r <= zero {
		return r
	}
	physical, ok := of[r]
	if !ok {
		panic("a value is read that is not there")
	}
	return physical
}
