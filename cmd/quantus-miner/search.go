package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
	"github.com/quantus-network/quantus-miner/internal/watch/console"
)

// searchCmd searches a range by hand.
type searchCmd struct {
	Header     headerFlag     `required:"" placeholder:"HEX" help:"Mining hash: 64 hex digits."`
	Threshold  *thresholdFlag `required:"" xor:"threshold" placeholder:"DECIMAL" help:"Largest distance of a valid nonce, in decimal, below 2^512; with --pow poseidon2 the difficulty, and not 0."`
	Difficulty *thresholdFlag `required:"" xor:"threshold" placeholder:"DECIMAL" help:"The same, with --pow poseidon2."`
	Start      nonceFlag      `required:"" placeholder:"HEX" help:"First nonce of the range: 1 to 128 hex digits."`
	End        nonceFlag      `required:"" placeholder:"HEX" help:"Last nonce of the range: 1 to 128 hex digits."`
	JSON       bool           `name:"json" help:"Print one JSON object."`
	powFlags
	minerFlags
	gpuFlags `set:"gpu_default=none"`
}

// Help is what --help says beyond the summary.
func (c *searchCmd) Help() string {
	return "With --workers 1 the lowest valid nonce of the range is found, with more workers any.\n\n" +
		"Exit code 0: found. 1: exhausted. 3: the search failed.\n\n" +
		"Examples, which take a moment:\n\n" +
		"  quantus-miner search --workers 1 --start 1 --end ffffff \\\n" +
		"    --header " + strings.Repeat("0", 64) + " \\\n" +
		"    --threshold " + u512.Max().Div64(100_000).String() + "\n\n" +
		"  quantus-miner search --pow poseidon2 --difficulty 100000 --start 0 --end ffffff \\\n" +
		"    --header " + strings.Repeat("0", 64) + "\n"
}

// Validate implements the parser's check of the command as a whole.
func (c *searchCmd) Validate() error {
	if u512.Uint(c.Start).Cmp(u512.Uint(c.End)) > 0 {
		return errors.New("--start: must not exceed --end")
	}
	if _, err := c.threshold(c.Threshold, c.Difficulty); err != nil {
		return err
	}
	if err := c.workersFlags.check(false); err != nil {
		return err
	}
	if err := c.gpuFlags.check(c.PoW); err != nil {
		return err
	}
	return c.Engine.checkAlone(c.PoW)
}

// searchResult is the result in JSON.
type searchResult struct {
	Status         string  `json:"status"`               // found, exhausted, interrupted or failed
	Engine         string  `json:"engine"`               // the engine that came to the end of the search
	Nonce          *string `json:"nonce"`                // the winner in hex, without leading zeros; null without one
	Work           *string `json:"work"`                 // the winner in 128 hex digits; null without one
	Distance       *string `json:"distance"`             // its distance in 128 hex digits, with poseidon2 its hash; null without a winner
	Difficulty     *string `json:"difficulty,omitempty"` // with poseidon2 and a winner: the difficulty that its hash achieves, in decimal
	HashCount      uint64  `json:"hash_count"`           // nonces evaluated
	ElapsedSeconds float64 `json:"elapsed_seconds"`      // how long the search took
}

// Run searches.
func (c *searchCmd) Run(ctx context.Context, s streams) error {
	// Of the miner's log only what is wrong is of interest here.
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	snapshot, e, err := c.search(ctx, s, log)
	if err != nil {
		return exitError{exitNoAnswer, err}
	}
	result := searchResult{
		Engine:         e.Name(),
		HashCount:      snapshot.Evaluated,
		ElapsedSeconds: snapshot.Elapsed.Seconds(),
	}
	code := exitOK
	switch {
	case snapshot.Status == mining.Completed:
		nonce, work, distance := snapshot.Nonce.Hex(), snapshot.Nonce.PaddedHex(), snapshot.Distance.PaddedHex()
		result.Status, result.Nonce, result.Work, result.Distance = "found", &nonce, &work, &distance
		if c.PoW == pow.Poseidon2 {
			difficulty := poseidon2.Achieved(snapshot.Distance).String()
			result.Difficulty = &difficulty
		}
	case snapshot.Status == mining.Cancelled:
		result.Status, code = "interrupted", exitInterrupted
	case errors.Is(snapshot.Err, mining.ErrExhausted):
		result.Status, code = "exhausted", exitNo
	default:
		result.Status, code = "failed", exitNoAnswer
		err = fmt.Errorf("searching with %s: %w", e.Name(), snapshot.Err)
	}
	if err := c.print(s, result); err != nil {
		return exitError{exitNoAnswer, err}
	}
	if code != exitOK {
		return exitError{code, err}
	}
	return nil
}

func (c *searchCmd) print(s streams, r searchResult) error {
	if c.JSON {
		return printJSON(s.out, r)
	}
	if r.Nonce != nil {
		fmt.Fprintf(s.out, "nonce     %s\nwork      %s\ndistance  %s\n", *r.Nonce, *r.Work, *r.Distance)
	}
	if r.Difficulty != nil {
		fmt.Fprintf(s.out, "achieved  difficulty %s\n", *r.Difficulty)
	}
	_, err := fmt.Fprintf(s.out, "%s after %s nonces in %.3f s (%s, %s)\n",
		r.Status, console.Count(r.HashCount), r.ElapsedSeconds, rate(r.HashCount, r.ElapsedSeconds), r.Engine)
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// search runs the search as the only job of a miner. It also returns the engine
// that came to its end, which is another one if the given one was wrong.
func (c *searchCmd) search(ctx context.Context, s streams, log *slog.Logger) (mining.Snapshot, engine.Engine, error) {
	threshold, err := c.threshold(c.Threshold, c.Difficulty)
	if err != nil {
		return mining.Snapshot{}, nil, err
	}
	gpus, stop, err := c.startGPUs(ctx, c.PoW, c.Engine, log)
	if err != nil {
		return mining.Snapshot{}, nil, err
	}
	defer stop()
	var crews []*mining.Crew
	if !c.Engine.onGPU() {
		e, err := c.Engine.choose(c.PoW, log)
		if err != nil {
			return mining.Snapshot{}, nil, err
		}
		crews = append(crews, &mining.Crew{Engine: e, Workers: int(c.Workers), Replace: replace(c.PoW, log)})
	}
	for _, d := range gpus.devices {
		crews = append(crews, gpus.crew(d))
	}
	miner := mining.New(log, crews...)
	job, err := miner.Submit(mining.Request{
		ID:        "search",
		Header:    c.Header,
		Threshold: threshold,
		Range:     engine.Range{Start: u512.Uint(c.Start), End: u512.Uint(c.End)},
	})
	if err != nil {
		return mining.Snapshot{}, nil, fmt.Errorf("starting the search: %w", err)
	}
	ctx, finish := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { miner.Run(ctx) })
	watch(job, s)
	finish()
	running.Wait()
	return job.Snapshot(), crews[0].InService(), nil
}

// watch waits for the end of a job, which it shows the progress of on a terminal.
func watch(job *mining.Job, s streams) {
	if !s.terminal {
		<-job.Done()
		return
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	const clearLine = "\r\x1b[K"
	for {
		select {
		case <-tick.C:
			now := job.Snapshot()
			fmt.Fprintf(s.err, clearLine+"searching: %s nonces in %.0f s, %s",
				console.Count(now.Evaluated), now.Elapsed.Seconds(), rate(now.Evaluated, now.Elapsed.Seconds()))
		case <-job.Done():
			fmt.Fprint(s.err, clearLine)
			return
		}
	}
}
