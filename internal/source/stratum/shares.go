package stratum

import (
	"context"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

const (
	// maxUnanswered is how many shares may wait for an answer.
	maxUnanswered = 16
	// maxWaiting is how many more may wait to be sent. Then the search pauses.
	maxWaiting = 64
	// answerTimeout is how long a share waits for an answer.
	answerTimeout = 30 * time.Second
)

// share is a winner that is a pool's, or is to be.
type share struct {
	work   *work
	search string // its mining job's name
	nonce  u512.Uint
	hash   u512.Uint
	found  time.Time

	// Once it was sent:
	id      uint64
	sent    time.Time
	timeout *time.Timer
}

// winners returns where the winners of the search come from: nil while so many shares wait
// that the search has to.
func (r *running) winners() <-chan mining.Winner {
	if len(r.waiting) >= maxWaiting {
		return nil
	}
	return r.search.Winners()
}

// take makes a share of a winner of the search, which is to be sent.
func (r *running) take(w mining.Winner) {
	r.waiting = append(r.waiting, &share{work: r.work, search: r.search.Name(), nonce: w.Nonce, hash: w.Distance, found: w.Found})
}

// send sends what may be sent. A share is sent only if it meets the target in force, though
// it was found for another.
func (r *running) send() {
	for len(r.waiting) > 0 && r.source != nil && len(r.source.Session.unanswered) < maxUnanswered {
		p, s := r.source, r.source.Session
		next := r.waiting[0]
		if next.hash.Cmp(r.work.target) >= 0 {
			r.waiting = r.waiting[1:]
			r.settle(p, next, Stale, "the target has changed")
			continue
		}
		next.id = s.ids.Add(1)
		select {
		case s.submits <- request{next.id, "submit", submitParams{s.id, next.work.id, next.nonce.PaddedHex()}}:
		default: // the pool does not read
			return
		}
		next.sent = time.Now()
		r.waiting = r.waiting[1:]
		s.unanswered = append(s.unanswered, next)
		next.timeout = time.AfterFunc(answerTimeout, func() {
			p.Call(s.ctx, func() error { return r.unacknowledged(p, s, next.id) })
		})
	}
}

// answered is what follows from a pool's answer to a request, of which we may know nothing:
// most are to our keep-alives, and those that came too late do not count.
func (r *running) answered(p *peer, id uint64, refused *refusal) error {
	next := p.Session.remove(id)
	if next == nil {
		return nil
	}
	latency := time.Since(next.sent)
	r.latency = latency
	if refused == nil {
		r.tell(p, next, Accepted, "", true, latency)
		return nil
	}
	replaced := r.source != p || next.work.space != r.work.space
	r.tell(p, next, reasonOf(*refused, replaced), refused.words, true, latency)
	return nil
}

// unacknowledged is what follows when a share has had no answer for too long.
func (r *running) unacknowledged(p *peer, s *session, id uint64) error {
	if next := s.remove(id); next != nil {
		r.settle(p, next, Unacknowledged, "no answer for "+answerTimeout.String())
	}
	return nil
}

// abandon settles the shares of a session that is over: their answers will not come.
func (r *running) abandon(p *peer, s *session) {
	for _, next := range s.unanswered {
		next.timeout.Stop()
		r.settle(p, next, Unacknowledged, "the connection is lost")
	}
	s.unanswered = nil
}

// drop settles the shares that wait to be sent, as they are of no use any more.
func (r *running) drop(p *peer, why string) {
	for _, next := range r.waiting {
		r.settle(p, next, Stale, why)
	}
	r.waiting = nil
}

// replace settles or keeps the shares that wait, as the pool has replaced the job they are of.
func (r *running) replace(p *peer, with *work) {
	waiting := r.waiting
	r.waiting = nil
	for _, next := range waiting {
		switch {
		case next.work.space == with.space: // only the target has changed: they meet it or not
			next.work = with
		case with.clean:
			r.settle(p, next, Stale, "the job was replaced")
			continue
		}
		r.waiting = append(r.waiting, next)
	}
}

// settle counts a share that the pool has not answered.
func (r *running) settle(p *peer, s *share, o Outcome, words string) {
	r.tell(p, s, o, words, false, 0)
}

// tell counts a share, and tells of it: whether it was answered, and after what time.
func (r *running) tell(p *peer, s *share, o Outcome, words string, answered bool, latency time.Duration) {
	r.counts[o]++
	if answered {
		r.judged++
	}
	if answered || o == Unacknowledged {
		r.advice.settled(o, words)
	}
	if r.Settled != nil {
		r.Settled(Share{Search: s.search, Nonce: s.nonce, Outcome: o, Answered: answered, Latency: latency, Age: time.Since(s.found)})
	}
	level, message := slog.LevelWarn, "share refused"
	attrs := []any{"pool", p.Server, "job", s.search, "nonce", s.nonce.Hex()}
	switch {
	case o == Accepted:
		level, message = slog.LevelInfo, "share accepted"
	case o == Unacknowledged:
		message = "share not acknowledged"
	case !answered:
		level, message = slog.LevelInfo, "share not sent" // which nobody can help
	}
	if o != Accepted {
		attrs = append(attrs, "result", o.String(), "reason", words)
	}
	attrs = append(attrs, "accepted", r.counts[Accepted], "answered", r.judged, "difficulty", s.work.difficulty)
	if answered {
		attrs = append(attrs, "latency", latency.Round(100*time.Microsecond))
	}
	r.log.Log(context.Background(), level, message, attrs...)
}

// remove takes a share from those that wait for an answer, and returns it, or nil if there is
// none of that ID.
func (s *session) remove(id uint64) *share {
	for i, next := range s.unanswered {
		if next.id == id {
			s.unanswered = append(s.unanswered[:i:i], s.unanswered[i+1:]...)
			next.timeout.Stop()
			return next
		}
	}
	return nil
}

// reason is how one is known.
type reason struct {
	outcome Outcome
	code    string
	words   *regexp.Regexp
}

// reasons are the words by which a reason is known: no pool documents its own. What they have
// in common, and the codes of the stratum of other networks (21 to 23), is all there is to go
// by. They are compiled when a share is refused: most miners are no pool's.
var reasons = sync.OnceValue(func() []reason {
	return []reason{
		{Duplicate, "22", regexp.MustCompile(`(?i)duplicate|already (submitted|known|seen)`)},
		{LowDifficulty, "23", regexp.MustCompile(`(?i)low.{0,12}diff|diff.{0,20}(low|below)|above.{0,12}target|(hash|share).{0,20}(target|high)|not meet`)},
		{Stale, "21", regexp.MustCompile(`(?i)stale|expired|outdated|too late|(unknown|old|invalid|no such).{0,6}job|job.{0,12}(not found|unknown|over|replaced)`)},
	}
})

// reasonOf returns why a pool has refused a share, whose job was replaced meanwhile or not.
func reasonOf(r refusal, replaced bool) Outcome {
	for _, known := range reasons() {
		if known.words.MatchString(r.words) {
			return known.outcome
		}
	}
	for _, known := range reasons() {
		if known.code == r.code {
			return known.outcome
		}
	}
	if replaced {
		return Stale
	}
	return Other
}
