package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
)

// SearchRetryDelay is how long after a search that failed its job is searched again.
const SearchRetryDelay = time.Second

// Search is the mining job for what a server wants searched at present, if there is
// anything. It goes on after a winner: one that is refused is replaced by the next, and a
// pool wants more. It belongs to a source's goroutine.
type Search struct {
	miner *mining.Miner
	log   *slog.Logger
	take  func(mining.Winner)

	job    *mining.Job // nil if there is none
	name   string
	number uint64
	again  *time.Timer // runs until the present job is to be searched once more
}

// NewSearch returns a search for nothing yet. Winners that it had found before it ended are
// given to take, by Stop and Conclude; the others its owner receives from Winners.
func NewSearch(miner *mining.Miner, log *slog.Logger, take func(mining.Winner)) *Search {
	again := time.NewTimer(time.Hour)
	again.Stop()
	return &Search{miner: miner, log: log, take: take, again: again}
}

// Name returns the name of the mining job, or an empty one: the server's name for its job
// and the number of the search. Servers begin again with the same names when they are
// restarted, the numbers do not.
func (s *Search) Name() string { return s.name }

// Begin has a job searched anywhere, until it is stopped. There must be no search. The
// request's ID is the server's name for the job. Its only error is [mining.ErrNoEngine]: a
// search that fails is to be begun again when Again says so.
func (s *Search) Begin(r mining.Request) (err error) {
	s.number++
	s.name = fmt.Sprintf("%s#%d", r.ID, s.number)
	r.ID, r.Anywhere, r.GoOn = s.name, true, true
	s.job, err = s.miner.Submit(r)
	switch {
	case err == nil, errors.Is(err, mining.ErrClosed): // and soon we are told to end
		return nil
	case errors.Is(err, mining.ErrNoEngine):
		return err
	}
	s.log.Error("the job cannot be searched", "job", s.name, "error", err, "next_try", SearchRetryDelay)
	s.again.Reset(SearchRetryDelay)
	return nil
}

// Again returns the channel on which is said that the present job is to be searched again.
func (s *Search) Again() <-chan time.Time { return s.again.C }

// Winners returns where the winners come from. The search waits if more are found in the
// meantime than [mining.Job.Winners] holds.
func (s *Search) Winners() <-chan mining.Winner {
	if s.job == nil {
		return nil
	}
	return s.job.Winners()
}

// Ended returns a channel that is closed when the search is over.
func (s *Search) Ended() <-chan struct{} {
	if s.job == nil {
		return nil
	}
	return s.job.Done()
}

// Evaluated returns how many nonces the search has evaluated.
func (s *Search) Evaluated() uint64 {
	if s.job == nil {
		return 0
	}
	return s.job.Snapshot().Evaluated
}

// Stop ends the search, after which there is none.
func (s *Search) Stop() {
	s.again.Stop()
	if s.job != nil {
		s.miner.Cancel(s.job.ID())
		s.takeAll()
	}
	s.job, s.name = nil, ""
}

// Conclude draws the consequences of the end of the search, which nobody has asked for.
func (s *Search) Conclude() error {
	s.takeAll()
	status := s.job.Snapshot().Status
	s.job = nil
	switch {
	case status == mining.Cancelled: // by the miner, which is shutting down
	case !s.miner.Working():
		return mining.ErrNoEngine
	default: // as the log says
		s.again.Reset(SearchRetryDelay)
	}
	return nil
}

// takeAll takes the winners that the search had found before it ended.
func (s *Search) takeAll() {
	for {
		select {
		case w := <-s.job.Winners():
			s.take(w)
		default:
			return
		}
	}
}
