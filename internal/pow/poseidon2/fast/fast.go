// Package fast is the engine cpu-fast for Poseidon2: two permutations a nonce instead
// of five, in pure Go. The header and the nonce's high half are absorbed once, and
// the top 64 bits of the hash reject nearly all nonces.
package fast

import (
	"math"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/blocks"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// batch is the number of nonces between two looks at the stop flag: about
// 0.2 ms, so that a stop takes effect well within a millisecond.
const batch = 64

// Engine is cpu-fast.
type Engine struct{}

// Name implements [engine.Engine].
func (Engine) Name() string { return "cpu-fast" }

// Backend implements [engine.Engine].
func (Engine) Backend() string { return "generic" }

// Prepare implements [engine.Engine]. The threshold is the difficulty; 0 is an
// [engine.ThresholdError].
func (Engine) Prepare(header [32]byte, difficulty u512.Uint) (engine.Job, error) {
	ref, err := poseidon2.NewReference(header, difficulty)
	if err != nil {
		return nil, &engine.ThresholdError{Err: err}
	}
	return job{ref}, nil
}

type job struct{ poseidon2.Reference }

// Search implements [engine.Job].
func (j job) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	top := j.Target[u512.Words-1]
	var window *poseidon2.Window
	return blocks.Search(r, p, func(nonce u512.Uint, more uint64) (uint64, u512.Uint, bool) {
		if window == nil {
			m := poseidon2.NewMidstate(j.Header, nonce)
			window = m.Window()
		}
		inWindow := windowEnd(nonce).SubWrap(nonce).Sat64() // behind this nonce
		n := min(batch-1, more, inWindow) + 1
		for i := range n {
			candidate := nonce.AddWrap(u512.From64(i))
			if window.First(candidate) > top {
				continue
			}
			if _, valid := j.Verify(candidate); valid {
				return i + 1, candidate, true
			}
		}
		if inWindow < n {
			window = nil
		}
		return n, u512.Uint{}, false
	})
}

// windowEnd returns the last nonce that shares its high half with the given one.
func windowEnd(nonce u512.Uint) u512.Uint {
	for i := range u512.Words / 2 {
		nonce[i] = math.MaxUint64
	}
	return nonce
}
