// Package baseline is the engine cpu-baseline: the reference rule, nonce by
// nonce, an exponentiation each. It is slow and plainly right: what the other
// engines are compared with.
package baseline

import (
	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/blocks"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Engine is cpu-baseline.
type Engine struct{}

// Name implements [engine.Engine].
func (Engine) Name() string { return "cpu-baseline" }

// Backend implements [engine.Engine].
func (Engine) Backend() string { return "math/big" }

// Prepare implements [engine.Engine]. It returns no error.
func (Engine) Prepare(header [32]byte, threshold u512.Uint) (engine.Job, error) {
	return job{sha3rsa.NewReference(header), threshold}, nil
}

type job struct {
	ref       *sha3rsa.Reference
	threshold u512.Uint
}

// Search implements [engine.Job]. A block is one nonce, about 0.1 ms.
func (j job) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	first, last := j.ref.Distinct(r.Start, r.End)
	return blocks.SearchDistinct(r, first, last, p, func(nonce u512.Uint, _ uint64) (uint64, u512.Uint, bool) {
		_, valid := j.ref.Verify(nonce, j.threshold)
		return 1, nonce, valid
	})
}

// Verify implements [engine.Job].
func (j job) Verify(nonce u512.Uint) (u512.Uint, bool) {
	return sha3rsa.NewReference(j.ref.Header).Verify(nonce, j.threshold)
}
