package simd

import (
	"sync"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/kernels"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
)

// kernel is a way to evaluate nonces. Its NewWalker returns nil if the kernel does not
// take the job.
type kernel = kernels.Kernel[*sha3rsa.JobContext, walker]

// A walker evaluates nonces on several lanes at a time. Each lane goes through
// consecutive nonces of its own.
type walker interface {
	// set puts a lane on a nonce, whose residue it is given.
	set(lane int, y sha3rsa.Residue)
	// residue returns the residue of the nonce that a lane is on.
	residue(lane int) sha3rsa.Residue
	// walk takes up to steps steps. A step evaluates the nonce of every lane and moves the
	// lanes to their next nonces; walk returns after one in which nonces pass the filter.
	// It returns how many steps it took, and the lanes, as bits, of those nonces.
	walk(steps int) (done int, survivors uint64)
}

// Engines returns an engine for each kernel that this CPU can run, fastest first, from
// the one named fastest on, or of all if that is empty. The last one, portable, runs
// everywhere.
func Engines(fastest string) ([]engine.Engine, error) {
	return kernels.Engines(supported(), fastest, func(k kernel) engine.Engine { return Engine{k} })
}

// supported are the kernels that this CPU can run, fastest first. Which of those in
// assembly that is is measured, once, in 0.1 ms.
var supported = sync.OnceValue(func() []kernel {
	return append(kernels.ByTime(native(), func(k kernel) (func(), int) {
		const steps = 16
		// What is multiplied and hashed does not matter: the time is the same, and so is the
		// hash, which is not valid.
		w := k.NewWalker(&sha3rsa.JobContext{Reference: new(sha3rsa.Reference)})
		return func() { w.walk(steps) }, steps * k.Lanes
	}), portableKernel)
})
