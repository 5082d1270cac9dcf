package mining

import (
	"context"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Remote is a machine far away that searches leases, with engines of its own.
type Remote interface {
	// Search has the machine search a range of a job, as [engine.Job] has it, but for two
	// things. It never ends with a winner: those come by [Crew.Offer], at any time. And the
	// machine searches in any order: what it has evaluated is added to p, and how many nonces from the
	// start of the range were searched without a gap is returned when it ends early. If it
	// is stopped unasked the crew gets no more of the job.
	Search(job *Job, r engine.Range, p *engine.Progress) (s engine.Status, done uint64)
	// LeaseSize returns how many nonces the next lease should have, at least 1. It must
	// return at once.
	LeaseSize() uint64
}

// Verdict is what becomes of a winner that was offered.
type Verdict int

// The verdicts.
const (
	// Taken: it has completed the job, or is in the queue of its winners.
	Taken Verdict = iota
	// Known: it was offered before, or others have found it as well.
	Known
	// Over: nobody wants it, as the job is over.
	Over
	// Wrong: it is not valid, or not of the job's range. The crew has left.
	Wrong
)

// Offer gives a job a nonce that the crew's machine takes for a winner. It may come late, when
// the machine does not hold that lease any more. The nonce is verified by the reference, the job
// as it was prepared with that. If many wait in the queue of the job's winners Offer waits for room
// until ctx is done, and its error is that of ctx then.
func (c *Crew) Offer(ctx context.Context, job *Job, reference engine.Job, nonce u512.Uint) (Verdict, error) {
	m := c.miner
	m.mu.Lock()
	t := c.term
	m.mu.Unlock()
	result, err := verify(reference, job.nonces, nonce)
	if err == ErrWrongNonce {
		m.wrongNonce(t, job, job.nonces, nonce)
		return Wrong, nil
	}
	if err != nil {
		return 0, err
	}
	if job.request.GoOn {
		return m.hand(ctx, job, t.totals, result, true)
	}
	m.mu.Lock()
	ended := m.end(job, result)
	same := job.result.Status == Completed && job.result.Nonce == nonce
	if ended {
		m.found(t.totals, job.find(nonce, job.ended))
	}
	m.mu.Unlock()
	switch {
	case ended:
		m.logEnd(job)
		return Taken, nil
	case same:
		return Known, nil
	default:
		return Over, nil
	}
}

// CountLate counts nonces that a machine has evaluated of a job, and of which it told when the job
// was over, as those of the engines of a name. They are in the totals: those of the job are final.
func (m *Miner) CountLate(engine string, n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.engines[m.engineIndex(engine)].Evaluated += n
}

// Covered returns how many nonces from the start of a running job's range are searched without a gap,
// up to 2^64−1. If an engine turns out to be wrong it may be fewer than before. Of a job that
// is over nothing is known but how it ended: it returns 0.
func (j *Job) Covered() uint64 {
	j.miner.mu.Lock()
	defer j.miner.mu.Unlock()
	if j.result.Status != Running {
		return 0
	}
	lowest, all := u512.Uint{}, true
	not := func(nonce u512.Uint) {
		if all || nonce.Cmp(lowest) < 0 {
			lowest, all = nonce, false
		}
	}
	for _, s := range j.unleased {
		not(s.Start)
	}
	for _, a := range j.assignments {
		for _, l := range a.held {
			if l != nil {
				not(l.Start.AddSat(u512.From64(l.searched())))
			}
		}
	}
	if all {
		return j.nonces.End.SubWrap(j.nonces.Start).AddSat(u512.From64(1)).Sat64()
	}
	return lowest.SubWrap(j.nonces.Start).Sat64()
}
