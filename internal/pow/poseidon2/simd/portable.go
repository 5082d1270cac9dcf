package simd

import (
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// portable is the walker for every machine: one lane, in Go.
type portable struct {
	sponge
	window *poseidon2.Window
	nonce  u512.Uint
	top    uint64 // of the target
}

var portableKernel = kernel{Name: "portable", Lanes: 1, Runs: true, NewWalker: func(r poseidon2.Reference) walker {
	return &portable{sponge: sponge{header: r.Header}, top: r.Target[u512.Words-1]}
}}

func (p *portable) set(nonce u512.Uint) {
	if p.absorb(nonce) {
		p.window = p.midstate.Window()
	}
	p.nonce = nonce
}

func (p *portable) walk(steps int) (done int, survivors uint64) {
	for i := range steps {
		first := p.window.First(p.nonce)
		p.nonce = p.nonce.AddWrap(u512.From64(1))
		if first <= p.top {
			return i + 1, 1
		}
	}
	return steps, 0
}

// sponge keeps the midstate of the nonces that a walker is on.
type sponge struct {
	header   [poseidon2.HeaderSize]byte
	midstate poseidon2.Midstate
	high     [u512.Words / 2]uint64 // of the nonce that has it
	absorbed bool
}

// absorb computes the midstate of a nonce, unless it has that already. It reports whether
// it did.
func (s *sponge) absorb(nonce u512.Uint) bool {
	high := [u512.Words / 2]uint64(nonce[u512.Words/2:])
	if s.absorbed && high == s.high {
		return false
	}
	s.midstate, s.high, s.absorbed = poseidon2.NewMidstate(s.header, nonce), high, true
	return true
}
