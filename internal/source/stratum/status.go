package stratum

import (
	"fmt"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/upstream"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Outcome is what becomes of a share.
type Outcome int

// The outcomes of shares.
const (
	// Accepted shares are paid for.
	Accepted Outcome = iota
	// Stale shares are of a job that was replaced: the pool has refused them, or they were not
	// sent any more.
	Stale
	// Duplicate shares were sent twice, as the pool has it.
	Duplicate
	// LowDifficulty shares do not meet the target, as the pool has it.
	LowDifficulty
	// Other shares were refused for another reason.
	Other
	// Unacknowledged shares have had no answer.
	Unacknowledged
	// NumOutcomes is their number.
	NumOutcomes
)

// String returns the outcome's name, in lower case and with underscores.
func (o Outcome) String() string {
	switch o {
	case Accepted:
		return "accepted"
	case Stale:
		return "stale"
	case Duplicate:
		return "duplicate"
	case LowDifficulty:
		return "low_difficulty"
	case Other:
		return "other"
	case Unacknowledged:
		return "unacknowledged"
	default:
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
}

// Counts are numbers of shares by their outcome.
type Counts [NumOutcomes]uint64

// Refused returns how many shares were refused, or not sent as they would have been.
func (c Counts) Refused() uint64 { return c[Stale] + c[Duplicate] + c[LowDifficulty] + c[Other] }

// Share is a share of which it is known what has become of it.
type Share struct {
	// Search is the name of the mining job, and Nonce the winner.
	Search  string
	Nonce   u512.Uint
	Outcome Outcome
	// Answered says that the pool has answered, and Latency how long after the share was sent.
	Answered bool
	Latency  time.Duration
	// Age is the time since it was found.
	Age time.Duration
}

// Status is how a link stands at one moment. Its servers are pools.
type Status struct {
	upstream.Status
	// Difficulty is that of the pool's job, 0 without one.
	Difficulty uint64
	// Shares counts the shares.
	Shares Counts
	// Latency is the time from the latest share that had an answer to that answer.
	Latency time.Duration
}

// String says it for people.
func (s Status) String() string {
	switch s.State {
	case upstream.Refused:
		return fmt.Sprintf("the pool %s refuses the login", s.Server)
	case upstream.Waiting:
		return fmt.Sprintf("connected to %s, which has no job yet", s.Server)
	case upstream.Working:
		return "working for " + s.Server
	}
	return s.Unconnected()
}
