package simd

import (
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Engine is cpu-simd with one of its kernels; [Engines] makes them.
type Engine struct{ kernel kernel }

// Name implements [engine.Engine].
func (Engine) Name() string { return "cpu-simd" }

// Backend implements [engine.Engine]: it is the kernel's name.
func (e Engine) Backend() string { return e.kernel.name }

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
const steps, firstSteps = 64, 4

// period is the number of nonces that differ in their low 32 bits alone, which is
// all that walkers count.
const period = 1 << 32

type job struct {
	poseidon2.Reference
	kernel kernel
}

// Search implements [engine.Job]. It goes through the range in blocks, which end
// where the range or a period does.
func (j job) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	if r.Empty() {
		return engine.Outcome{Status: engine.Exhausted}
	}
	if !p.Advance(0) {
		return engine.Outcome{Status: engine.Stopped}
	}
	w := j.kernel.newWalker(j.Reference)
	most := uint64(firstSteps * j.kernel.lanes)
	for nonce := r.Start; ; most = uint64(steps * j.kernel.lanes) {
		left := r.End.SubWrap(nonce).Sat64() // behind this one
		n := min(left, most-1, period-1-nonce[0]%period) + 1
		winner, evaluated, ok := j.block(w, nonce, int(n))
		goOn := p.Advance(uint64(evaluated))
		if ok {
			return engine.Outcome{Status: engine.Found, Nonce: winner}
		}
		if left < n {
			return engine.Outcome{Status: engine.Exhausted}
		}
		if !goOn {
			return engine.Outcome{Status: engine.Stopped}
		}
		nonce = nonce.AddWrap(u512.From64(n))
	}
}

// block evaluates n nonces and returns the lowest valid one, if there is one. All
// lanes take a step together, so the last step may go beyond the n.
func (j job) block(w walker, start u512.Uint, n int) (winner u512.Uint, evaluated int, ok bool) {
	lanes := j.kernel.lanes
	w.set(start)
	for done := 0; done < n; {
		took, survivors := w.walk((n - done + lanes - 1) / lanes)
		at := done + (took-1)*lanes // the first lane's nonce in the last step
		done += took * lanes
		for ; survivors != 0; survivors &= survivors - 1 {
			i := at + bits.TrailingZeros64(survivors)
			if i >= n {
				break
			}
			nonce := start.AddWrap(u512.From64(uint64(i)))
			if _, valid := j.Verify(nonce); valid {
				return nonce, min(done, n), true
			}
		}
	}
	return winner, n, false
}
