package simd

import "github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"

// portable is the walker for every machine: one lane, in Go.
type portable struct {
	ctx    *sha3rsa.JobContext
	filter filter
	y      sha3rsa.Residue
}

var portableKernel = kernel{Name: "portable", Lanes: 1, Runs: true, NewWalker: newPortable}

func newPortable(ctx *sha3rsa.JobContext) walker { return &portable{ctx: ctx, filter: newFilter(ctx)} }

func (p *portable) set(_ int, y sha3rsa.Residue) { p.y = y }
func (p *portable) residue(int) sha3rsa.Residue  { return p.y }

func (p *portable) walk(steps int) (done int, survivors uint64) {
	for i := range steps {
		m := messageOf(p.ctx, &p.y)
		p.ctx.StepMul(&p.y)
		if p.filter.passes(keccakLane0(&m)) {
			return i + 1, 1
		}
	}
	return steps, 0
}
