package mining

import (
	"context"
	"slices"
	"time"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// winnerQueue is how many winners of a job that goes on may wait to be received. When
// there are more, the workers wait: nothing is dropped. It is enough for those that come
// at about the same time, and few enough that they are no burden when the job is over.
const winnerQueue = 4

// Winner is a valid nonce of a job that goes on after it, confirmed by the reference
// rule.
type Winner struct {
	// Nonce is the winner, and Distance its distance by the reference rule.
	Nonce, Distance u512.Uint
	// Found is when it was.
	Found time.Time
	// Evaluated counts the nonces that the job had evaluated by then.
	Evaluated uint64
}

// Winners returns the winners of a job that goes on, each once. It is nil for other
// jobs. When the job is over, what is in the channel can still be received; it is
// never closed.
func (j *Job) Winners() <-chan Winner { return j.winners }

// deliver puts a winner of a lease in the queue of a job that goes on, and waits for room in
// it. It reports whether the lease is to be searched on.
func (m *Miner) deliver(l *lease, r Result) (goOn bool) {
	m.mu.Lock()
	twice := l.again || l.void // others may have found it, too
	goOn = !l.void
	m.mu.Unlock()
	v, err := m.hand(context.Background(), l.job, l.term.totals, r, twice)
	return goOn && err == nil && v != Over
}

// hand puts a winner in the queue of a job that goes on, and waits for room in it. A winner that
// may come twice is handed over once. It counts to the engines of an index. The error is that of ctx.
func (m *Miner) hand(ctx context.Context, job *Job, engine int, r Result, twice bool) (Verdict, error) {
	m.mu.Lock()
	if job.result.Status != Running {
		m.mu.Unlock()
		return Over, nil
	}
	w := Winner{Nonce: r.Nonce, Distance: r.Distance, Found: time.Now(), Evaluated: job.count().sum}
	known := twice && !job.twice.add(w.Nonce)
	m.mu.Unlock()
	if known {
		return Known, nil
	}
	select {
	case job.winners <- w:
	case <-job.done:
		return Over, nil // nobody wants it any more
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		job.twice.remove(w.Nonce) // it may be offered again
		return Over, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if job.result.Status != Running {
		// The owner may have taken the last winners before this one was there.
		select {
		case <-job.winners:
			return Over, nil
		default:
		}
	}
	m.found(engine, job.find(w.Nonce, w.Found))
	return Taken, nil
}

// nonceSet is a set of the nonces that were added last.
type nonceSet struct {
	has   map[u512.Uint]struct{}
	order []u512.Uint
}

// maxNonceSet bounds a set: no two machines find the same winner with so many in between.
const maxNonceSet = 1 << 14

// add adds a nonce, and reports whether it was not there.
func (s *nonceSet) add(nonce u512.Uint) bool {
	if _, has := s.has[nonce]; has {
		return false
	}
	if s.has == nil {
		s.has = make(map[u512.Uint]struct{})
	}
	if len(s.order) == maxNonceSet {
		delete(s.has, s.order[0])
		s.order = s.order[1:]
	}
	s.has[nonce] = struct{}{}
	s.order = append(s.order, nonce)
	return true
}

// remove removes a nonce.
func (s *nonceSet) remove(nonce u512.Uint) {
	if _, has := s.has[nonce]; has {
		delete(s.has, nonce)
		s.order = slices.DeleteFunc(s.order, func(other u512.Uint) bool { return other == nonce })
	}
}

// advance has a lease go on behind a winner.
func (m *Miner) advance(l *lease, winner u512.Uint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !l.void { // or it is searched by others already
		l.Start, l.counted = after(winner), l.progress.Evaluated()
	}
}
