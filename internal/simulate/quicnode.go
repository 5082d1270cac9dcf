package simulate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// QUICNode is a node of today's network without a chain: miners come to it by QUIC,
// it has them seal one made-up header after another, and chooses the difficulty so
// that a block takes about BlockTime. It checks all that they say, and it can be in
// any trouble that nodes are in.
type QUICNode struct {
	// Blocks is the number of blocks to seal; 0 is for no end of them.
	Blocks int
	// BlockTime is the time that a block should take on average.
	BlockTime time.Duration
	// BlockTimeout is how long a block may take before a rival seals it and the chain
	// has a new head.
	BlockTimeout time.Duration
	// Share, unless it is 0, has the node behave as a pool: it has one job, of this
	// difficulty, which it repeats after each result. No block is sealed.
	Share u512.Uint
	// Report is told of every block, sealed or lost, if it is not nil. How many nonces
	// were tried for one that was lost nobody says.
	Report func(Block)

	identity Identity
	log      *slog.Logger
	address  *net.UDPAddr  // with the port that was free
	failed   chan error    // what a miner has done wrong; the first is enough
	sealed   chan struct{} // there is something in blocks

	// power is held while the node is switched on or off.
	power sync.Mutex
	on    *process // nil while it is off

	mu           sync.Mutex // guards what follows
	trouble      Trouble
	miners       map[*peer]struct{} // that have shown the token
	head         [32]byte           // of the chain
	difficulty   u512.Uint          // of the next job
	lastID       uint64
	current      *task   // nil before the first
	blocks       []Block // that were sealed, and nobody was told of
	tally        Tally
	readyTimeout time.Duration
}

// Tally counts what has happened to a [QUICNode].
type Tally struct {
	Miners   int    // connected now
	Admitted uint64 // connections that were
	Refused  uint64 // connections with a wrong token, or none
	Jobs     uint64 // made up
	Seals    uint64 // valid ones of the job at the time, wanted or not
	Late     uint64 // valid ones of a job before
}

// task is a job of a node's.
type task struct {
	wire.NewJob
	announced bool               // to a miner at least
	sealed    bool               // what else comes is late
	nonces    map[u512.Uint]bool // that were sent as seals
}

// keptJobs is how many jobs of a miner's are remembered, so that a node without an end
// does not grow.
const keptJobs = 1000

// firstDifficulty is how many tries the first block takes on average. The miner's
// hash rate is not known yet; this is little for any.
var firstDifficulty = u512.From64(1 << 12)

// ListenQUIC returns a node with an address to listen at, whose port may be 0 for any
// that is free. It lets miners in at once, until it is closed, and has jobs for them
// when it runs.
func ListenQUIC(address string, identity Identity, log *slog.Logger) (*QUICNode, error) {
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("listening at %s: %w", address, err)
	}
	n := &QUICNode{
		identity:     identity,
		log:          log,
		address:      at,
		failed:       make(chan error, 1),
		sealed:       make(chan struct{}, 1),
		miners:       make(map[*peer]struct{}),
		difficulty:   firstDifficulty,
		readyTimeout: readyTimeout,
	}
	if err := n.SwitchOn(); err != nil {
		return nil, err
	}
	return n, nil
}

// Address returns where the node listens.
func (n *QUICNode) Address() string { return n.address.String() }

// Close ends the node, and tells its miners so.
func (n *QUICNode) Close() {
	n.Drop("the node ends")
	n.SwitchOff()
}

// Run has the blocks sealed, until ctx is done. Its errors wrap ErrMisbehaved if a
// miner is to blame.
func (n *QUICNode) Run(ctx context.Context) error {
	for sealed, lost := 0, 0; n.Blocks == 0 || sealed < n.Blocks; {
		blocks, err := n.next(ctx)
		if err != nil {
			return fmt.Errorf("block %d: %w", sealed+1, err)
		}
		for _, block := range blocks {
			if n.Report != nil {
				n.Report(block)
			}
			if block.Sealed {
				sealed, lost = sealed+1, 0
			} else if lost++; lost == maxLost {
				return misbehaviour("it sealed none of %d blocks in a row", maxLost)
			}
		}
	}
	return nil
}

// next makes up a job, waits until it is sealed, by a miner or by a rival, and returns
// the blocks that came of it: mostly one, but none if nobody is to blame for that.
func (n *QUICNode) next(ctx context.Context) ([]Block, error) {
	n.mu.Lock()
	n.advance()
	n.mu.Unlock()
	rival := time.NewTimer(n.BlockTimeout)
	defer rival.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case err := <-n.failed:
		return nil, err
	case <-n.sealed:
	case <-rival.C:
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	blocks := n.blocks
	n.blocks = nil
	if len(blocks) == 0 && n.current.announced && n.trouble == (Trouble{}) {
		blocks = []Block{{Threshold: n.current.Difficulty}}
		// The miners are slower than it was thought, or had no luck.
		n.difficulty = n.difficulty.Div64(2)
		if n.difficulty.IsZero() {
			n.difficulty = u512.From64(1)
		}
	}
	return blocks, nil
}

// advance makes up the next job, and tells the miners; mu is held. The header depends
// on the one before and on its seal, as a chain's does.
func (n *QUICNode) advance() {
	if n.head == ([32]byte{}) {
		_, _ = rand.Read(n.head[:]) // which does not fail
	}
	n.lastID++
	n.tally.Jobs++
	n.current = &task{
		NewJob: wire.NewJob{ID: strconv.FormatUint(n.lastID, 10), Header: n.head, Difficulty: n.difficulty},
		nonces: make(map[u512.Uint]bool),
	}
	if !n.Share.IsZero() {
		n.current.Difficulty = n.Share
	}
	if n.trouble.Impossible {
		n.current.Difficulty = u512.Max()
	}
	n.head = sha256.Sum256(n.head[:])
	for miner := range n.miners {
		n.sendJob(miner)
	}
}

// sendJob sends the current job to a miner; mu is held.
func (n *QUICNode) sendJob(miner *peer) {
	if n.trouble.Quiet {
		return
	}
	frames, err := n.trouble.newJob(n.current.NewJob)
	if err != nil {
		n.fail(fmt.Errorf("making up a job: %w", err))
		return
	}
	if _, repeated := miner.jobs[n.current.ID]; !repeated {
		miner.jobs[n.current.ID] = sentJob{n.current, time.Now()}
	}
	if n.lastID > keptJobs {
		delete(miner.jobs, strconv.FormatUint(n.lastID-keptJobs, 10))
	}
	miner.send(frames...)
	n.current.announced = true
}

// fail ends the run.
func (n *QUICNode) fail(err error) {
	select {
	case n.failed <- err:
	default: // it ends already
	}
}

// verify checks a miner's result, and counts it.
func (n *QUICNode) verify(miner *peer, r wire.JobResult) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	job, known := miner.jobs[r.JobID]
	switch {
	case !known:
		return misbehaviour("a result of job %q, of which this connection was not told", r.JobID)
	case r.Status != wire.Completed:
		return misbehaviour("a job of all nonces ended as %s", r.Status)
	}
	rule, err := poseidon2.NewReference(job.Header, job.Difficulty)
	if err != nil {
		return err
	}
	hash, valid := rule.Verify(r.Nonce)
	elapsed := time.Duration(r.ElapsedTime * float64(time.Second))
	switch most := time.Since(job.at); {
	case !valid:
		return misbehaviour("WRONG SEAL: job %s, header %x, difficulty %s, nonce %s has the hash %s",
			job.ID, job.Header, job.Difficulty, r.Nonce.Hex(), hash)
	case job.nonces[r.Nonce]:
		return misbehaviour("job %s: nonce %s a second time", job.ID, r.Nonce.Hex())
	case r.HashCount == 0:
		return misbehaviour("job %s: it found nonce %s by evaluating none", job.ID, r.Nonce.Hex())
	case r.ElapsedTime > most.Seconds():
		return misbehaviour("job %s: it searched for %g s, and has had the job for %s", job.ID, r.ElapsedTime, most)
	}
	job.nonces[r.Nonce] = true
	if job.task != n.current || job.sealed {
		n.tally.Late++
		return nil
	}
	n.tally.Seals++
	if !n.Share.IsZero() {
		n.sendJob(miner)
		return nil
	}
	if n.trouble.Refuse {
		return nil
	}
	job.sealed = true
	b := Block{Sealed: true, Nonce: r.Nonce, Distance: hash, Threshold: job.Difficulty, Tries: r.HashCount, Elapsed: elapsed}
	work := r.Nonce.Bytes()
	n.head = sha256.Sum256(append(job.Header[:], work[:]...))
	// The count of a fleet is up to a second late. So a block counts for an eighth of what it takes
	// on average at least, or ever shorter ones would have ever lower counts.
	counted := b
	counted.Tries = max(b.Tries, job.Difficulty.Sat64()/8)
	n.difficulty = u512.From64(triesIn(counted, n.BlockTime))
	n.blocks = append(n.blocks, b)
	select {
	case n.sealed <- struct{}{}:
	default: // it is known
	}
	return nil
}

// Tally returns what has happened.
func (n *QUICNode) Tally() Tally {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.tally
	t.Miners = len(n.miners)
	return t
}

// Change changes what is wrong. Miners are told of a new job, in which it shows.
func (n *QUICNode) Change(how func(*Trouble)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	how(&n.trouble)
	if n.current != nil {
		n.advance()
	}
}
