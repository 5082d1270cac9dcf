//go:build !purego

package simd

import (
	"github.com/klauspost/cpuid/v2"

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
func native() (kernels []kernel) {
	scalar := []cpuid.FeatureID{cpuid.BMI2, cpuid.ADX, cpuid.MOVBE}
	for _, k := range []struct {
		kernel
		vector []cpuid.FeatureID
	}{
		{avx512, []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512DQ}},
		{avx2, []cpuid.FeatureID{cpuid.AVX2}},
	} {
		// Supports says no, too, where the operating system does not save the registers.
		if cpuid.CPU.Supports(scalar...) && cpuid.CPU.Supports(k.vector...) {
			kernels = append(kernels, k.kernel)
		}
	}
	return kernels
}

var (
	avx512 = kernel{"avx512", 8, func(ctx *sha3rsa.JobContext) walker { return newWoven(ctx, walkAVX512) }}
	avx2   = kernel{"avx2", 4, func(ctx *sha3rsa.JobContext) walker { return newWoven(ctx, walkAVX2) }}
)
