// Package simulate has stand-ins for nodes and pools: they have a miner work the way
// those do, and check every seal or share, by the reference rule, and all that the miner
// says. Start with [Node], which asks miners over HTTP, with [QUICNode], the node of
// today's network, or with [Pool]; miners come to these two.
package simulate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// ErrMisbehaved says that the miner broke its contract: a wrong seal, or an
// answer that the node could not make sense of.
var ErrMisbehaved = errors.New("the miner misbehaved")

// misbehaviour is an ErrMisbehaved that says how.
func misbehaviour(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMisbehaved, fmt.Sprintf(format, args...))
}

// Node is a node without a chain: it has the miner seal one made-up header after
// another, and chooses the threshold so that a block takes about BlockTime.
type Node struct {
	// Miner is the miner's URL, http://127.0.0.1:9833 for one.
	Miner string
	// Blocks is the number of blocks to seal.
	Blocks int
	// BlockTime is the time that a block should take on average.
	BlockTime time.Duration
	// Poll is the time between two questions for a result. The node's is 500 ms.
	Poll time.Duration
	// BlockTimeout is how long a block may take before a rival seals it and the
	// chain has a new head: the running job is cancelled, and all starts over.
	BlockTimeout time.Duration
	// Report is told of every block, sealed or lost, if it is not nil.
	Report func(Block)
}

// Block is one header that the miner was to seal.
type Block struct {
	// Sealed is false when a rival's block came first.
	Sealed bool
	// Nonce is the seal, and Distance its distance. The threshold was Threshold. Of
	// today's network they are the nonce's hash and the difficulty.
	Nonce, Distance, Threshold u512.Uint
	// Tries is the number of nonces that the miner evaluated, in Elapsed.
	Tries   uint64
	Elapsed time.Duration
}

const (
	// firstTries is how many tries the first block takes on average. The miner's
	// hash rate is not known yet; this is little for any.
	firstTries = 1 << 13
	// maxLost is how many heads in a row may be lost to rivals before the miner
	// is taken for one that finds nothing. With a BlockTimeout of four block times,
	// a miner that works loses one in e^4 = 55.
	maxLost = 10
)

// Run has the blocks sealed, until ctx is done. Its errors wrap ErrMisbehaved if
// the miner is to blame; others are the connection's or the context's.
func (n Node) Run(ctx context.Context) error {
	miner := newClient(n.Miner)
	defer miner.http.CloseIdleConnections()

	var head [32]byte
	if _, err := rand.Read(head[:]); err != nil {
		return fmt.Errorf("choosing a first header: %w", err)
	}
	threshold := u512.Max().Div64(firstTries)
	for sealed, lost := 0, 0; sealed < n.Blocks; {
		block, err := n.seal(ctx, miner, head, threshold)
		if errors.Is(err, ErrMisbehaved) {
			return fmt.Errorf("block %d, header %x, threshold %s: %w", sealed+1, head, threshold, err)
		}
		if err != nil {
			return fmt.Errorf("block %d: %w", sealed+1, err)
		}
		if n.Report != nil {
			n.Report(block)
		}
		if block.Sealed {
			sealed, lost = sealed+1, 0
		} else if lost++; lost == maxLost {
			return misbehaviour("it sealed none of %d blocks in a row", maxLost)
		}
		threshold = adjust(block, n.BlockTime)
		// The next header depends on this one and on its seal, as a chain's does.
		work := block.Nonce.Bytes()
		head = sha256.Sum256(append(head[:], work[:]...))
	}
	return nil
}

// adjust returns the threshold at which the miner, as fast as it was for that
// block, finds a nonce in blockTime on average.
func adjust(last Block, blockTime time.Duration) u512.Uint {
	// A threshold of 2^512/k is met by one nonce in k.
	return u512.Max().Div64(triesIn(last, blockTime))
}

// clockStep is by how much coarse clocks advance at a time: that of Windows does so
// every 15.6 ms, unless a program asks for more.
const clockStep = 16 * time.Millisecond

// triesIn returns how many nonces, at least one, the miner evaluates in blockTime if
// it is as fast as it was for that block. A block that took no time was found within a
// step of the miner's clock.
func triesIn(last Block, blockTime time.Duration) uint64 {
	elapsed := last.Elapsed
	if elapsed <= 0 {
		elapsed = clockStep
	}
	tries := float64(last.Tries) / max(elapsed.Seconds(), 1e-6) * blockTime.Seconds()
	return uint64(min(max(tries, 1), 1<<60))
}

// seal has the miner work on one header, until it has sealed it or a rival has.
func (n Node) seal(ctx context.Context, miner client, head [32]byte, threshold u512.Uint) (Block, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return Block{}, fmt.Errorf("naming a job: %w", err)
	}
	jobID := id.String()
	defer func() {
		if ctx.Err() != nil {
			abandon(ctx, miner, jobID)
		}
	}()
	if err := miner.mine(ctx, jobID, head, threshold); err != nil {
		return Block{}, err
	}
	rival := time.NewTimer(n.BlockTimeout)
	defer rival.Stop()
	poll := time.NewTicker(n.Poll)
	defer poll.Stop()
	last, newHead := job{status: "running"}, false
	for last.status == "running" && !newHead {
		select {
		case <-ctx.Done():
			return Block{}, ctx.Err()
		case <-rival.C:
			newHead = true
		case <-poll.C:
			if last, err = miner.result(ctx, jobID); err != nil {
				return Block{}, err
			}
		}
	}
	if last, err = conclude(ctx, miner, jobID, last); err != nil {
		return Block{}, err
	}
	block := Block{Threshold: threshold, Tries: last.hashCount, Elapsed: last.elapsed}
	switch last.status {
	case "completed":
		distance, valid := sha3rsa.NewReference(head).Verify(last.nonce, threshold)
		if !valid {
			return Block{}, misbehaviour("WRONG SEAL: nonce %s has distance %s", last.nonce.Hex(), distance)
		}
		if last.hashCount == 0 {
			return Block{}, misbehaviour("it found nonce %s by evaluating none", last.nonce.Hex())
		}
		block.Sealed, block.Nonce, block.Distance = true, last.nonce, distance
		return block, nil
	case "cancelled":
		if !newHead {
			return Block{}, misbehaviour("it cancelled a job by itself")
		}
		return block, nil
	default:
		return Block{}, misbehaviour("a job of all nonces ended as %s", last.status)
	}
}

// conclude cancels a job, as the node does with every job when the next one is
// due, finished or not, and returns its final state, which must stand.
func conclude(ctx context.Context, miner client, jobID string, last job) (job, error) {
	if err := miner.cancel(ctx, jobID); err != nil {
		return job{}, err
	}
	for range 2 { // twice, as the first answer must stand
		next, err := miner.result(ctx, jobID)
		if err != nil {
			return job{}, err
		}
		if next.status == "running" {
			return job{}, misbehaviour("a cancelled job is still running")
		}
		if last.status != "running" && next != last {
			return job{}, misbehaviour("a job that was over changed from %+v to %+v", last, next)
		}
		last = next
	}
	return last, nil
}

// abandon cancels a job of a run that is being given up, if the miner has taken
// it. The node would leave it running, but it is of use to nobody.
func abandon(ctx context.Context, miner client, jobID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = miner.cancel(ctx, jobID) // the miner may be gone, too
}
