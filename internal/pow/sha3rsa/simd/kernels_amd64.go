//go:build !purego

package simd

import (
	"golang.org/x/sys/cpu"

	"github.com/quantus-network/quantus-miner/internal/pow/kernels"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// interleaved is a walker with a kernel in assembly, which hashes the lanes' residues and
// multiplies them in one stream of instructions. The kernel returns when it has taken all
// steps, when a nonce survives, or when a lane is flagged. It returns how many steps are
// left.
type interleaved struct {
	*block
	shift  uint
	kernel func(b *block, steps int) (left int)
}

func newInterleaved(ctx *sha3rsa.JobContext, kernel func(*block, int) int) walker {
	if ctx.Step.Shift > maxShift {
		return nil
	}
	return &interleaved{block: newBlock(ctx), shift: ctx.Step.Shift, kernel: kernel}
}

func (w *interleaved) set(lane int, y sha3rsa.Residue) { w.block.set(lane, u512.Uint(y).Rsh(w.shift)) }

func (w *interleaved) residue(lane int) sha3rsa.Residue {
	return sha3rsa.Residue(w.y[lane].Lsh(w.shift))
}

func (w *interleaved) walk(steps int) (done int, survivors uint64) {
	for done < steps && survivors == 0 {
		left := w.kernel(w.block, steps-done)
		done = steps - left
		w.reduceFlagged()
		survivors = w.survivors
	}
	return done, survivors
}

// native returns the kernels in assembly that this CPU can run.
func native() []kernel { return kernels.Supported(avx512, avx2) }

var (
	avx512 = kernel{
		Name: "avx512", Lanes: 8,
		Runs:      cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasBMI2 && cpu.X86.HasADX && cpu.X86.HasMOVBE,
		NewWalker: func(ctx *sha3rsa.JobContext) walker { return newInterleaved(ctx, walkAVX512) },
	}
	avx2 = kernel{
		Name: "avx2", Lanes: 4,
		Runs:      cpu.X86.HasAVX2 && cpu.X86.HasBMI2 && cpu.X86.HasADX && cpu.X86.HasMOVBE,
		NewWalker: func(ctx *sha3rsa.JobContext) walker { return newInterleaved(ctx, walkAVX2) },
	}
)
