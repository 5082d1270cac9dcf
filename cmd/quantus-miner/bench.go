package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/quantus-network/quantus-miner/internal/bench"
	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/host/cpuname"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu"
	"github.com/quantus-network/quantus-miner/internal/watch/console"
)

// benchCmd measures engines.
type benchCmd struct {
	Engine   enginesFlag  `default:"all" placeholder:"NAMES" help:"Engines to measure, separated by commas, of ${engines}, gpu; or all, the default: those of the CPU, and the GPUs that --gpu chooses."`
	Duration durationFlag `short:"d" default:"5s" help:"How long to measure each engine, and the yardstick; a number without a unit is one of seconds."`
	JSON     bool         `name:"json" help:"Print one JSON object."`
	Verbose  bool         `short:"v" hidden:"" env:"MINER_VERBOSE" help:"Log at level debug, too."`
	powFlags
	workersFlags
	gpuFlags `set:"gpu_default=auto"`
}

// Validate implements the parser's check of the command as a whole.
func (c *benchCmd) Validate() error {
	if err := c.workersFlags.check(c.gpuFlags.joins(c.PoW)); err != nil {
		return err
	}
	for _, e := range c.Engine.listed {
		if err := e.checkAlone(c.PoW); err != nil {
			return err
		}
	}
	return c.gpuFlags.check(c.PoW)
}

// Help is what --help says beyond the summary.
func (c *benchCmd) Help() string {
	return "The yardstick is the rate of " + bench.Yardstick + ". The ratio is a worker's rate divided by it, " +
		"and is comparable between machines and runs; the rates are not."
}

// benchResult is the result in JSON. Rates are per second.
type benchResult struct {
	CPU       string         `json:"cpu"`       // the CPU's name for itself
	Yardstick benchYardstick `json:"yardstick"` // what rates are divided by to get ratios
	Results   []engineResult `json:"results"`   // one for each engine and device
	PoW       pow.Proof      `json:"pow"`       // the proof of work
}

type benchYardstick struct {
	Name      string  `json:"name"`       // what is timed
	PerSecond float64 `json:"per_second"` // how often one core does it
}

type engineResult struct {
	Device          string  `json:"device,omitempty"`  // only of the engine gpu: the device, such as gpu0
	Engine          string  `json:"engine"`            // the engine
	Backend         string  `json:"backend"`           // its kernel, or cuda or opencl for a GPU
	Workers         int     `json:"workers"`           // worker threads; 1 for a GPU
	NoncesPerSecond float64 `json:"nonces_per_second"` // the rate of all workers
	PerWorker       float64 `json:"per_worker"`        // the rate of one worker
	Ratio           float64 `json:"ratio"`             // per_worker divided by the yardstick's rate
}

// Run measures.
func (c *benchCmd) Run(ctx context.Context, s streams) error {
	duration := time.Duration(c.Duration)
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))
	onCPU := c.Engine.onCPU()
	if c.Workers == 0 {
		onCPU = nil
	}
	engines := make([]engine.Engine, len(onCPU))
	for i := range engines {
		var err error
		if engines[i], err = onCPU[i].choose(c.PoW, log); err != nil {
			return err
		}
	}
	var gpus gpuSet
	if c.Engine.all || c.Engine.gpus().onGPU() {
		quiet := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		var stop func()
		var err error
		if gpus, stop, err = c.startGPUs(ctx, c.PoW, c.Engine.gpus(), quiet); err != nil {
			return err
		}
		defer stop()
	}
	if len(engines)+len(gpus.devices) == 0 {
		return errors.New("there is nothing to measure: no GPU is used, and --cpu-workers is 0")
	}
	if s.terminal {
		fmt.Fprintf(s.err, "measuring for %s …\n", duration*time.Duration(len(engines)+len(gpus.devices)+1))
	}
	report, err := bench.Run(ctx, engines, c.PoW.Hardest(), int(c.Workers), duration)
	if err != nil {
		return err
	}
	result := benchResult{
		CPU:       cpuname.Read(),
		Yardstick: benchYardstick{bench.Yardstick, report.YardstickRate},
		PoW:       c.PoW,
	}
	for _, r := range report.Results {
		result.Results = append(result.Results, engineResult{"", r.Engine, r.Backend, r.Workers, r.Rate, r.PerWorker(), r.Ratio})
	}
	for _, d := range gpus.devices {
		rate, err := bench.Device(ctx, gpu.NewEngine(d), c.PoW.Hardest(), duration)
		if err != nil && c.Engine.all && ctx.Err() == nil { // the others have rates nevertheless
			log.Error("a GPU could not be measured", "device", d.Name(), "error", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
		result.Results = append(result.Results, engineResult{d.Name(), gpu.Name, d.Info.Backend, 1, rate, rate, rate / report.YardstickRate})
	}
	if c.JSON {
		return printJSON(s.out, result)
	}
	fmt.Fprintf(s.out, "cpu        %s\npow        %s\nyardstick  %s (%s)\n\n", result.CPU, result.PoW, console.Rate(result.Yardstick.PerSecond), result.Yardstick.Name)
	table := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "engine\tkernel\tworkers\tall\ta worker\tratio\t")
	for _, r := range result.Results {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%.3f\t\n", cmp.Or(r.Device, r.Engine), r.Backend, r.Workers, console.Rate(r.NoncesPerSecond), console.Rate(r.PerWorker), r.Ratio)
	}
	return table.Flush()
}
