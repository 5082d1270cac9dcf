// Package baseline is the engine cpu-baseline for Poseidon2: the reference rule,
// nonce by nonce, five permutations each. It is slow and plainly right: what the
// other engines are compared with.
package baseline

import (
	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/blocks"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Engine is cpu-baseline.
type Engine struct{}

// Name implements [engine.Engine].
func (Engine) Name() string { return "cpu-baseline" }

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

// Search implements [engine.Job]. A block is one nonce, about 0.05 ms.
func (j job) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	return blocks.Search(r, p, func(nonce u512.Uint, _ uint64) (uint64, u512.Uint, bool) {
		_, valid := j.Verify(nonce)
		return 1, nonce, valid
	})
}
