package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
)

// Config is what a hub has to know.
type Config struct {
	// Fleet is the name of the fleet, as [wire.NewSubjects] takes it.
	Fleet string
	// PoW is the proof of work of the miner's jobs, and Reference an engine of it, by whose
	// rule winners are verified. No crew may use that engine.
	PoW       string
	Reference engine.Engine
	// Address is where workers reach the hub: another hub is told it.
	Address string
	// Log is where it tells of its machines.
	Log *slog.Logger
}

// RivalError says that the fleet has a hub already.
type RivalError struct{ Fleet, Address string }

// Error implements the error interface.
func (e *RivalError) Error() string {
	return fmt.Sprintf("the fleet %q has a hub already, at %s: end that one, or give this one a fleet of another name", e.Fleet, e.Address)
}

// Hub has the machines of a fleet search the jobs of a miner.
type Hub struct {
	config   Config
	id       string
	conn     *nats.Conn
	miner    *mining.Miner
	subjects wire.Subjects
}

// New returns a hub whose machines are to be crews of a miner. The connection is its alone, and
// is closed by who made it.
func New(conn *nats.Conn, miner *mining.Miner, c Config) (*Hub, error) {
	subjects, err := wire.NewSubjects(c.Fleet)
	if err != nil {
		return nil, err
	}
	if c.Reference == nil {
		return nil, errors.New("a hub needs the reference of its proof of work")
	}
	return &Hub{config: c, id: wire.NewID(), conn: conn, miner: miner, subjects: subjects}, nil
}

// Run answers machines until ctx is done, and returns nil then. Otherwise its error is a
// [RivalError], or that of the connection.
func (h *Hub) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Overview returns what is known of the fleet now.
func (h *Hub) Overview() Overview { return Overview{Time: time.Now(), ID: h.id} }
