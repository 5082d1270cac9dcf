package simd

import (
	"fmt"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
)

// kernel is a way to evaluate nonces.
type kernel struct {
	// name is what operators call it: that of the instruction set.
	name  string
	lanes int
	// newWalker returns a walker of as many lanes, or nil if the kernel does not
	// take the job.
	newWalker func(*sha3rsa.JobContext) walker
}

// A walker evaluates nonces on several lanes at a time. Each lane goes through
// consecutive nonces of its own.
type walker interface {
	// set puts a lane on a nonce, whose residue it is given.
	set(lane int, y sha3rsa.Residue)
	// residue returns the residue of the nonce that a lane is on.
	residue(lane int) sha3rsa.Residue
	// walk evaluates the lanes' nonces and goes on to the next, steps times or
	// until nonces survive the sieve. It returns how often it did, and on which
	// lanes, as bits, a nonce survived in the last step.
	walk(steps int) (done int, survivors uint64)
}

// Engines returns an engine for each kernel that this CPU can run, fastest first.
// The last one, portable, runs everywhere. The list begins with the kernel named
// fastest, unless that is empty: for tests, and to see whether a kernel is to
// blame.
func Engines(fastest string) ([]Engine, error) {
	var engines []Engine
	var names []string
	for _, k := range append(native(), portableKernel) {
		names = append(names, k.name)
		if len(engines) > 0 || fastest == "" || fastest == k.name {
			engines = append(engines, Engine{k})
		}
	}
	if len(engines) == 0 {
		return nil, fmt.Errorf("must be a kernel that this CPU can run: %s", strings.Join(names, ", "))
	}
	return engines, nil
}
