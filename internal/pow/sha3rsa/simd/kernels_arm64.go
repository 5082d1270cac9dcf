//go:build !purego

package simd

import (
	"golang.org/x/sys/cpu"

	"github.com/quantus-network/quantus-miner/internal/pow/kernels"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
)

// pair is a walker that hashes two lanes at a time in assembly, and multiplies
// in Go.
type pair struct {
	ctx    *sha3rsa.JobContext
	filter filter
	hash   func(messages *[8][2]uint64) (lane0 [2]uint64)
	y      [2]sha3rsa.Residue
}

func (p *pair) set(lane int, y sha3rsa.Residue)  { p.y[lane] = y }
func (p *pair) residue(lane int) sha3rsa.Residue { return p.y[lane] }

func (p *pair) walk(steps int) (done int, survivors uint64) {
	for done < steps && survivors == 0 {
		var messages [8][2]uint64
		for lane := range p.y {
			for i, word := range messageOf(p.ctx, &p.y[lane]) {
				messages[i][lane] = word
			}
			p.ctx.StepMul(&p.y[lane])
		}
		for lane, lane0 := range p.hash(&messages) {
			if p.filter.passes(lane0) {
				survivors |= 1 << lane
			}
		}
		done++
	}
	return done, survivors
}

// pairs are the ways to hash two lanes.
var pairs = []struct {
	name string
	hash func(*[8][2]uint64) [2]uint64
}{
	{"sha3", keccakPair},
	{"sha3-mixed", keccakPairMixed},
}

// native returns the kernels in assembly that this CPU can run. Which one is faster
// depends on how many SHA3 instructions a CPU starts in a cycle, one or four.
func native() (list []kernel) {
	for _, p := range pairs {
		list = append(list, kernel{Name: p.name, Lanes: 2, Runs: cpu.ARM64.HasSHA3, NewWalker: func(ctx *sha3rsa.JobContext) walker {
			return &pair{ctx: ctx, filter: newFilter(ctx), hash: p.hash}
		}})
	}
	return kernels.Supported(list...)
}
