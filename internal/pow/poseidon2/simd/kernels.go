package simd

import (
	"sync"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/kernels"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// kernel is a way to evaluate nonces.
type kernel = kernels.Kernel[poseidon2.Reference, walker]

// A walker evaluates nonces, as many at a time as it has lanes. The lanes are on
// nonces that follow each other.
type walker interface {
	// set puts the first lane on a nonce, and the others on those that follow it. Until the
	// next call only results of nonces of the same period are used.
	set(nonce u512.Uint)
	// walk takes up to steps steps. A step evaluates the nonce of every lane and moves the
	// lanes to the next nonces; walk returns after one in which nonces survive: the top 64
	// bits of their hashes are not above the target's. It returns how many steps it took,
	// and the lanes, as bits, of those nonces.
	walk(steps int) (done int, survivors uint64)
}

// Engines returns an engine for each kernel that this CPU can run, fastest first, from
// the one named fastest on, or of all if that is empty. One of them, portable, runs
// everywhere.
func Engines(fastest string) ([]engine.Engine, error) {
	return kernels.Engines(supported(), fastest, func(k kernel) engine.Engine { return Engine{k} })
}

// supported are the kernels that this CPU can run, fastest first, which is measured, once, in half
// a millisecond.
var supported = sync.OnceValue(func() []kernel {
	return kernels.ByTime(append(native(), portableKernel), func(k kernel) (func(), int) {
		const steps = 2
		w := k.NewWalker(poseidon2.Reference{}) // no hash is valid
		w.set(u512.Uint{})
		return func() { w.walk(steps) }, steps * k.Lanes
	})
})
