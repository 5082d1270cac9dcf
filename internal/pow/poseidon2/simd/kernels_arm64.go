//go:build !purego

package simd

import (
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// scalars is a walker with the kernel in assembly.
type scalars struct {
	sponge
	*block
}

func (s *scalars) set(nonce u512.Uint) {
	s.absorb(nonce)
	s.block.set(&s.midstate, nonce)
}

// atOnce is how many steps a call of the kernel takes at most, as it can't be preempted: 0.1 ms on
// a CPU that takes 13,000 cycles a nonce.
const atOnce = 8

func (s *scalars) walk(steps int) (done int, survivors uint64) {
	for done < steps && survivors == 0 {
		n := min(steps-done, atOnce)
		done += n - walkUMULH(s.block, n)
		survivors = s.survivors
	}
	return done, survivors
}

// native returns the kernel in assembly, which every CPU can run.
func native() []kernel {
	return []kernel{{Name: "umulh", Lanes: 2, Runs: true, NewWalker: func(r poseidon2.Reference) walker {
		return &scalars{sponge{header: r.Header}, &block{target: r.Target[u512.Words-1]}}
	}}}
}
