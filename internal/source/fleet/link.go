package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

// Config is what a worker has to know.
type Config struct {
	// Fleet is the name of the fleet, as [wire.NewSubjects] takes it.
	Fleet string
	// Hub is what the hub is called in the log: its address.
	Hub string
	// Dial makes a connection to the hub's NATS server, with these options besides its own. The id is
	// the instance id of this worker, for which [wire.Subjects] says what it may do. These options have
	// nats.go connect again and again, so there is an error only for what is wrong with the options.
	Dial func(id string, options ...nats.Option) (*nats.Conn, error)
	// Fatal says whether an error of a connection is one that only the operator can mend, such as a
	// token that is refused: Run ends by it.
	Fatal func(error) bool
	// Name is what the machine's operator calls it.
	Name string
	// Version is the program's, and PoW the proof of work that the miner's engines search.
	Version, PoW string
	// Log is where it tells how it stands.
	Log *slog.Logger
}

// RefusedError says that the hub has no use for this machine, and why.
type RefusedError struct{ Hub, Reason string }

// Error implements the error interface.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the hub %s refuses this machine: %s", e.Hub, e.Reason)
}

// Link has a miner work for a hub. Its exported fields are to be set before Run.
type Link struct {
	// FirstNonce, if not nil, is told how long each job took from its receipt to its first
	// nonces. A worker calls it, so it must return at once.
	FirstNonce func(time.Duration)

	config   Config
	id       string
	miner    *mining.Miner
	subjects wire.Subjects
	// untilSuspended is [upstream.UntilSuspended], but for tests.
	untilSuspended func(context.Context) error

	mu     sync.Mutex
	status Status
}

// Status is how a link stands at one moment. Its server is the hub.
type Status struct {
	upstream.Status
	// Name is what the machine is called in the fleet, empty before it was told.
	Name string
	// Leases is how many leases it holds.
	Leases int
	// Waiting is how many winners wait for the hub, and Winners counts what became of others.
	Waiting int
	Winners Winners
}

// Winners counts winners by what became of them: those that the hub has taken, knew already, found stale or
// wrong.
type Winners struct{ Taken, Known, Stale, Wrong uint64 }

// String says it for people.
func (s Status) String() string {
	switch s.State {
	case upstream.Refused:
		return s.Reason.Error()
	case upstream.Waiting:
		return fmt.Sprintf("connected to the hub %s, which has no job", s.Server)
	case upstream.Working:
		return "working for the hub " + s.Server
	}
	return s.Unconnected()
}

// New returns a link between a miner and a hub. The miner is the link's alone; its limits
// must not refuse one job after another, or end a job that nobody asks about.
func New(miner *mining.Miner, c Config) (*Link, error) {
	subjects, err := wire.NewSubjects(c.Fleet)
	if err != nil {
		return nil, err
	}
	return &Link{
		config: c, id: wire.NewID(), miner: miner, subjects: subjects, untilSuspended: upstream.UntilSuspended,
		status: Status{Status: upstream.Status{Server: c.Hub, Since: time.Now()}},
	}, nil
}

// Status returns how the link stands.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}
