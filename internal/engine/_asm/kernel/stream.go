package kernel

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
)

// A Stream is a straight piece of code. Streams that do not wait for each other's
// results, and share no flag and no register, can be interleaved into one, in any proportion.
type Stream struct{ instructions []*ir.Instruction }

// Add appends what a constructor of package x86 returned.
func (s *Stream) Add(i *ir.Instruction, err error) {
	s.instructions = append(s.instructions, Must(i, err))
}

// Append appends other streams, one after the other.
func (s *Stream) Append(others ...*Stream) {
	for _, other := range others {
		s.instructions = append(s.instructions, other.instructions...)
	}
}

// Cut returns the first instructions, so many percent, and the others.
func (s *Stream) Cut(percent int) (first, second *Stream) {
	n := len(s.instructions) * percent / 100
	return &Stream{s.instructions[:n:n]}, &Stream{s.instructions[n:]}
}

// Emit appends the stream to the function under construction.
func (s *Stream) Emit(c *build.Context) {
	for _, i := range s.instructions {
		c.Instruction(i)
	}
}

// Interleave returns streams as one: the others' instructions are spread evenly over
// the first one's. It keeps the order within each.
func Interleave(first *Stream, others ...*Stream) *Stream {
	interleaved := &Stream{}
	done := make([]int, len(others))
	for i, instruction := range first.instructions {
		interleaved.instructions = append(interleaved.instructions, instruction)
		for k, other := range others {
			due := (i + 1) * len(other.instructions) / len(first.instructions)
			interleaved.instructions = append(interleaved.instructions, other.instructions[done[k]:due]...)
			done[k] = due
		}
	}
	return interleaved
}

// Do returns a function that appends what a constructor of package x86 returned to the
// function under construction.
func Do(c *build.Context) func(*ir.Instruction, error) {
	return func(i *ir.Instruction, err error) { c.Instruction(Must(i, err)) }
}

// Must returns what a constructor of package x86 returned.
func Must(i *ir.Instruction, err error) *ir.Instruction {
	if err != nil {
		panic(err) // a mistake in a generator
	}
	return i
}
