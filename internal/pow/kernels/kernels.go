// Package kernels has what the cpu-simd engines of all proofs of work share: the list of
// their kernels, and the choice from it.
package kernels

import (
	"fmt"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"github.com/quantus-network/quantus-miner/internal/engine"
)

// Kernel is a way to evaluate nonces with one instruction set. It evaluates them for a
// Job by a Walker, two types that each proof of work has of its own.
type Kernel[Job, Walker any] struct {
	// Name is what operators call it: that of the instruction set.
	Name string
	// Lanes is how many nonces are evaluated at a time.
	Lanes int
	// NewWalker returns a walker of as many lanes.
	NewWalker func(Job) Walker
	// Features are those that a CPU must have for it.
	Features []cpuid.FeatureID
}

// Supported returns those kernels that this CPU can run.
func Supported[Job, Walker any](kernels ...Kernel[Job, Walker]) (supported []Kernel[Job, Walker]) {
	for _, k := range kernels {
		// Supports says no, too, where the operating system does not save the registers.
		if cpuid.CPU.Supports(k.Features...) {
			supported = append(supported, k)
		}
	}
	return supported
}

// Engines returns an engine for each kernel of a list, fastest first. The result begins
// with the kernel named fastest, if that is not empty: for tests, and to find out whether
// a kernel causes a problem. It is an error if there is no kernel of that name.
func Engines[Job, Walker any](kernels []Kernel[Job, Walker], fastest string, newEngine func(Kernel[Job, Walker]) engine.Engine) ([]engine.Engine, error) {
	var engines []engine.Engine
	var names []string
	for _, k := range kernels {
		names = append(names, k.Name)
		if len(engines) > 0 || fastest == "" || fastest == k.Name {
			engines = append(engines, newEngine(k))
		}
	}
	if len(engines) == 0 {
		return nil, fmt.Errorf("must be a kernel that this CPU can run: %s", strings.Join(names, ", "))
	}
	return engines, nil
}
