// Package all is the list of engines.
package all

import (
	"fmt"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/engine/baseline"
	"github.com/quantus-network/quantus-miner/internal/engine/fast"
)

// Auto is the name that stands for the fastest engine.
const Auto = "auto"

// Engines returns every engine, slowest first.
func Engines() []engine.Engine {
	return []engine.Engine{baseline.Engine{}, fast.Engine{}}
}

// ByName returns the engine of that name; [Auto] is the fastest one.
func ByName(name string) (engine.Engine, error) {
	engines := Engines()
	if name == Auto {
		return engines[len(engines)-1], nil
	}
	for _, e := range engines {
		if e.Name() == name {
			return e, nil
		}
	}
	return nil, fmt.Errorf("must be one of %s", strings.Join(Names(), ", "))
}

// Names returns what ByName takes.
func Names() []string {
	names := []string{Auto}
	for _, e := range Engines() {
		names = append(names, e.Name())
	}
	return names
}
