// Package all is the list of engines, and the choice from it.
package all

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/engine/baseline"
	"github.com/quantus-network/quantus-miner/internal/engine/fast"
	"github.com/quantus-network/quantus-miner/internal/engine/simd"
)

// Auto is the name that stands for the fastest engine.
const Auto = "auto"

// KernelVariable is the environment variable that names the fastest kernel that
// cpu-simd may take: for tests, and to see whether a kernel is to blame.
const KernelVariable = "MINER_SIMD_KERNEL"

// Engines returns every engine that this machine can run, fastest first. There
// is one cpu-simd for each of its kernels.
func Engines() ([]engine.Engine, error) {
	kernels, err := simd.Engines(os.Getenv(KernelVariable))
	if err != nil {
		return nil, fmt.Errorf("the variable %s %w", KernelVariable, err)
	}
	var engines []engine.Engine
	for _, e := range kernels {
		engines = append(engines, e)
	}
	return append(engines, fast.Engine{}, baseline.Engine{}), nil
}

// Names returns the engines' names, slowest first.
func Names() []string { return []string{"cpu-baseline", "cpu-fast", "cpu-simd"} }

// Check returns an error unless [Pick] knows the name.
func Check(name string) error {
	if names := append([]string{Auto}, Names()...); !slices.Contains(names, name) {
		return fmt.Errorf("must be one of %s", strings.Join(names, ", "))
	}
	_, err := Engines()
	return err
}

// Pick returns the fastest engine of that name, or of any name for [Auto], that
// passes its self-test on this machine. It also returns what those were refused
// for that did not pass, which should be told loudly.
func Pick(name string) (e engine.Engine, refused []error, err error) {
	if err := Check(name); err != nil {
		return nil, nil, err
	}
	engines, err := Engines()
	if err != nil {
		return nil, nil, err
	}
	return pick(engines, name)
}

// After returns the fastest engine that passes its self-test, of those that come
// after the given one: what to go on with when that one turns out to be wrong.
func After(wrong engine.Engine) (e engine.Engine, refused []error, err error) {
	engines, err := Engines()
	if err != nil {
		return nil, nil, err
	}
	return pick(after(engines, wrong), Auto)
}

// after returns the engines behind one, which is known by its names.
func after(engines []engine.Engine, one engine.Engine) []engine.Engine {
	is := func(e engine.Engine) bool { return e.Name() == one.Name() && e.Backend() == one.Backend() }
	return engines[slices.IndexFunc(engines, is)+1:]
}

func pick(engines []engine.Engine, name string) (e engine.Engine, refused []error, err error) {
	for _, e := range engines {
		if name != Auto && name != e.Name() {
			continue
		}
		if err := selfTest(e); err != nil {
			refused = append(refused, fmt.Errorf("refusing %s (%s) on this machine: %w", e.Name(), e.Backend(), err))
			continue
		}
		return e, refused, nil
	}
	if len(refused) == 0 {
		return nil, nil, errors.New("there is no slower engine")
	}
	return nil, nil, fmt.Errorf("no engine %q passes its self-test: %w", name, errors.Join(refused...))
}
