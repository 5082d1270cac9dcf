package quicnode

import (
	"log/slog"
	"time"
)

// resultsPerSecond is how many results are written in any second at most. It matters if jobs
// are so easy that there are more winners: nobody wants thousands a second. A pool whose
// difficulty is low for a miner wants tens, though. The results of one job are
// resultInterval apart, so that they come evenly.
const (
	resultsPerSecond = 50
	resultInterval   = time.Second / resultsPerSecond
)

// results are what is to be written to a node, in the order in which it was found. They
// belong to the link's goroutine, and wait there for their turn and for the node to read:
// so they cannot pile up in the connection. When their job is replaced they no longer
// wait, and nor does the first of the next job: it must not be stale because the one
// before was easy. Only the limit of any second holds for them as well.
type results struct {
	waiting []result
	to      *peer       // that they are for
	next    time.Time   // when the next may be written
	due     *time.Timer // runs until then

	latest [resultsPerSecond]time.Time // when the latest ones were written
	oldest int                         // which of them comes first
}

func newResults() results {
	due := time.NewTimer(time.Hour)
	due.Stop()
	return results{due: due}
}

// add puts a result behind those that wait, which are few: as long as one waits, no winner
// is taken but those of a job that ends.
func (rs *results) add(to *peer, r result, log *slog.Logger) {
	if to.Session == nil {
		log.Warn("result dropped: its connection is lost", "job", r.search, "nonce", r.message.Nonce.Hex())
		return
	}
	rs.to = to
	rs.waiting = append(rs.waiting, r)
}

// first returns the result that is to be written next, and where it is to be put: nil
// while there is none, it is not time for it, or the one before is being written yet.
func (rs *results) first() (chan<- result, result) {
	if len(rs.waiting) == 0 || len(rs.to.Session.results) > 0 || time.Now().Before(rs.next) {
		return nil, result{}
	}
	return rs.to.Session.results, rs.waiting[0]
}

// done removes the first result, as it is being written.
func (rs *results) done() {
	rs.waiting = rs.waiting[1:]
	rs.written()
	rs.wait(time.Now().Add(resultInterval))
}

// flush puts all results where they are written, as their job is over. They are too many only
// if one easy job after the other is replaced.
func (rs *results) flush(log *slog.Logger) {
	for _, r := range rs.waiting {
		if time.Now().Before(rs.free()) {
			log.Warn("result dropped: its job is replaced, and there were too many in a second", "job", r.search, "nonce", r.message.Nonce.Hex(), "most", resultsPerSecond)
			continue
		}
		select {
		case rs.to.Session.results <- r:
			rs.written()
		default:
			log.Warn("result dropped: the node does not read", "job", r.search, "nonce", r.message.Nonce.Hex())
		}
	}
	rs.waiting = nil
	rs.wait(time.Time{})
}

// written notes that a result is being written.
func (rs *results) written() {
	rs.latest[rs.oldest] = time.Now()
	rs.oldest = (rs.oldest + 1) % resultsPerSecond
}

// free returns when another result may be written without being one too many in a second.
func (rs *results) free() time.Time { return rs.latest[rs.oldest].Add(time.Second) }

// wait has the next result wait until the given time, and until it is not one too many.
func (rs *results) wait(until time.Time) {
	if free := rs.free(); until.Before(free) {
		until = free
	}
	rs.next = until
	rs.due.Reset(time.Until(until))
}

// drop forgets the results for a peer, as its connection is lost.
func (rs *results) drop(of *peer, log *slog.Logger) {
	if rs.to != of {
		return
	}
	for _, r := range rs.waiting {
		log.Warn("result dropped: its connection is lost", "job", r.search, "nonce", r.message.Nonce.Hex())
	}
	rs.waiting = nil
}
