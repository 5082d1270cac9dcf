package quicnode

import (
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// told is what the node was told of a search: when the latest winner was, and how many nonces
// were evaluated until then. Each result tells what was searched since the one before.
type told struct {
	found     time.Time
	evaluated uint64
}

// winners returns where the winners of the present search come from. It is nil while there
// is one to be sent yet.
func (r *running) winners() <-chan mining.Winner {
	if len(r.results.waiting) > 0 {
		return nil
	}
	return r.search.Winners()
}

// searchAnywhere has the present job searched, which was asked for at a certain time: anywhere,
// and until it is replaced.
func (r *running) searchAnywhere(asked time.Time) error {
	r.told = told{found: asked}
	return r.search.Begin(mining.Request{
		ID:         r.job.ID,
		Header:     r.job.Header,
		Threshold:  r.job.Difficulty,
		Received:   asked,
		FirstNonce: r.FirstNonce,
	})
}

// stop ends the search of the present job, after which there is none. What it has found
// is sent nevertheless, as long as there is a connection.
func (r *running) stop() {
	r.search.Stop()
	r.results.flush(r.log)
	r.source = nil
}

// take makes a result of a winner of the present search, which is to be sent.
func (r *running) take(w mining.Winner) {
	// Workers that find winners at the same time may tell of them in another order.
	evaluated, elapsed := max(w.Evaluated, r.told.evaluated+1)-r.told.evaluated, max(0, w.Found.Sub(r.told.found))
	r.told = told{r.told.found.Add(elapsed), r.told.evaluated + evaluated}
	r.results.add(r.source, result{
		message: wire.JobResult{
			Status:      wire.Completed,
			JobID:       r.job.ID,
			Nonce:       w.Nonce,
			HashCount:   evaluated,
			ElapsedTime: elapsed.Seconds(),
		},
		search: r.search.Name(),
		found:  w.Found,
	}, r.log)
}
