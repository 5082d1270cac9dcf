// Package baseline is the engine cpu-baseline: the reference rule, nonce by
// nonce, an exponentiation each. It is slow and plainly right: what the other
// engines are compared with.
package baseline

import (
	"github.com/quantus-network/quantus-miner/internal/engine"
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

// Search implements [engine.Job]. A batch is one nonce, about 0.1 ms.
func (j job) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	first, last := j.ref.Distinct(r.Start, r.End)
	if first.Cmp(last) > 0 {
		return engine.Outcome{Status: engine.Exhausted}
	}
	for nonce := first; p.Advance(0); nonce = nonce.AddWrap(u512.From64(1)) {
		_, valid := j.ref.Verify(nonce, j.threshold)
		p.Advance(1)
		if valid {
			return engine.Outcome{Status: engine.Found, Nonce: nonce}
		}
		if nonce == last {
			p.Advance(r.End.SubWrap(last).Sat64())
			return engine.Outcome{Status: engine.Exhausted}
		}
	}
	return engine.Outcome{Status: engine.Stopped}
}

// Verify implements [engine.Job].
func (j job) Verify(nonce u512.Uint) (u512.Uint, bool) {
	return sha3rsa.NewReference(j.ref.Header).Verify(nonce, j.threshold)
}
