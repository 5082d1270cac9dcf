//go:build !purego

package simd

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/quantus-network/quantus-miner/internal/pow/kernels"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// woven is a walker by a kernel in assembly, which hashes the lanes' residues and
// multiplies them in the same stream of instructions. The kernel takes steps until
// they are over, a nonce survives, or a lane is flagged, and returns how many are
// left.
type woven struct {
	*block
	shift  uint
	kernel func(b *block, steps int) (left int)
}

func newWoven(ctx *sha3rsa.JobContext, kernel func(*block, int) int) walker {
	if ctx.Step.Shift > maxShift {
		return nil
	}
	return &woven{block: newBlock(ctx), shift: ctx.Step.Shift, kernel: kernel}
}

func (w *woven) set(lane int, y sha3rsa.Residue) { w.block.set(lane, u512.Uint(y).Rsh(w.shift)) }

func (w *woven) residue(lane int) sha3rsa.Residue { return sha3rsa.Residue(w.y[lane].Lsh(w.shift)) }

func (w *woven) walk(steps int) (done int, survivors uint64) {
	for done < steps && survivors == 0 {
		left := w.kernel(w.block, steps-done)
		done = steps - left
		w.settle()
		survivors = w.survivors
	}
	return done, survivors
}

// native returns the kernels in assembly that this CPU can run, fastest first.
func native() []kernel { return kernels.Supported(avx512, avx2) }

var (
	avx512 = kernel{
		Name: "avx512", Lanes: 8, Features: []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512DQ, cpuid.BMI2, cpuid.ADX, cpuid.MOVBE},
		NewWalker: func(ctx *sha3rsa.JobContext) walker { return newWoven(ctx, walkAVX512) },
	}
	avx2 = kernel{
		Name: "avx2", Lanes: 4, Features: []cpuid.FeatureID{cpuid.AVX2, cpuid.BMI2, cpuid.ADX, cpuid.MOVBE},
		NewWalker: func(ctx *sha3rsa.JobContext) walker { return newWoven(ctx, walkAVX2) },
	}
)
