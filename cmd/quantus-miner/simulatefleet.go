package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/simulate/workers"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
)

// simulateFleetFlags play the workers of a fleet.
type simulateFleetFlags struct {
	Fleet     *countFlag `name:"fleet" group:"Fleet:" placeholder:"N" help:"Play so many workers, which mine through a hub, started for the purpose or that of --hub."`
	FleetRate countFlag  `name:"fleet-rate" group:"Fleet:" default:"100000" placeholder:"N" help:"Nonces a second that all of them search together; the fastest searches four times as many as the slowest."`
	Hub       hubFlag    `name:"hub" group:"Fleet:" placeholder:"HOST:PORT" help:"Hub that they work for, until a signal, in place of a simulated node; without a port ${hub_port}."`
	hubTrustFlags
	fleetProgramFlag
}

// checkFleet says what is wrong with the flags for a fleet.
func (c *simulateCmd) checkFleet() error {
	switch {
	case c.Fleet == nil && c.Hub != "":
		return errors.New("--hub: needs --fleet, the number of workers to play")
	case c.Fleet == nil:
		return nil
	case *c.Fleet > broker.MaxWorkers:
		return fmt.Errorf("--fleet: must be at most %d, as many as a hub takes", broker.MaxWorkers)
	case c.Miner != nil || c.Listen != nil:
		return errors.New("--fleet: comes with a hub of its own, or works for that of --hub: not with --miner or --listen")
	case c.gpuFlags.wanted():
		return errors.New("--gpu: is not for --fleet, whose workers have paced engines")
	case c.Hub == "":
		return nil
	case c.Pool:
		return errors.New("--pool: is not for --hub, which has jobs of its own")
	case c.FleetTokenFile == "":
		return errors.New("--fleet-token-file: is needed for --hub, the hub's own file fleet-token")
	case c.FleetCertSHA256File == "":
		return errors.New("--fleet-cert-sha256-file: is needed for --hub, the hub's own file fleet-cert-sha256")
	}
	return nil
}

// workers returns the workers of a hub at an address.
func (c *simulateCmd) workers(s streams, address string, credentials func() (broker.Credentials, error)) (*workers.Fleet, error) {
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelError}))
	if c.Trouble != nil { // of which workers and hub would tell at length
		log = slog.New(slog.DiscardHandler)
	}
	e, err := c.Engine.choose(c.PoW, log)
	if err != nil {
		return nil, err
	}
	dialer, err := broker.ToHub(address, wire.DefaultFleet, credentials)
	if err != nil {
		return nil, err
	}
	return &workers.Fleet{
		Workers: int(*c.Fleet), Rate: float64(c.FleetRate), Engine: e,
		Config: fleet.Config{Fleet: wire.DefaultFleet, Hub: address, Version: version(), PoW: string(c.PoW), Fatal: wrongSecrets, Log: log, Dial: dialer.Dial},
	}, nil
}

// startFleet makes a miner the hub of a fleet, and returns its workers. What it returns besides is
// to be called when all is done.
func (c *simulateCmd) startFleet(s streams, miner *service) (rigs *workers.Fleet, end func(), err error) {
	dir, err := os.MkdirTemp("", "quantus-miner-fleet-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir) // what is in it is known by then
	id, err := broker.OpenIdentity(dir)
	if err != nil {
		return nil, nil, err
	}
	if c.Trouble != nil { // of which the hub would tell at length
		miner.log = slog.New(slog.DiscardHandler)
	}
	program, err := broker.FindProgram(c.FleetProgram)
	if err != nil {
		return nil, nil, fmt.Errorf("--fleet-program: %w", err)
	}
	b, err := broker.Start(broker.Config{Program: program, Host: "127.0.0.1", Identity: id, Fleet: wire.DefaultFleet, Log: miner.log})
	if err != nil {
		return nil, nil, err
	}
	miner.workers = 0
	miner.fleet = &fleetHub{fleet: wire.DefaultFleet, address: b.Address().String(), broker: b, dial: func() (*nats.Conn, error) { return b.Connect() }, log: miner.log}
	known := broker.Credentials{Token: id.Token, Fingerprint: id.Fingerprint}
	rigs, err = c.workers(s, b.Address().String(), func() (broker.Credentials, error) { return known, nil })
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	return rigs, b.Close, nil
}

// work has workers work, in trouble if that is wanted, until ctx is done.
func (c *simulateCmd) work(ctx context.Context, rigs *workers.Fleet) error {
	ctx, finish := context.WithCancel(ctx)
	var trouble sync.WaitGroup
	if c.Trouble != nil {
		trouble.Go(func() { rigs.InjectFaults(ctx, time.Duration(*c.Trouble)) })
	}
	defer trouble.Wait()
	defer finish()
	return rigs.Run(ctx)
}

// workForHub plays the workers of somebody's hub, until a signal.
func (c *simulateCmd) workForHub(ctx context.Context, s streams) error {
	if _, err := c.credentials(); err != nil { // now somebody is there to set it right
		return err
	}
	rigs, err := c.workers(s, string(c.Hub), c.credentials)
	if err != nil {
		return err
	}
	err = adviseOnHub(c.work(ctx, rigs))
	tally := rigs.Tally()
	if !c.JSON {
		if err == nil {
			err = printTally(s.out, tally)
		}
		return err
	}
	result := simulateResult{Blocks: []simulateBlock{}, Fleet: &tally}
	if err != nil {
		result.Error = err.Error()
	}
	return errors.Join(err, printJSON(s.out, result))
}

// printTally says what there was of the workers.
func printTally(out io.Writer, t workers.Tally) error {
	ms := func(seconds float64) float64 { return 1000 * seconds }
	_, err := fmt.Fprintf(out, "workers: after the first of them the others began with a job within %.1f ms (half of them), %.1f ms (99 of 100), %.1f ms (all); %d jobs\n"+
		"winners: taken %d, known %d, stale %d, wrong %d\n"+
		"trouble: killed %d, suspended %d, cut off %d, guests %d, liars %d\n",
		ms(t.Spread.P50), ms(t.Spread.P99), ms(t.Spread.Max), t.Jobs,
		t.Winners.Taken, t.Winners.Known, t.Winners.Stale, t.Winners.Wrong,
		t.Kills, t.Suspensions, t.Cuts, t.Visits, t.Lies)
	return err
}
