package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/cli"
	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu"
)

// engineFlag is an engine by its name. It is picked when it is needed, as that
// takes a self-test.
type engineFlag struct {
	name string
	pick func(pow.Proof) (e engine.Engine, refused []error, err error)
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *engineFlag) UnmarshalText(text []byte) error {
	f.name = string(text)
	if f.onGPU() {
		return nil
	}
	f.pick = func(proof pow.Proof) (engine.Engine, []error, error) { return pow.Pick(proof, f.name) }
	return pow.CheckName(f.name)
}

// onGPU reports whether it is the engine for GPUs, which the commands search and bench
// take: there it means that the CPU is not mined on.
func (f engineFlag) onGPU() bool { return f.name == gpu.Name }

// String returns the flag as it is given.
func (f engineFlag) String() string { return f.name }

// check returns an error if this machine cannot have the engine for a proof of work:
// for a command's check of its flags.
func (f engineFlag) check(proof pow.Proof) error {
	if f.onGPU() {
		return errors.New("--engine: gpu is for search and bench; to mine on GPUs as well, say --gpu")
	}
	err := cli.CheckQuotes(pow.KernelVariable)
	if err == nil {
		err = pow.Check(proof, f.name)
	}
	if err != nil {
		return fmt.Errorf("--engine: %w", err)
	}
	return nil
}

// checkAlone does the same for a command that takes the engine for GPUs, which mines on
// them alone.
func (f engineFlag) checkAlone(proof pow.Proof) error {
	if !f.onGPU() {
		return f.check(proof)
	}
	if proof != pow.Poseidon2 {
		return errors.New("--engine: gpu is for --pow poseidon2")
	}
	return nil
}

// choose picks the engine. What is wrong with a faster one, the log is told.
func (f engineFlag) choose(proof pow.Proof, log *slog.Logger) (engine.Engine, error) {
	e, refused, err := f.pick(proof)
	logRefused(log, refused)
	return e, err
}

// replace returns what a miner asks for another engine of its proof of work when the
// one that it has turns out to be wrong.
func replace(proof pow.Proof, log *slog.Logger) func(wrong engine.Engine) (engine.Engine, error) {
	return func(wrong engine.Engine) (engine.Engine, error) {
		e, refused, err := pow.After(proof, wrong)
		logRefused(log, refused)
		return e, err
	}
}

func logRefused(log *slog.Logger, refused []error) {
	for _, err := range refused {
		log.Error("an engine does not work here and is not used; please report this", "err", err)
	}
}

// enginesFlag is a list of engines.
type enginesFlag struct {
	all    bool // that it is all of them: which GPUs, other flags say
	listed []engineFlag
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *enginesFlag) UnmarshalText(text []byte) error {
	names := strings.Split(string(text), ",")
	*f = enginesFlag{all: string(text) == "all"}
	if f.all {
		names = pow.Names()
	}
	for _, name := range names {
		var e engineFlag
		name = strings.TrimSpace(name)
		if err := e.UnmarshalText([]byte(name)); err != nil {
			return fmt.Errorf("%q: %w; or just: all", name, err)
		}
		f.listed = append(f.listed, e)
	}
	return nil
}

// String returns the flag as it is given.
func (f enginesFlag) String() string {
	if f.all {
		return "all"
	}
	var names []string
	for _, e := range f.listed {
		names = append(names, e.name)
	}
	return strings.Join(names, ",")
}

// onCPU returns those of the CPU.
func (f enginesFlag) onCPU() []engineFlag {
	return slices.DeleteFunc(slices.Clone(f.listed), engineFlag.onGPU)
}

// gpus returns the one for GPUs, if it is among them.
func (f enginesFlag) gpus() engineFlag {
	if i := slices.IndexFunc(f.listed, engineFlag.onGPU); i >= 0 {
		return f.listed[i]
	}
	return engineFlag{}
}
