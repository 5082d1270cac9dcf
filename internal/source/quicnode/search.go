package quicnode

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

const (
	// pace is the least time between the beginnings of two searches of the same job. It
	// matters if the job is so easy that each has a winner at once: nobody wants
	// thousands a second. A pool whose difficulty is low for a miner wants tens, though.
	pace = 20 * time.Millisecond
	// respite is how long after a search that failed the job is searched again.
	respite = time.Second
)

// search is a mining job for a node's job: the first, or one of those that follow
// when a winner was found and the node is silent, as it refused that.
type search struct {
	job *mining.Job // nil if it is over, or there is none
	// name is the job's: the node's name for its job and the number of the search. A
	// node begins again with the same names when it is restarted, the numbers do not.
	name   string
	number uint64
	began  time.Time
}

// searched returns a channel that is closed when the present search is over.
func (r *running) searched() <-chan struct{} {
	if r.search.job == nil {
		return nil
	}
	return r.search.job.Done()
}

// searchOn begins a search of the present job, which was asked for at a certain time,
// from another random nonce: so machines keep apart without knowing of each other. (The
// workers of this one take leases of the range.) What is left of the range up to its
// end is more than anybody can search.
func (r *running) searchOn(asked time.Time) error {
	var start [u512.Size]byte
	_, _ = rand.Read(start[:]) // never fails
	r.search.number++
	r.search.name = fmt.Sprintf("%s#%d", r.source.job.ID, r.search.number)
	r.search.began = asked
	var err error
	r.search.job, err = r.miner.Submit(mining.Request{
		ID:        r.search.name,
		Header:    r.source.job.Header,
		Threshold: r.source.job.Difficulty,
		Range:     engine.Range{Start: u512.FromBytes(start), End: u512.Max()},
		Received:  asked,
	})
	switch {
	case err == nil, errors.Is(err, mining.ErrClosed): // and soon we are told to end
		return nil
	case errors.Is(err, mining.ErrNoEngine):
		return err
	}
	r.log.Error("the job cannot be searched", "job", r.search.name, "error", err, "next_try", respite)
	r.again.Reset(respite)
	return nil
}

// stop ends the search of the present job, after which there is none. If it has found
// something, that is sent nevertheless as long as there is a connection.
func (r *running) stop() {
	r.again.Stop()
	if job := r.search.job; job != nil {
		r.miner.Cancel(job.ID())
		r.send(job)
	}
	r.search.job, r.source = nil, nil
	r.search.name = ""
}

// conclude draws the consequences of the end of the present search.
func (r *running) conclude() error {
	job := r.search.job
	r.search.job = nil
	switch s := job.Snapshot(); {
	case s.Status == mining.Completed:
		if !r.send(job) {
			r.again.Reset(respite)
		}
	case s.Status == mining.Cancelled: // by the miner, which is shutting down
	case s.Err == mining.ErrExhausted: // it began at the range's very end
		return r.searchOn(time.Now())
	case !r.miner.Working():
		return mining.ErrNoEngine
	default: // as the log says
		r.again.Reset(respite)
	}
	return nil
}

// send has a search's winner sent, if there is one, and reports whether it will be.
func (r *running) send(job *mining.Job) bool {
	s := job.Snapshot()
	if s.Status != mining.Completed {
		return false
	}
	source := r.source
	if source.session == nil {
		r.log.Warn("result dropped: its connection is lost", "job", job.ID(), "nonce", s.Nonce.Hex())
		return false
	}
	select {
	case source.session.results <- result{
		message: wire.JobResult{
			Status:      wire.Completed,
			JobID:       source.job.ID,
			Nonce:       s.Nonce,
			HashCount:   s.Evaluated,
			ElapsedTime: s.Elapsed.Seconds(),
		},
		search: job.ID(),
		found:  job.Started().Add(s.Elapsed),
	}:
		return true
	default:
		r.log.Warn("result dropped: the node does not read", "job", job.ID(), "nonce", s.Nonce.Hex())
		return false
	}
}

// pace has the present job searched on when a result of it was sent.
func (r *running) pace(search string) {
	if r.search.job != nil || r.search.name != search {
		return // another one is searched by now
	}
	r.again.Reset(pace - time.Since(r.search.began)) // at once, if that is long ago
}
