package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quantus-network/quantus-miner/internal/engine/all"
	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// simulateCmd plays the node.
type simulateCmd struct {
	Miner     *string      `placeholder:"URL" help:"Miner to drive, such as http://127.0.0.1:9833. Default: one started for the purpose, with --workers and --engine."`
	Blocks    countFlag    `default:"5" help:"Blocks to seal."`
	BlockTime durationFlag `default:"2s" help:"Time that a block should take on average."`
	Poll      durationFlag `default:"500ms" help:"Time between two questions for a result; 500ms is the node's."`
	JSON      bool         `name:"json" help:"Print one JSON object."`
	minerFlags
}

// Help is what --help says beyond the summary.
func (c *simulateCmd) Help() string {
	return "Every seal is verified by the reference rule, and every answer of the miner is checked. " +
		"A block that takes four times as long as it should is lost to a rival: its job is cancelled, as the node would.\n\n" +
		"Exit code 0: every block was sealed. 1: a seal was wrong, or the miner misbehaved or was not reached."
}

// Validate implements the parser's check of the command as a whole.
func (c *simulateCmd) Validate() error {
	if c.Miner == nil {
		return c.Engine.check(all.SHA3RSA)
	}
	u, err := url.Parse(*c.Miner)
	if err == nil && u.Port() != "" {
		err = new(portFlag).UnmarshalText([]byte(u.Port()))
	}
	// What follows a ? or # would be no path, even if nothing follows it yet.
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(*c.Miner, "?#") {
		return errors.New("--miner: must be a URL such as http://127.0.0.1:9833")
	}
	return nil
}

// simulateResult is the result in JSON, and the summary.
type simulateResult struct {
	Sealed         int             `json:"sealed"`
	Lost           int             `json:"lost"`
	HashCount      uint64          `json:"hash_count"`
	ElapsedSeconds float64         `json:"elapsed_seconds"` // the miner's, over all blocks
	Blocks         []simulateBlock `json:"blocks"`          // the sealed ones
	Error          string          `json:"error,omitempty"` // why it ended early
}

type simulateBlock struct {
	Nonce          string  `json:"nonce"`
	Distance       string  `json:"distance"`
	HashCount      uint64  `json:"hash_count"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`
}

// Run plays the node, and the miner too if none is given.
func (c *simulateCmd) Run(ctx context.Context, s streams) error {
	g, ctx := errgroup.WithContext(ctx)
	ctx, finish := context.WithCancel(ctx)
	defer finish()
	var miner string
	if c.Miner != nil {
		miner = *c.Miner
	} else {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listening for the simulated node: %w", err)
		}
		miner = "http://" + listener.Addr().String()
		// Of this miner's log only what is wrong is of interest here.
		log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		e, err := c.Engine.choose(all.SHA3RSA, log)
		if err != nil {
			return err
		}
		g.Go(func() error {
			return service{pow: all.SHA3RSA, engine: e, workers: int(c.Workers), api: listener, log: log}.run(ctx)
		})
		if !c.JSON {
			fmt.Fprintf(s.out, "miner: %s on %d workers, started for this\n", e.Name(), c.Workers)
		}
	}
	result := simulateResult{Blocks: []simulateBlock{}}
	g.Go(func() error {
		defer finish()
		return c.node(miner, s, &result).Run(ctx)
	})
	err := g.Wait()
	if c.JSON {
		if err != nil {
			result.Error = err.Error()
		}
		return errors.Join(err, printJSON(s.out, result))
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "sealed %d of %d blocks, no seal wrong, lost %d to rivals; %.1f s of mining, %.2f s a block; %s nonces, %s\n",
		result.Sealed, c.Blocks, result.Lost, result.ElapsedSeconds, result.ElapsedSeconds/float64(c.Blocks),
		count(result.HashCount), rate(result.HashCount, result.ElapsedSeconds))
	return err
}

// node returns the node to play, which adds what happens to the result.
func (c *simulateCmd) node(miner string, s streams, result *simulateResult) simulate.Node {
	blockTime, poll := time.Duration(c.BlockTime), time.Duration(c.Poll)
	return simulate.Node{
		Miner:     miner,
		Blocks:    int(c.Blocks),
		BlockTime: blockTime,
		Poll:      poll,
		Patience:  4 * max(blockTime, poll),
		Report: func(b simulate.Block) {
			result.HashCount += b.Tries
			result.ElapsedSeconds += b.Elapsed.Seconds()
			if b.Sealed {
				result.Sealed++
				result.Blocks = append(result.Blocks, simulateBlock{b.Nonce.Hex(), b.Distance.PaddedHex(), b.Tries, b.Elapsed.Seconds()})
			} else {
				result.Lost++
			}
			if !c.JSON {
				c.printBlock(s, result.Sealed, b)
			}
		},
	}
}

func (c *simulateCmd) printBlock(s streams, number int, b simulate.Block) {
	speed := rate(b.Tries, b.Elapsed.Seconds())
	if !b.Sealed {
		fmt.Fprintf(s.out, "a rival's block came first   %11s tries  %8.3f s  %s\n", count(b.Tries), b.Elapsed.Seconds(), speed)
		return
	}
	fmt.Fprintf(s.out, "block %d  nonce %s  distance %.24s…  %s tries  %.3f s  %s\n",
		number, b.Nonce.Hex(), b.Distance.PaddedHex(), count(b.Tries), b.Elapsed.Seconds(), speed)
}
