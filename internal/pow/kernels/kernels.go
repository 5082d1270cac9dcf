// Package kernels has what the cpu-simd engines of all proofs of work share: the list of
// their kernels, and the choice from it.
package kernels

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

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
	// Runs says that this CPU can run it, and that the operating system saves the registers.
	Runs bool
}

// Supported returns those kernels that this CPU can run.
func Supported[Job, Walker any](kernels ...Kernel[Job, Walker]) (supported []Kernel[Job, Walker]) {
	for _, k := range kernels {
		if k.Runs {
			supported = append(supported, k)
		}
	}
	return supported
}

// ByTime returns kernels in the order of the time that they take for a nonce, shortest
// first: which one is faster depends on the CPU, and its features do not tell. A turn of a
// kernel evaluates so many nonces; other work on the machine only makes turns longer, so
// the shortest of a few counts. Kernels are given in the order that is likely, and one is
// put in front of another only if it takes less by a margin, so that the order is the same
// at every start. Where there is no choice nothing is measured.
func ByTime[Job, Walker any](kernels []Kernel[Job, Walker], turn func(Kernel[Job, Walker]) (run func(), nonces int)) (ordered []Kernel[Job, Walker]) {
	if len(kernels) < 2 {
		return kernels
	}
	type timed struct {
		run      func()
		nonces   int
		shortest time.Duration
	}
	var all []timed
	for _, k := range kernels {
		run, nonces := turn(k)
		all = append(all, timed{run, nonces, math.MaxInt64})
	}
	for range 5 {
		for i, t := range all { // in turns, so that a change of the clock's rate meets all
			start := time.Now()
			t.run()
			all[i].shortest = min(t.shortest, time.Since(start))
		}
	}
	const margin = 0.05
	var perNonce []float64
	for i, t := range all {
		took := float64(t.shortest) / float64(t.nonces)
		at := len(ordered)
		for at > 0 && took < perNonce[at-1]*(1-margin) {
			at--
		}
		ordered, perNonce = slices.Insert(ordered, at, kernels[i]), slices.Insert(perNonce, at, took)
	}
	return ordered
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
