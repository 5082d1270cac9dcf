package quicnode

import (
	"errors"
	"fmt"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// searchRetryDelay is how long after a search that failed the job is searched again.
const searchRetryDelay = time.Second

// search is a mining job for a node's job. It goes on after a winner: a node that
// refuses the result is silent, and a pool wants more.
type search struct {
	job *mining.Job // nil if there is none
	// name is the job's: the node's name for its job and the number of the search. A
	// node begins again with the same names when it is restarted, the numbers do not.
	name   string
	number uint64
	// found is when the latest winner was, and evaluated the nonces until then: each
	// result tells the node what was searched since the one before.
	found     time.Time
	evaluated uint64
}

// winners returns where the winners of the present search come from. It is nil while
// there is one to be sent yet: the search waits if more are found in the meantime than
// [mining.Job.Winners] holds.
func (r *running) winners() <-chan mining.Winner {
	if r.search.job == nil || len(r.results.waiting) > 0 {
		return nil
	}
	return r.search.job.Winners()
}

// ended returns a channel that is closed when the present search is over.
func (r *running) ended() <-chan struct{} {
	if r.search.job == nil {
		return nil
	}
	return r.search.job.Done()
}

// searchAnywhere has the present job searched, which was asked for at a certain time: anywhere,
// and until it is replaced.
func (r *running) searchAnywhere(asked time.Time) error {
	r.search = search{number: r.search.number + 1, found: asked}
	r.search.name = fmt.Sprintf("%s#%d", r.source.job.ID, r.search.number)
	var err error
	r.search.job, err = r.miner.Submit(mining.Request{
		ID:         r.search.name,
		Header:     r.source.job.Header,
		Threshold:  r.source.job.Difficulty,
		Anywhere:   true,
		GoOn:       true,
		Received:   asked,
		FirstNonce: r.FirstNonce,
	})
	switch {
	case err == nil, errors.Is(err, mining.ErrClosed): // and soon we are told to end
		return nil
	case errors.Is(err, mining.ErrNoEngine):
		return err
	}
	r.log.Error("the job cannot be searched", "job", r.search.name, "error", err, "next_try", searchRetryDelay)
	r.again.Reset(searchRetryDelay)
	return nil
}

// stop ends the search of the present job, after which there is none. What it has found
// is sent nevertheless, as long as there is a connection.
func (r *running) stop() {
	r.again.Stop()
	if job := r.search.job; job != nil {
		r.miner.Cancel(job.ID())
		r.takeAll(job)
		r.results.flush(r.log)
	}
	r.search.job, r.source = nil, nil
	r.search.name = ""
}

// conclude draws the consequences of the end of the present search, which nobody has
// asked for.
func (r *running) conclude() error {
	job := r.search.job
	r.takeAll(job)
	r.search.job = nil
	switch {
	case job.Snapshot().Status == mining.Cancelled: // by the miner, which is shutting down
	case !r.miner.Working():
		return mining.ErrNoEngine
	default: // as the log says
		r.again.Reset(searchRetryDelay)
	}
	return nil
}

// takeAll takes the winners that a search had found before it ended.
func (r *running) takeAll(job *mining.Job) {
	for {
		select {
		case w := <-job.Winners():
			r.take(w)
		default:
			return
		}
	}
}

// take makes a result of a winner of the present search, which is to be sent.
func (r *running) take(w mining.Winner) {
	// Workers that find winners at the same time may tell of them in another order.
	evaluated, elapsed := max(w.Evaluated, r.search.evaluated+1)-r.search.evaluated, max(0, w.Found.Sub(r.search.found))
	r.search.evaluated, r.search.found = r.search.evaluated+evaluated, r.search.found.Add(elapsed)
	r.results.add(r.source, result{
		message: wire.JobResult{
			Status:      wire.Completed,
			JobID:       r.source.job.ID,
			Nonce:       w.Nonce,
			HashCount:   evaluated,
			ElapsedTime: elapsed.Seconds(),
		},
		search: r.search.name,
		found:  w.Found,
	}, r.log)
}
