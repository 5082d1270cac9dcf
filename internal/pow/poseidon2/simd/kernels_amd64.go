//go:build !purego

package simd

import (
	"golang.org/x/sys/cpu"

	"github.com/quantus-network/quantus-miner/internal/pow/kernels"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// vectors is a walker with a kernel in assembly. The kernel returns when it has taken all
// steps or when a nonce survives. It returns how many steps are left.
type vectors struct {
	sponge
	*pair
	kernel func(b *block, steps int) (left int)
}

func newVectors(r poseidon2.Reference, lanes int, kernel func(*block, int) int) walker {
	return &vectors{sponge{header: r.Header}, newPair(r.Target[u512.Words-1], lanes/2), kernel}
}

func (v *vectors) set(nonce u512.Uint) {
	v.absorb(nonce)
	v.pair.set(&v.midstate, nonce)
}

func (v *vectors) walk(steps int) (done int, survivors uint64) {
	left := v.kernel(&v.pair[0], steps)
	return steps - left, v.survivors()
}

// native returns the kernels in assembly that this CPU can run.
func native() []kernel { return kernels.Supported(avx512, avx512Wide, avxIFMA, avx2) }

var (
	hasAVX512 = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512IFMA && cpu.X86.HasBMI2

	avx512 = kernel{
		Name: "avx512", Lanes: 2 * (8 + 2), Runs: hasAVX512,
		NewWalker: func(r poseidon2.Reference) walker { return newVectors(r, 2*(8+2), walkAVX512) },
	}
	avx512Wide = kernel{
		Name: "avx512wide", Lanes: 2 * 8, Runs: hasAVX512,
		NewWalker: func(r poseidon2.Reference) walker { return newVectors(r, 2*8, walkAVX512Wide) },
	}
	avxIFMA = kernel{
		Name: "avxifma", Lanes: 2 * (4 + 1), Runs: cpu.X86.HasAVXIFMA && cpu.X86.HasAVX2 && cpu.X86.HasBMI2,
		NewWalker: func(r poseidon2.Reference) walker { return newVectors(r, 2*(4+1), walkAVXIFMA) },
	}
	avx2 = kernel{
		Name: "avx2", Lanes: 2 * (4 + 2), Runs: cpu.X86.HasAVX2 && cpu.X86.HasBMI2,
		NewWalker: func(r poseidon2.Reference) walker { return newVectors(r, 2*(4+2), walkAVX2) },
	}
)
