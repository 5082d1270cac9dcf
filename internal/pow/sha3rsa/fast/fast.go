// Package fast is the engine cpu-fast: one exponentiation at the start of a
// range, then one modular multiplication and one hash per nonce, in pure Go.
package fast

import (
	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// batch is the number of nonces between two looks at the stop flag: about
// 0.15 ms, so that a stop takes effect well within a millisecond.
const batch = 256

// Engine is cpu-fast.
type Engine struct{}

// Name implements [engine.Engine].
func (Engine) Name() string { return "cpu-fast" }

// Backend implements [engine.Engine].
func (Engine) Backend() string { return "generic" }

// Prepare implements [engine.Engine]. It returns no error.
func (Engine) Prepare(header [32]byte, threshold u512.Uint) (engine.Job, error) {
	return job{sha3rsa.NewJobContext(header, threshold)}, nil
}

type job struct{ ctx *sha3rsa.JobContext }

// Search implements [engine.Job].
func (j job) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	nonce, last := j.ctx.Distinct(r.Start, r.End)
	if nonce.Cmp(last) > 0 {
		return engine.Outcome{Status: engine.Exhausted}
	}
	if !p.Advance(0) {
		return engine.Outcome{Status: engine.Stopped}
	}
	left := last.SubWrap(nonce).AddWrap(u512.From64(1))
	y := j.ctx.InitWorkerY0(nonce)
	for {
		n := min(batch, left.Sat64())
		for i := range n {
			distance := j.ctx.DistanceFromY(&y)
			if j.ctx.IsValidDistance(distance) {
				p.Advance(i + 1)
				return engine.Outcome{Status: engine.Found, Nonce: nonce.AddWrap(u512.From64(i))}
			}
			// One step too many at the very end, into a residue that nobody reads.
			j.ctx.StepMul(&y)
		}
		goOn := p.Advance(n)
		left = left.SubWrap(u512.From64(n))
		if left.IsZero() {
			p.Advance(r.End.SubWrap(last).Sat64())
			return engine.Outcome{Status: engine.Exhausted}
		}
		if !goOn {
			return engine.Outcome{Status: engine.Stopped}
		}
		nonce = nonce.AddWrap(u512.From64(n))
	}
}

// Verify implements [engine.Job].
func (j job) Verify(nonce u512.Uint) (u512.Uint, bool) {
	return sha3rsa.NewReference(j.ctx.Header).Verify(nonce, j.ctx.Threshold)
}
