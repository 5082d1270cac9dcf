package mining

import (
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

// deliver puts a winner in the queue of a job that goes on, and waits for room in it.
// It reports whether the lease is to be searched on.
func (m *Miner) deliver(l *lease, r Result) (goOn bool) {
	job := l.job
	m.mu.Lock()
	if job.result.Status != Running {
		m.mu.Unlock()
		return false
	}
	w := Winner{Nonce: r.Nonce, Distance: r.Distance, Found: time.Now(), Evaluated: job.count().sum}
	known := false
	if l.again || l.void { // as another may have found it, too
		if _, known = job.twice[w.Nonce]; !known {
			if job.twice == nil {
				job.twice = make(map[u512.Uint]struct{})
			}
			job.twice[w.Nonce] = struct{}{}
		}
	}
	goOn = !l.void
	m.mu.Unlock()
	if known {
		return goOn
	}
	select {
	case job.winners <- w:
	case <-job.done:
		return false // nobody wants it any more
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if job.result.Status != Running {
		// The owner may have taken the last winners before this one was there.
		select {
		case <-job.winners:
			return false
		default:
		}
	}
	m.found(l.term.totals, Find{job.ID(), w.Nonce, w.Found, w.Found.Sub(job.request.Received)})
	return goOn
}

// advance has a lease go on behind a winner.
func (m *Miner) advance(l *lease, winner u512.Uint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !l.void { // or it is searched by others already
		l.Start, l.counted = after(winner), l.progress.Evaluated()
	}
}
