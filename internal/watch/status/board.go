package status

import (
	"slices"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
)

// maxWinners bounds the winners that a board remembers.
const maxWinners = 50

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
	sampler *hashrate.Sampler
	program Program
	node    func() Node // nil for none
	started time.Time

	mu        sync.Mutex
	completed uint64                   // jobs, at the latest look
	known     map[*mining.Job]struct{} // those of them that were there then
	winners   []Winner                 // the latest, oldest first
}

// New returns the board of a sampler's miner, which is to be made before the sampler
// runs. What node returns is how the miner stands with the node that it connects to;
// it is nil for a miner that serves an API.
func New(sampler *hashrate.Sampler, program Program, node func() Node) *Board {
	b := &Board{sampler: sampler, program: program, node: node, started: time.Now()}
	sampler.Updated = b.look
	return b
}

// look notes the winners of jobs that were completed since the last look.
func (b *Board) look(o mining.Overview) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o.Completed == b.completed {
		return
	}
	b.completed = o.Completed
	known := make(map[*mining.Job]struct{})
	for _, job := range b.sampler.Miner().Overview().Jobs {
		if job.Status != mining.Completed {
			continue
		}
		known[job.Job] = struct{}{}
		if _, before := b.known[job.Job]; !before {
			b.add(Winner{
				Time:   job.Job.Started().Add(job.Elapsed).UTC().Truncate(time.Millisecond),
				Job:    job.Job.ID(),
				Nonce:  job.Nonce.Hex(),
				Took:   seconds(job.Elapsed),
				Answer: "none",
			})
		}
	}
	b.known = known
}

// add adds a winner; mu is held.
func (b *Board) add(w Winner) {
	b.winners = append(b.winners, w)
	if more := len(b.winners) - maxWinners; more > 0 {
		b.winners = slices.Delete(b.winners, 0, more)
	}
}

// Answered says what became of the latest winner of a job, that long after it was found.
func (b *Board) Answered(job, answer string, after time.Duration) {
	b.look(b.sampler.Miner().Current()) // as it may be newer than the latest look
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range slices.Backward(b.winners) {
		if w := &b.winners[i]; w.Job == job {
			s := seconds(after)
			w.Answer, w.After = answer, &s
			return
		}
	}
}

// recent returns the latest winners, newest first.
func (b *Board) recent() []Winner {
	b.mu.Lock()
	defer b.mu.Unlock()
	recent := slices.Clone(b.winners)
	slices.Reverse(recent)
	if recent == nil {
		return []Winner{} // null is not a list
	}
	return recent
}
