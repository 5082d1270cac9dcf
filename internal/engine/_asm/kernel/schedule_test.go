package kernel_test

import (
	"math/rand/v2"
	"testing"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/engine/_asm/machine"
)

// vectors is how many vectors of the block a program works on.
const vectors = 8

func vector(i int) operand.Mem { return kernel.Word(8 * i) }

// program is a random program of a few parts, of which each may use what is in the
// memory, and what those before have left in registers.
func program(c *build.Context, r *rand.Rand) (parts []kernel.Part) {
	var registers []reg.VecVirtual
	recent := func() reg.VecVirtual { // so that there are few at a time
		last := registers[max(0, len(registers)-6):]
		return last[r.IntN(len(last))]
	}
	for i := range 1 + r.IntN(4) {
		s := &kernel.Stream{}
		for range 5 + r.IntN(30) {
			to := c.ZMM()
			kind := r.IntN(8)
			if len(registers) == 0 {
				kind = 0
			}
			switch kind {
			case 0:
				s.Add(x86.VMOVDQU64(vector(r.IntN(vectors)), to))
			case 1:
				s.Add(x86.VPXORQ(to, to, to))
			case 2:
				s.Add(x86.VMOVDQA64(recent(), to))
			case 3:
				s.Add(x86.VPSLLQ(operand.U8(r.IntN(9)), recent(), to))
			case 4:
				s.Add(x86.VPSUBQ(recent(), recent(), to))
			case 5:
				s.Add(x86.VPADDQ(vector(r.IntN(vectors)), recent(), to))
			case 6: // in place
				s.Add(x86.VPMADD52LUQ(recent(), recent(), recent()))
				continue
			case 7:
				s.Add(x86.VMOVDQU64(recent(), vector(r.IntN(vectors))))
				continue
			}
			s.Add(x86.VMOVDQU64(to, vector(vectors+len(registers)))) // Color wants it to be read
			registers = append(registers, to)
		}
		parts = append(parts, kernel.Part{Stream: s, From: i * r.IntN(10)})
	}
	return parts
}

// run returns what a program, drawn by a seed, leaves in memory.
func run(t *testing.T, seed uint64, emit func(c *build.Context, parts []kernel.Part)) (memory []uint64) {
	t.Helper()
	file, err := kernel.Compile(func(c *build.Context) {
		kernel.Begin(c, "walk", "of a test.")
		emit(c, program(c, rand.New(rand.NewPCG(seed, 1))))
		kernel.Do(c)(x86.RET())
	})
	if err != nil {
		t.Fatal(err)
	}
	m := machine.New(file, 1)
	const words = 8 * (vectors + 200)
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range words {
		m.Store(kernel.Word(i), r.Uint64())
	}
	m.Run(file.Sections[0].(*ir.Function), "")
	for i := range words {
		memory = append(memory, m.Load(kernel.Word(i)))
	}
	return memory
}

// TestSchedule compares what programs do in the order of a schedule, with few registers,
// and as they were written.
func TestSchedule(t *testing.T) {
	model := kernel.Model{All: 2, Multiplies: 1, Shifts: 1, MultiplyDelay: 5, Delay: 2}
	for seed := range uint64(100) {
		want := run(t, seed, func(c *build.Context, parts []kernel.Part) {
			s := &kernel.Stream{}
			for _, p := range parts {
				s.Append(p.Stream)
			}
			s.Emit(c)
		})
		got := run(t, seed, func(c *build.Context, parts []kernel.Part) {
			s := kernel.Schedule(model, parts...)
			s.Color(c)
			s.Emit(c)
		})
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("seed %d: word %d is %#x, want %#x", seed, i, got[i], want[i])
			}
		}
	}
}
