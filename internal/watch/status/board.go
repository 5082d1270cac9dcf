package status

import (
	"slices"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
)

// Program says which miner this is.
type Program struct {
	Version, Revision string
	// PoW is the proof of work, as operators know it.
	PoW string
	// Difficulty is that of a job's threshold. It may be nil if nobody knows.
	Difficulty hashrate.Difficulty
}

// Board knows how a miner stands.
type Board struct {
	// Pool, if not nil, returns how the miner stands with the pool that it works for. It is to be
	// set before the board is asked.
	Pool func() Pool

	// Hub, if not nil, returns how the miner stands with the hub that it works for. It is to be set
	// before the board is asked.
	Hub func() Hub

	// Fleet and Machines, if not nil, return how the machines stand that mine for this one, together
	// and each. They are to be set before the board is asked.
	Fleet    func() Fleet
	Machines func() []Machine

	// GPUs, if not nil, returns the GPUs: their names, engines and back ends, and how they stand. It
	// is to be set before the board is asked.
	GPUs func() []Device

	sampler *hashrate.Sampler
	program Program
	node    func() Node // nil for none
	started time.Time

	mu      sync.Mutex
	answers map[winner]answer // of the latest ones
	order   []winner          // that were answered, the latest last
}

// maxAnswers bounds the answers that a board remembers: more than there are latest winners, as
// an answer may come before the miner has noted its winner, and late answers in between.
const maxAnswers = 200

// winner tells a winner from others.
type winner struct {
	job   string
	nonce u512.Uint
}

// answer is what became of a winner.
type answer struct {
	text  string
	after time.Duration // since it was found
}

// New returns the board of a sampler's miner. What node returns is how the miner stands
// with the node that it connects to; it is nil for a miner that serves an API.
func New(sampler *hashrate.Sampler, program Program, node func() Node) *Board {
	return &Board{sampler: sampler, program: program, node: node, started: time.Now(), answers: make(map[winner]answer)}
}

// Fetched says that the node has fetched the winner of a job, that long after it was
// found.
func (b *Board) Fetched(job string, after time.Duration) {
	for _, find := range b.sampler.Miner().Current().Finds {
		if find.Job == job {
			b.answered(winner{job, find.Nonce}, answer{"fetched", after})
		}
	}
}

// Sent says that a winner of a job was sent to the node, that long after it was found.
func (b *Board) Sent(job string, nonce u512.Uint, after time.Duration) {
	b.answered(winner{job, nonce}, answer{"sent", after})
}

// Settled says what has become of a winner that is a pool's share, that long after it was
// found.
func (b *Board) Settled(job string, nonce u512.Uint, what string, after time.Duration) {
	b.answered(winner{job, nonce}, answer{what, after})
}

// answered notes what became of a winner, and forgets the oldest answer if there are too many.
func (b *Board) answered(w winner, a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.answers[w]; !known {
		b.order = append(b.order, w)
	}
	b.answers[w] = a
	if len(b.order) > maxAnswers {
		delete(b.answers, b.order[0])
		b.order = b.order[1:]
	}
}

// recent returns the latest winners, newest first.
func (b *Board) recent(finds []mining.Find) []Winner {
	b.mu.Lock()
	defer b.mu.Unlock()
	recent := make([]Winner, 0, len(finds)) // null is not a list
	for _, f := range slices.Backward(finds) {
		w := Winner{Time: f.Time.UTC().Truncate(time.Millisecond), Job: f.Job, Nonce: f.Nonce.Hex(), Took: seconds(f.Elapsed), Answer: "none"}
		if a, known := b.answers[winner{f.Job, f.Nonce}]; known {
			after := seconds(a.after)
			w.Answer, w.After = a.text, &after
		}
		recent = append(recent, w)
	}
	return recent
}
