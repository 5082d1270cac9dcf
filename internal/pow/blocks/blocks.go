// Package blocks has the loop that the engines of all proofs of work share: it goes
// through a range block by block, counts, and stops when it is told to.
package blocks

import (
	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Block evaluates the next block of a search: the nonce first and some of those that
// follow it in the range, of which there are more. As u512 has no 2^512, and no block
// is that long, more stops at 2^64−1.
//
// It returns how many nonces it evaluated, at least 1 and at most 1 + more, and the
// lowest valid one of them, if found. A block without a valid nonce ends where the next
// one begins. A block should take well under a millisecond: so soon is a stop noticed.
type Block func(first u512.Uint, more uint64) (evaluated uint64, winner u512.Uint, found bool)

// Search implements [engine.Job.Search] for an engine that evaluates nonces in blocks.
func Search(r engine.Range, p *engine.Progress, block Block) engine.Outcome {
	if r.Empty() {
		return engine.Outcome{Status: engine.Exhausted}
	}
	nonce := r.Start
	for goOn := p.Advance(0); goOn; {
		more := r.End.SubWrap(nonce).Sat64()
		evaluated, winner, found := block(nonce, more)
		goOn = p.Advance(evaluated)
		if found {
			return engine.Outcome{Status: engine.Found, Nonce: winner}
		}
		if evaluated > more {
			return engine.Outcome{Status: engine.Exhausted}
		}
		nonce = nonce.AddWrap(u512.From64(evaluated))
	}
	return engine.Outcome{Status: engine.Stopped}
}

// SearchDistinct is Search for a proof of work of which not every nonce of r has to be
// evaluated, only those from first to last: none below first is valid, and those above
// last share its distance. So these are not evaluated, but count as soon as last is
// known not to be valid.
func SearchDistinct(r engine.Range, first, last u512.Uint, p *engine.Progress, block Block) engine.Outcome {
	outcome := Search(engine.Range{Start: first, End: last}, p, block)
	if outcome.Status == engine.Exhausted {
		p.Advance(r.End.SubWrap(last).Sat64())
	}
	return outcome
}
