package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
)

// A stream is a straight piece of code. Streams that do not wait for each other's
// results can be woven into one, in any proportion.
type stream struct{ instructions []*instruction }

type instruction = ir.Instruction

// add appends what a constructor of package x86 returned.
func (s *stream) add(i *instruction, err error) {
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

// weave returns streams as one: the others' instructions are spread evenly over
// the first one's. It keeps the order within each.
func weave(first *stream, others ...*stream) *stream {
	woven := &stream{}
	done := make([]int, len(others))
	for i, instruction := range first.instructions {
		woven.instructions = append(woven.instructions, instruction)
		for k, other := range others {
			due := (i + 1) * len(other.instructions) / len(first.instructions)
			woven.instructions = append(woven.instructions, other.instructions[done[k]:due]...)
			done[k] = due
		}
	}
	return woven
}

// then returns streams one after the other.
func then(streams ...*stream) *stream {
	all := &stream{}
	for _, s := range streams {
		all.instructions = append(all.instructions, s.instructions...)
	}
	return all
}

// cut returns the first instructions, so many percent, and the others.
func (s *stream) cut(percent int) (first, second *stream) {
	n := len(s.instructions) * percent / 100
	return &stream{s.instructions[:n]}, &stream{s.instructions[n:]}
}
