package simd

import (
	"fmt"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// kernel is a way to evaluate nonces.
type kernel struct {
	// name is what operators call it: that of the instruction set.
	name      string
	lanes     int
	newWalker func(poseidon2.Reference) walker
}

// A walker evaluates nonces, as many at a time as it has lanes. The lanes are on
// nonces that follow each other.
type walker interface {
	// set puts the first lane on a nonce. All that are evaluated until the next call
	// are of its period, or not looked at.
	set(nonce u512.Uint)
	// walk evaluates the lanes' nonces and goes on to the next ones, steps times or
	// until nonces survive: the top 64 bits of their hashes are not above the
	// target's. It returns how often it did, and on which lanes, as bits, a nonce
	// survived in the last step.
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
