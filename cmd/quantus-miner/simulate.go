package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/simulate"
	"github.com/quantus-network/quantus-miner/internal/simulate/workers"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/watch/console"
)

// simulateCmd plays the node.
type simulateCmd struct {
	Miner     *string       `placeholder:"URL" help:"Miner to drive, such as http://127.0.0.1:9833, with sha3-rsa. Default: one started for the purpose, with --workers and --engine."`
	Pool      bool          `help:"Play a pool, of poseidon2, to which miners come by stratum, and that has shares found instead of blocks."`
	Listen    *string       `placeholder:"HOST:PORT" help:"Address to listen at for a miner that connects, with poseidon2 or --pool. Default: one started for the purpose."`
	Dir       *string       `placeholder:"DIR" help:"Directory for the files that such a miner wants, which are written anew."`
	Trouble   *durationFlag `placeholder:"TIME" help:"Time between two things that go wrong with the node or pool, such as a dropped connection, with poseidon2 or --pool; or with the workers of --fleet. By default nothing does."`
	Blocks    countFlag     `default:"5" help:"Blocks to seal, or shares to accept."`
	BlockTime durationFlag  `default:"2s" help:"Time that a block, or a share, should take on average."`
	Poll      durationFlag  `default:"500ms" help:"Time between two questions for a result, with sha3-rsa; 500ms is the node's."`
	JSON      bool          `name:"json" help:"Print one JSON object."`
	simulateFleetFlags
	powFlags
	minerFlags
	gpuFlags `set:"gpu_default=none"`
}

// Help is what --help says beyond the summary.
func (c *simulateCmd) Help() string {
	return "With sha3-rsa the node talks to its miner over HTTP, with poseidon2 its miner connects over QUIC. " +
		"Every seal is verified by the reference rule, and all that the miner says is checked. " +
		"A block that takes four times as long as it should is lost to a rival: its job is cancelled, or replaced, as the node would.\n\n" +
		"A pool answers TCP and TLS on one port. It makes use of all that the protocol allows, and accepts no share that is wrong, comes twice, or is another session's.\n\n" +
		"A fleet is paced workers that search truly, each with a connection of its own to a hub, which mines for the node or pool; with --hub they are the workers of a hub that is there, until a signal.\n\n" +
		"Exit code 0: every block was sealed, or every share accepted. 1: a seal or share was wrong, or the miner misbehaved or was not reached."
}

// Validate implements the parser's check of the command as a whole.
func (c *simulateCmd) Validate() error {
	if c.Pool { // which is of no other network
		c.PoW = pow.Poseidon2
	}
	if err := c.workersFlags.check(false); err != nil {
		return err
	}
	if err := c.gpuFlags.check(c.PoW); err != nil {
		return err
	}
	if err := c.checkFleet(); err != nil {
		return err
	}
	switch {
	case c.Miner != nil && c.Pool:
		return errors.New("--miner: is for a node of sha3-rsa; to a pool the miner connects: say --listen")
	case c.Miner != nil && c.PoW != pow.SHA3RSA:
		return errors.New("--miner: is for --pow sha3-rsa; with poseidon2 the miner connects to the node: say --listen")
	case c.Listen != nil && c.PoW != pow.Poseidon2:
		return errors.New("--listen: is for --pow poseidon2 or --pool; with sha3-rsa the node asks the miner: say --miner")
	case c.Trouble != nil && c.PoW != pow.Poseidon2 && c.Fleet == nil:
		return errors.New("--trouble: is for --pow poseidon2, --pool or --fleet")
	case (c.Listen == nil) != (c.Dir == nil):
		return errors.New("--listen, --dir: each needs the other")
	case c.Listen != nil:
		if _, port, err := net.SplitHostPort(*c.Listen); err != nil || new(portFlag).UnmarshalText([]byte(port)) != nil {
			return errors.New("--listen: must be an address such as 127.0.0.1:9833; port 0 is any that is free")
		}
		return nil
	case c.Miner == nil:
		return c.Engine.check(c.PoW)
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
	Sealed         int             `json:"sealed"`          // blocks that were sealed, or shares that were accepted
	Lost           int             `json:"lost"`            // blocks that a rival sealed first, or shares that were refused
	HashCount      uint64          `json:"hash_count"`      // nonces evaluated; with --pool the work that the shares stand for
	ElapsedSeconds float64         `json:"elapsed_seconds"` // the miner's time over all blocks
	Blocks         []simulateBlock `json:"blocks"`          // the sealed blocks, or the accepted shares
	Fleet          *workers.Tally  `json:"fleet,omitempty"` // what there was of the workers of --fleet
	Error          string          `json:"error,omitempty"` // why it ended early; absent if it did not
}

type simulateBlock struct {
	Nonce          string  `json:"nonce"`           // the winner in hex
	Distance       string  `json:"distance"`        // its distance in 128 hex digits, with poseidon2 its hash
	HashCount      uint64  `json:"hash_count"`      // nonces evaluated for it
	ElapsedSeconds float64 `json:"elapsed_seconds"` // how long it took
}

// Run plays the node, and the miner too if none is given.
func (c *simulateCmd) Run(ctx context.Context, s streams) error {
	if c.Hub != "" {
		return c.workForHub(ctx, s)
	}
	g, ctx := errgroup.WithContext(ctx)
	ctx, finish := context.WithCancel(ctx)
	defer finish()
	result := simulateResult{Blocks: []simulateBlock{}}
	prepare := c.overHTTP
	if c.PoW == pow.Poseidon2 {
		prepare = c.overQUIC
	}
	if c.Pool {
		prepare = c.asPool
	}
	p, err := prepare(ctx, s, func(b simulate.Block) { c.count(s, &result, b) })
	var rigs *workers.Fleet
	if err == nil {
		defer p.end()
		if c.Fleet != nil {
			var end func()
			if rigs, end, err = c.startFleet(s, p.miner); err != nil {
				return err
			}
			defer end()
			if !c.JSON {
				fmt.Fprintf(s.out, "miner: a hub of %d workers, started for this\n", *c.Fleet)
			}
			// The hub outlasts its workers, which have winners for it to the end.
			hub, endHub := context.WithCancel(context.WithoutCancel(ctx))
			g.Go(func() error {
				defer endHub()
				return c.work(ctx, rigs)
			})
			g.Go(func() error { return p.miner.run(hub) })
		} else if p.miner != nil {
			if !c.JSON {
				fmt.Fprintf(s.out, "miner: %s on %d workers, started for this\n", p.miner.engine.Name(), c.Workers)
			}
			g.Go(func() error { return p.miner.run(ctx) })
		}
		g.Go(func() error {
			defer finish()
			return p.node(ctx)
		})
		err = g.Wait()
	}
	if rigs != nil {
		tally := rigs.Tally()
		result.Fleet = &tally
	}
	if c.JSON {
		if err != nil {
			result.Error = err.Error()
		}
		return errors.Join(err, printJSON(s.out, result))
	}
	if err != nil {
		return err
	}
	if rigs != nil {
		defer printTally(s.out, *result.Fleet)
	}
	if c.Pool {
		return c.printShares(s, result)
	}
	_, err = fmt.Fprintf(s.out, "sealed %d of %d blocks, no seal wrong, lost %d to rivals; %.1f s of mining, %.2f s a block; %s nonces, %s\n",
		result.Sealed, c.Blocks, result.Lost, result.ElapsedSeconds, result.ElapsedSeconds/float64(c.Blocks),
		console.Count(result.HashCount), rate(result.HashCount, result.ElapsedSeconds))
	return err
}

// play is a node to be run, and its miner.
type play struct {
	node  func(context.Context) error
	miner *service // nil if it comes from elsewhere
	end   func()   // for when both are done
}

// miner returns a miner to be started for the purpose, whose node is yet to be said.
// Of its log only what is wrong is of interest here.
func (c *simulateCmd) miner(s streams) (*service, error) {
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	e, err := c.Engine.choose(c.PoW, log)
	if err != nil {
		return nil, err
	}
	return &service{proof: c.PoW, engine: e, workers: int(c.Workers), gpus: c.gpuFlags, log: log}, nil
}

// overHTTP returns a node that asks its miner.
func (c *simulateCmd) overHTTP(ctx context.Context, s streams, report func(simulate.Block)) (p play, err error) {
	blockTime, poll := time.Duration(c.BlockTime), time.Duration(c.Poll)
	n := simulate.Node{
		Blocks:       int(c.Blocks),
		BlockTime:    blockTime,
		Poll:         poll,
		BlockTimeout: 4 * max(blockTime, poll),
		Report:       report,
	}
	if c.Miner != nil {
		n.Miner = *c.Miner
		return play{node: n.Run, end: func() {}}, nil
	}
	miner, err := c.miner(s)
	if err != nil {
		return p, err
	}
	if miner.api, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return p, fmt.Errorf("listening for the simulated node: %w", err)
	}
	n.Miner = "http://" + miner.api.Addr().String()
	return play{node: n.Run, miner: miner, end: func() {}}, nil
}

// standIn is what miners come to.
type standIn interface {
	Run(ctx context.Context) error
	InjectFaults(ctx context.Context, every time.Duration)
}

// troubled returns the run of a stand-in, during which it gets in trouble if that is wanted.
func (c *simulateCmd) troubled(n standIn) func(context.Context) error {
	if c.Trouble == nil || c.Fleet != nil { // then it is the workers' trouble
		return n.Run
	}
	return func(ctx context.Context) error {
		ctx, finish := context.WithCancel(ctx)
		var trouble sync.WaitGroup
		trouble.Go(func() { n.InjectFaults(ctx, time.Duration(*c.Trouble)) })
		defer trouble.Wait()
		defer finish()
		return n.Run(ctx)
	}
}

// overQUIC returns a node that waits for its miner to connect.
func (c *simulateCmd) overQUIC(_ context.Context, s streams, report func(simulate.Block)) (p play, err error) {
	identity, err := simulate.NewIdentity()
	if err != nil {
		return p, err
	}
	address, level := "127.0.0.1:0", slog.LevelWarn
	var token, pin string
	if c.Listen != nil {
		address, level = *c.Listen, slog.LevelInfo
		token, pin, err = identity.WriteFiles(*c.Dir)
	} else {
		p.miner, err = c.miner(s)
	}
	if err != nil {
		return p, err
	}
	n, err := simulate.ListenQUIC(address, identity, slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level})))
	if err != nil {
		return p, err
	}
	p.node, p.end = c.troubled(n), n.Close
	n.Blocks, n.BlockTime, n.Report = int(c.Blocks), time.Duration(c.BlockTime), report
	n.BlockTimeout = 4 * n.BlockTime
	if p.miner != nil {
		known := quicnode.Credentials{Token: identity.Token, Pin: identity.Pin()}
		p.miner.nodes = []quicnode.Node{{
			Address:     n.Address(),
			Credentials: func() (quicnode.Credentials, error) { return known, nil },
		}}
		return p, nil
	}
	out := s.out
	if c.JSON {
		out = s.err
	}
	fmt.Fprintf(out, "node: waits for a miner, such as this one:\n  quantus-miner connect --node %s --auth-token-file %s --tls-cert-sha256-file %s\n",
		n.Address(), token, pin)
	return p, nil
}

// count adds what has become of a block to the result, and says it.
func (c *simulateCmd) count(s streams, result *simulateResult, b simulate.Block) {
	result.HashCount += b.Tries
	result.ElapsedSeconds += b.Elapsed.Seconds()
	if b.Sealed {
		result.Sealed++
		result.Blocks = append(result.Blocks, simulateBlock{b.Nonce.Hex(), b.Distance.PaddedHex(), b.Tries, b.Elapsed.Seconds()})
	} else {
		result.Lost++
	}
	if !c.JSON && c.Pool {
		c.printShare(s, result.Sealed, b)
	} else if !c.JSON {
		c.printBlock(s, result.Sealed, b)
	}
}

func (c *simulateCmd) printBlock(s streams, number int, b simulate.Block) {
	speed := rate(b.Tries, b.Elapsed.Seconds())
	if !b.Sealed && b.Tries == 0 { // as nobody knows how many there were
		fmt.Fprintln(s.out, "a rival's block came first")
		return
	}
	if !b.Sealed {
		fmt.Fprintf(s.out, "a rival's block came first   %11s tries  %8.3f s  %s\n", console.Count(b.Tries), b.Elapsed.Seconds(), speed)
		return
	}
	nonce, distance := b.Nonce.Hex(), "distance"
	if c.PoW == pow.Poseidon2 {
		distance = "hash"
	}
	if len(nonce) > 24 { // as it mostly is where miners choose where to begin
		nonce = nonce[:24] + "…"
	}
	fmt.Fprintf(s.out, "block %d  nonce %s  %s %.24s…  %s tries  %.3f s  %s\n",
		number, nonce, distance, b.Distance.PaddedHex(), console.Count(b.Tries), b.Elapsed.Seconds(), speed)
}
