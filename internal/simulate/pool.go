package simulate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Pool is a pool without a chain: miners come to it by TCP or TLS, on one port, and have
// shares accepted. It makes use of all that the stratum dialect allows, and chooses the
// difficulty so that a share takes about ShareTime. It checks all that miners say, and it
// can be in any trouble that pools are in.
//
// Its fields are to be set before Run.
type Pool struct {
	// Shares is the number of shares to accept; 0 is for no end of them. No more than two
	// count between one of the pool's moves and the next, as the first job may be so easy that
	// all are found at once.
	Shares int
	// ShareTime is the time that a share should take on average.
	ShareTime time.Duration
	// Difficulty, unless it is 0, is that of all shares, and there is one job, which never
	// changes: for measurements.
	Difficulty uint64
	// Keepalive is the time between two signs of life that miners are asked for.
	Keepalive time.Duration
	// Grace is how long a miner may take to do what it must do, and how long after a job was
	// replaced shares of it may be on their way.
	Grace time.Duration
	// Stay has it be misbehaviour that a miner leaves while nothing is wrong.
	Stay bool
	// Report is told of every share that counts or is refused, if it is not nil. It must not
	// call the pool.
	Report func(Share)

	patience time.Duration // how long a miner may find nothing, though all is well
	identity PoolIdentity
	log      *slog.Logger
	address  *net.TCPAddr  // with the port that was free
	failed   chan error    // what a miner has done wrong; the first is enough
	progress chan struct{} // a share was accepted

	// power is held while the pool is switched on or off.
	power    sync.Mutex
	listener net.Listener
	over     bool           // it will not be switched on again
	running  sync.WaitGroup // a goroutine that accepts, and two for each connection

	mu       sync.Mutex // guards what follows
	off      bool
	trouble  PoolTrouble
	sessions map[*poolSession]struct{}
	used     map[string]bool // extranonces that sessions have or had
	ids      map[string]bool // of all sessions
	job      poolJob         // the present one
	form     jobForm
	seq      uint64
	head     [32]byte // of the chain
	nonces   recent   // of all shares
	pace     pace
	moves    int       // that were made
	counted  int       // shares since the last move
	total    int       // shares that counted
	last     time.Time // when a share counted, or there was the first session
	work     uint64    // tries that accepted shares took on average, since then
	tally    PoolTally
}

// PoolTally counts what has happened to a [Pool].
type PoolTally struct {
	Miners     int               // logged in now
	Logins     uint64            // that were accepted
	Turned     uint64            // logins that were refused
	Left       uint64            // sessions that the miner has ended while nothing was wrong
	Jobs       uint64            // that differ from the one before
	Accepted   uint64            // shares
	Late       uint64            // those of them whose job was replaced while they were on their way
	Work       float64           // tries that the accepted shares took on average, in total
	Refused    map[string]uint64 // shares, by the reason that was given
	Unanswered uint64            // shares
	Keepalives uint64
	Answers    uint64 // to methods that nobody knows
}

// Share is a valid share that counts, or was refused.
type Share struct {
	// Refused is the reason for which it was, if it was.
	Refused string
	// Nonce is the share, Hash its hash, and Difficulty that of its job.
	Nonce, Hash u512.Uint
	Difficulty  uint64
	// Tries is how many nonces it takes on average to find the shares that were accepted since
	// the last one that counted, in Elapsed.
	Tries   uint64
	Elapsed time.Duration
}

// poolJob is a job of a pool's, the same for all sessions but for their extranonces.
type poolJob struct {
	id         string
	header     [32]byte
	height     uint64
	version    int // of the block at that height
	difficulty uint64
}

// target returns what the hash of a share is less than.
func (j poolJob) target() u512.Uint { return u512.Max().Div64(j.difficulty) }

// same reports whether there is no difference but the name.
func (j poolJob) same(other poolJob) bool {
	return j.header == other.header && j.difficulty == other.difficulty
}

// PoolUser is a name that a [Pool] takes for a miner's: a made-up address and a rig.
const PoolUser = "qzpHrPwwbqXAjx9usm4Cgo7DHzvUkYZt5Dr1bpd6rDVCCN8te.rig-1"

// firstHeight is the number of the first block.
const firstHeight = 22729

// ListenPool returns a pool with an address to listen at, whose port may be 0 for any that
// is free. Miners are let in while it runs.
func ListenPool(address string, identity PoolIdentity, log *slog.Logger) (*Pool, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening at %s: %w", address, err)
	}
	p := &Pool{
		ShareTime: 2 * time.Second,
		Keepalive: 30 * time.Second,
		Grace:     5 * time.Second,

		patience: time.Minute,
		identity: identity,
		log:      log,
		address:  at,
		failed:   make(chan error, 1),
		progress: make(chan struct{}, 1),
		sessions: make(map[*poolSession]struct{}),
		used:     make(map[string]bool),
		ids:      make(map[string]bool),
	}
	p.tally.Refused = make(map[string]uint64)
	if p.listener, err = p.listen(); err != nil {
		return nil, err
	}
	p.address = p.listener.Addr().(*net.TCPAddr)
	return p, nil
}

// listen has the system queue connections.
func (p *Pool) listen() (net.Listener, error) {
	network := "tcp"
	if p.address.IP.To4() != nil { // or 0.0.0.0 would be every interface by IPv6 as well
		network = "tcp4"
	}
	l, err := net.ListenTCP(network, p.address)
	if err != nil {
		return nil, fmt.Errorf("listening at %s: %w", p.address, err)
	}
	return l, nil
}

// Address returns where the pool listens.
func (p *Pool) Address() string { return p.address.String() }

// Run has the shares found, until ctx is done. Its errors wrap ErrMisbehaved if a miner is
// to blame. It leaves miners connected: Close does not.
func (p *Pool) Run(ctx context.Context) error {
	p.mu.Lock()
	p.startOver()
	p.mu.Unlock()
	p.serve()
	quiet, since := 0, time.Time{}
	for {
		what, err := p.await(ctx)
		if err != nil || what == done {
			return err
		}
		p.mu.Lock()
		if what == moveDue || !p.idle() {
			quiet, since = 0, time.Now()
		} else {
			quiet++
			p.pace.lower()
		}
		p.counted = 0
		if p.Difficulty == 0 {
			p.play()
		}
		p.mu.Unlock()
		if quiet >= maxLost && time.Since(since) > p.patience {
			return misbehaviour("it found no share of %d jobs in a row", quiet)
		}
	}
}

// sharesPerMove is how many shares count from one of the pool's moves to the next.
const sharesPerMove = 2

// What has come to pass.
const (
	done = iota
	moveDue
	timedOut
)

// await waits until it is time for the next move, or all is done.
func (p *Pool) await(ctx context.Context) (what int, err error) {
	timeout := time.NewTimer(4 * p.ShareTime)
	defer timeout.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case err := <-p.failed:
			if ctx.Err() != nil { // the miner was told to end as well
				err = ctx.Err()
			}
			return 0, err
		case <-p.progress:
		case <-timeout.C:
			return timedOut, nil
		}
		p.mu.Lock()
		total, counted := p.total, p.counted
		p.mu.Unlock()
		switch {
		case p.Shares > 0 && total >= p.Shares:
			return done, nil
		case counted >= sharesPerMove:
			return moveDue, nil
		}
	}
}

// idle reports whether a miner that could have found something has not; mu is held. One that
// waits for answers need not.
func (p *Pool) idle() bool {
	free := false
	for s := range p.sessions {
		free = free || s.open() && len(s.awaiting) == 0
	}
	return free && p.pace.shares == 0 && p.trouble == (PoolTrouble{})
}

// miners counts the miners that are logged in; mu is held.
func (p *Pool) miners() (n int) {
	for s := range p.sessions {
		if s.loggedIn {
			n++
		}
	}
	return n
}

// startOver begins with the names of jobs, of which each is another one now; mu is held.
func (p *Pool) startOver() {
	_, _ = rand.Read(p.head[:]) // which does not fail
	p.job = poolJob{height: firstHeight - 1}
	p.seq = firstHeight
	p.newBlock(jobForm{})
}

// newBlock makes up a job, as the chain has a new head, and tells miners; mu is held.
func (p *Pool) newBlock(form jobForm) {
	p.head = sha256.Sum256(p.head[:])
	p.change(poolJob{header: p.head, height: p.job.height + 1, difficulty: p.difficulty()}, form, true)
}

// difficulty returns what the difficulty should be; mu is held.
func (p *Pool) difficulty() uint64 {
	switch d := p.pace.difficulty(p.ShareTime); {
	case p.Difficulty != 0:
		return p.Difficulty
	case p.trouble.Impossible:
		return math.MaxUint64
	case p.trouble.Easy:
		return max(d/256, 1)
	default:
		return d
	}
}

// change has another job be the present one, and tells miners; mu is held.
func (p *Pool) change(next poolJob, form jobForm, clean bool) {
	next.id = fmt.Sprintf("%d-%d", next.height, next.difficulty)
	if next.version > 0 {
		next.id = fmt.Sprintf("%d.%d-%d", next.height, next.version, next.difficulty)
	}
	p.job, p.form = next, form
	p.tally.Jobs++
	p.announce(clean)
}

// announce tells miners of the present job, maybe once more; mu is held.
func (p *Pool) announce(clean bool) {
	for range 1 + p.trouble.Repeat {
		p.seq++
		for s := range p.sessions {
			if s.open() && !p.trouble.Quiet {
				s.send(jobNotice(p.give(s, clean), clean, p.oddly()))
			}
		}
	}
}

// oddly reports whether JSON is to be odd; mu is held.
func (p *Pool) oddly() bool { return p.form.Odd || p.trouble.Odd }

// give returns the present job as it is sent to a session, which knows it from then on; mu
// is held.
func (p *Pool) give(s *poolSession, clean bool) string {
	s.jobs.add(p.job, clean)
	if p.last.IsZero() {
		p.last = time.Now()
	}
	p.pace.begin()
	form := p.form
	form.Odd = p.oddly()
	return p.job.object(s.extranonce, p.seq, form)
}

// fail ends the run.
func (p *Pool) fail(err error) {
	select {
	case p.failed <- err:
	default: // it ends already
	}
}

// Tally returns what has happened.
func (p *Pool) Tally() PoolTally {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tally
	t.Miners, t.Refused = p.miners(), maps.Clone(t.Refused)
	return t
}

// Change changes what is wrong. What was wrong with connections ends with them, and miners
// are told of a new job.
func (p *Pool) Change(how func(*PoolTrouble)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how(&p.trouble)
	for s := range p.sessions {
		if s.mute {
			s.close()
		}
		if !p.trouble.Hold {
			s.release()
		}
	}
	if p.job.header != ([32]byte{}) {
		p.newBlock(jobForm{})
	}
}
