package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/cli"
	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
	"github.com/quantus-network/quantus-miner/internal/watch/metrics"
)

// gpuFlags say which devices to mine on, and how. Which is the default, a command says.
type gpuFlags struct {
	GPU             gpuFlag      `name:"gpu" group:"GPUs:" env:"MINER_GPU" default:"${gpu_default}" placeholder:"WHICH" help:"GPUs to mine on: auto (the discrete ones, or the integrated ones if there is no other), none, all (of both kinds), or numbers such as 0,2, as the command devices lists them; a CPU that OpenCL reaches is used by its number alone. ${default} by default."`
	GPUDevices      *gpusFlag    `name:"gpu-devices" group:"GPUs:" env:"MINER_GPU_DEVICES" placeholder:"N" help:"Mine on so many of them at most; 0 for none."`
	AllowIntegrated bool         `group:"GPUs:" env:"MINER_ALLOW_INTEGRATED" help:"Integrated GPUs count as discrete ones do."`
	GPUThrottle     throttleFlag `name:"gpu-throttle" group:"GPUs:" env:"MINER_GPU_THROTTLE" default:"100%" placeholder:"PERCENT" help:"Share of its time that each GPU may search for, such as 50%."`
	GPULaunch       launchFlag   `name:"gpu-launch" group:"GPUs:" env:"MINER_GPU_LAUNCH" default:"25ms" placeholder:"TIME" help:"Time that a launch may take, from 1ms to 1s, ${default} by default: a display that the GPU serves waits for it."`
	gpuProgramFlag
}

// gpuProgramFlag says where the program is that opens drivers.
type gpuProgramFlag struct {
	GPUProgram string `name:"gpu-program" group:"GPUs:" env:"MINER_GPU_PROGRAM" placeholder:"FILE" help:"The program quantus-miner-gpu. By default the one beside this program, or the one in PATH."`
}

// backendVariable is the environment variable that names the one back end to use: for
// tests, and to see whether a back end is to blame.
const backendVariable = "MINER_GPU_BACKEND"

// gpuFlag is a choice of devices.
type gpuFlag gpu.Choice

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *gpuFlag) UnmarshalText(text []byte) error {
	c, err := gpu.ParseChoice(string(text))
	*f = gpuFlag(c)
	return err
}

// String returns the flag as it is given.
func (f gpuFlag) String() string {
	switch {
	case f.Auto:
		return "auto"
	case f.All:
		return "all"
	case len(f.Numbers) == 0:
		return "none"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(f.Numbers), " ", ","), "[]")
}

// gpusFlag is a number of GPUs.
type gpusFlag int

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *gpusFlag) UnmarshalText(text []byte) error {
	var n int
	if _, err := fmt.Sscanf(string(text), "%d", &n); err != nil || fmt.Sprint(n) != string(text) || n < 0 || n > 255 {
		return errors.New("must be a number of GPUs from 0 (none) to 255")
	}
	*f = gpusFlag(n)
	return nil
}

// launchFlag is the time that a launch may take.
type launchFlag time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *launchFlag) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < time.Millisecond || d > time.Second {
		return errors.New("must be a time from 1ms to 1s, such as 25ms")
	}
	*f = launchFlag(d)
	return nil
}

// String returns the flag as it is given.
func (f launchFlag) String() string { return shortTime(time.Duration(f)) }

// checkBackend says what is wrong with the variable.
func checkBackend() error {
	if err := cli.CheckQuotes(backendVariable); err != nil {
		return err
	}
	if _, err := gpu.Backends(os.Getenv(backendVariable)); err != nil {
		return fmt.Errorf("the variable %s %w", backendVariable, err)
	}
	return nil
}

// list returns the program, the devices that it finds, and what is wrong with back ends.
func (f gpuProgramFlag) list(ctx context.Context) (program string, devices []wire.Device, problems []gpu.Problem, err error) {
	backends, err := gpu.Backends(os.Getenv(backendVariable))
	if err == nil {
		program, err = gpu.FindProgram(f.GPUProgram)
	}
	if err != nil {
		return "", nil, nil, fmt.Errorf("looking for GPUs: %w", err)
	}
	devices, problems = gpu.List(ctx, program, backends)
	return program, devices, problems, ctx.Err()
}

// wanted reports whether any device may be mined on.
func (f gpuFlags) wanted() bool {
	return !gpu.Choice(f.GPU).None() && (f.GPUDevices == nil || *f.GPUDevices > 0)
}

// joins reports whether devices join the CPU in mining with a proof of work, if there are
// any.
func (f gpuFlags) joins(proof pow.Proof) bool { return proof == pow.Poseidon2 && f.wanted() }

// check says what is wrong with the flags together, for a proof of work.
func (f gpuFlags) check(proof pow.Proof) error {
	if proof != pow.Poseidon2 && gpu.Choice(f.GPU).Named() {
		return errors.New("--gpu: is for --pow poseidon2")
	}
	return checkBackend()
}

// devices returns the devices that are to be mined on. That there is none is an error only
// if some were named.
func (f gpuFlags) devices(ctx context.Context, log *slog.Logger) (devices []*gpu.Device, err error) {
	if !f.wanted() {
		return nil, nil
	}
	choice := gpu.Choice(f.GPU)
	program, all, problems, err := f.list(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		if choice.Named() {
			return nil, err
		}
		log.Info("no GPU is mined on", "reason", err)
		return nil, nil
	}
	numbers, err := choice.Of(all, f.AllowIntegrated)
	if err != nil {
		return nil, fmt.Errorf("--gpu: %w; the command devices lists them", err)
	}
	for i, d := range all {
		if !choice.Named() && !d.Usable && d.Kind != wire.CPU {
			log.Warn("a GPU is not usable", "device", i, "name", d.Name, "reason", d.Reason)
		}
	}
	if f.GPUDevices != nil && len(numbers) > int(*f.GPUDevices) {
		numbers = numbers[:*f.GPUDevices]
	}
	if len(numbers) == 0 {
		attrs := []any{}
		for _, p := range problems {
			attrs = append(attrs, p.Backend, p.Err)
		}
		log.Info("no GPU is mined on", attrs...)
	}
	config := gpu.Config{Program: program, Launch: time.Duration(f.GPULaunch), Throttle: f.GPUThrottle.share()}
	for _, n := range numbers {
		devices = append(devices, gpu.NewDevice(n, all[n], config, log))
	}
	return devices, nil
}

// gpuSet is devices that are mined on, and their processes.
type gpuSet struct {
	proof   pow.Proof
	devices []*gpu.Device
	log     *slog.Logger
}

// join has a miner mine on the devices that the flags choose, until ctx is done: on each as
// soon as it is ready. Until then, and without any, the miner mines on what it has. Drivers
// take their time to list devices, so who is to know of them is told by found. There may be
// others that search, on other machines.
func (f gpuFlags) join(ctx context.Context, proof pow.Proof, miner *mining.Miner, others bool, found func([]*gpu.Device), log *slog.Logger) error {
	devices, err := f.devices(ctx, log)
	if err != nil || ctx.Err() != nil {
		return err
	}
	if len(devices) == 0 && miner.Workers() == 0 && !others {
		return errors.New("there is nothing to mine with: no GPU is mined on, and --cpu-workers is 0")
	}
	found(devices)
	gpus := gpuSet{proof, devices, log}
	var running sync.WaitGroup
	defer running.Wait()
	for _, d := range devices {
		running.Go(func() { d.Run(ctx) })
		running.Go(func() {
			if err := gpus.admit(ctx, d); err == nil {
				miner.Add(gpus.crew(d))
			}
		})
	}
	return nil
}

// admit waits until a device is ready and has passed the self-test.
func (f gpuSet) admit(ctx context.Context, d *gpu.Device) error {
	for {
		if err := d.AwaitReady(ctx); err != nil {
			return err
		}
		// If it fails meanwhile it is started again.
		if err := f.test(d); !errors.Is(err, pow.ErrUnavailable) {
			return err
		}
	}
}

// test has a device take the self-test, and retires it if it is wrong there.
func (f gpuSet) test(d *gpu.Device) error {
	err := pow.SelfTest(f.proof, gpu.NewEngine(d))
	if err == nil {
		return nil
	}
	if !errors.Is(err, pow.ErrUnavailable) {
		f.log.Error("DEVICE OUT OF SERVICE: it does not work as it must; please report this", "device", d.Name(), "name", d.Info.Name, "error", err)
		d.Retire(err.Error())
	}
	return fmt.Errorf("%s: %w", d.Name(), err)
}

// The crew of a device is of one worker, as the device itself works on many nonces at a
// time.
const (
	// deviceLease is long enough for the pauses between two leases not to count.
	deviceLease = time.Second
	// deviceDeadline is far longer than a device may hang.
	deviceDeadline = 2 * time.Minute
)

// crew returns the crew of a device.
func (f gpuSet) crew(d *gpu.Device) *mining.Crew {
	return &mining.Crew{
		Name:      d.Name(),
		Engine:    gpu.NewEngine(d),
		Workers:   1,
		LeaseTime: deviceLease,
		Deadline:  deviceDeadline,
		Recover:   func(ctx context.Context) error { return f.admit(ctx, d) },
		Replace: func(engine.Engine) (engine.Engine, error) {
			d.Retire("it has reported a wrong nonce")
			return nil, errors.New("a device that has reported a wrong nonce is not used any more: suspect its overclocking, its cooling and its memory")
		},
	}
}

// startGPUs starts the devices that a command is to use at once, and returns them when they
// are ready, and what ends them. With the engine for GPUs there must be one, all that are
// chosen must work, and auto is the default.
func (f gpuFlags) startGPUs(ctx context.Context, proof pow.Proof, engine engineFlag, log *slog.Logger) (gpus gpuSet, stop func(), err error) {
	if engine.onGPU() && !f.wanted() {
		f.GPU, f.GPUDevices = gpuFlag{Auto: true}, nil
	}
	if proof != pow.Poseidon2 {
		return gpuSet{}, func() {}, nil
	}
	devices, err := f.devices(ctx, log)
	if err == nil && engine.onGPU() && len(devices) == 0 {
		err = errors.New("there is no GPU to search on: the command devices lists what there is; a CPU that OpenCL reaches is used by its number alone, as --gpu 0")
	}
	if err != nil {
		return gpuSet{}, nil, err
	}
	gpus = gpuSet{proof, devices, log}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, d := range devices {
		running.Go(func() { d.Run(ctx) })
	}
	stop = func() {
		cancel()
		running.Wait()
	}
	gpus.devices = nil
	for _, d := range devices {
		err := d.AwaitStart(ctx)
		if err == nil {
			err = gpus.test(d)
		}
		switch {
		case err == nil:
			gpus.devices = append(gpus.devices, d)
		case gpu.Choice(f.GPU).Named() || engine.onGPU() || ctx.Err() != nil:
			stop()
			return gpuSet{}, nil, err
		default: // nobody has asked for this one in particular
			log.Warn("a GPU is not used", "error", err)
		}
	}
	return gpus, stop, nil
}

// standing returns what the metrics have of a device.
func standing(d *gpu.Device) metrics.GPU {
	s := d.Status()
	return metrics.GPU{
		Name:     d.Name(),
		ID:       d.Info.ID,
		Model:    d.Info.Name,
		Vendor:   d.Info.Vendor,
		Backend:  d.Info.Backend,
		Driver:   d.Info.Driver,
		State:    string(s.State),
		Reason:   s.Reason,
		Restarts: s.Restarts,
		Launch:   s.Launch,
		Queued:   s.Queued,
	}
}
