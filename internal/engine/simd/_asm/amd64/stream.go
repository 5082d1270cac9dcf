package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
)

// A stream is a straight piece of code. Two streams that share no register, no
// flag and no memory can be woven into one, in any proportion.
type stream struct{ instructions []*ir.Instruction }

// add appends what a constructor of package x86 returned.
func (s *stream) add(i *ir.Instruction, err error) {
	if err != nil {
		panic(err) // a mistake in this generator
	}
	s.instructions = append(s.instructions, i)
}

// emit appends the stream to the function under construction.
func (s *stream) emit(c *build.Context) {
	for _, i := range s.instructions {
		c.Instruction(i)
	}
}

// weave returns both streams as one: b's instructions are spread evenly over a's.
// It keeps the order within each.
func weave(a, b *stream) *stream {
	woven := &stream{}
	done := 0
	for i, instruction := range a.instructions {
		woven.instructions = append(woven.instructions, instruction)
		due := (i + 1) * len(b.instructions) / len(a.instructions)
		woven.instructions = append(woven.instructions, b.instructions[done:due]...)
		done = due
	}
	return woven
}
