package simd

import "github.com/quantus-network/quantus-miner/internal/qpow"

// portable is the walker for every machine: one lane, in Go.
type portable struct {
	ctx   *qpow.JobContext
	sieve sieve
	y     qpow.Residue
}

var portableKernel = kernel{"portable", 1, newPortable}

func newPortable(ctx *qpow.JobContext) walker { return &portable{ctx: ctx, sieve: newSieve(ctx)} }

func (p *portable) set(_ int, y qpow.Residue) { p.y = y }
func (p *portable) residue(int) qpow.Residue  { return p.y }

func (p *portable) walk(steps int) (done int, survivors uint64) {
	for i := range steps {
		m := messageOf(p.ctx, &p.y)
		p.ctx.StepMul(&p.y)
		if p.sieve.passes(keccakLane0(&m)) {
			return i + 1, 1
		}
	}
	return steps, 0
}
