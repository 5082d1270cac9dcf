package simd

import (
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/blocks"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Engine is cpu-simd with one of its kernels; [Engines] makes them.
type Engine struct{ kernel kernel }

// Name implements [engine.Engine].
func (Engine) Name() string { return "cpu-simd" }

// Backend implements [engine.Engine]: it is the kernel's name.
func (e Engine) Backend() string { return e.kernel.Name }

// Lanes is how many nonces the kernel evaluates at a time.
func (e Engine) Lanes() int { return e.kernel.Lanes }

// Prepare implements [engine.Engine]. The threshold is the difficulty; 0 is an
// [engine.ThresholdError].
func (e Engine) Prepare(header [32]byte, difficulty u512.Uint) (engine.Job, error) {
	ref, err := poseidon2.NewReference(header, difficulty)
	if err != nil {
		return nil, &engine.ThresholdError{Err: err}
	}
	return job{ref, e.kernel}, nil
}

// steps is how many nonces each lane goes through between two looks at the stop
// flag: 0.3 ms at most. The first block of a search is a short one, so that a new
// job's first nonces are counted at once.
const steps, firstSteps = 32, 2

// period is the number of nonces that differ in their low 32 bits alone. Walkers count no
// further.
const period = 1 << 32

type job struct {
	poseidon2.Reference
	kernel kernel
}

// Search implements [engine.Job]. It goes through the range in blocks, which end
// where the range or a period does.
func (j job) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	w := j.kernel.NewWalker(j.Reference)
	most := uint64(firstSteps * j.kernel.Lanes)
	return blocks.Search(r, p, func(nonce u512.Uint, more uint64) (uint64, u512.Uint, bool) {
		n := min(more, most-1, period-1-nonce[0]%period) + 1
		most = uint64(steps * j.kernel.Lanes)
		return j.block(w, nonce, n)
	})
}

// block evaluates n nonces and returns the lowest valid one, if there is one. All
// lanes take a step together, so the last step may go beyond the n.
func (j job) block(w walker, start u512.Uint, n uint64) (evaluated uint64, winner u512.Uint, found bool) {
	lanes := uint64(j.kernel.Lanes)
	w.set(start)
	for done := uint64(0); done < n; {
		took, survivors := w.walk(int((n - done + lanes - 1) / lanes))
		at := done + uint64(took-1)*lanes // the first lane's nonce in the last step
		done += uint64(took) * lanes
		for ; survivors != 0; survivors &= survivors - 1 {
			i := at + uint64(bits.TrailingZeros64(survivors))
			if i >= n {
				break
			}
			nonce := start.AddWrap(u512.From64(i))
			if _, valid := j.Verify(nonce); valid {
				return min(done, n), nonce, true
			}
		}
	}
	return n, u512.Uint{}, false
}
