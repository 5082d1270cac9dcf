package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
)

const (
	// rivalTime is how long a hub waits for an answer of another before it begins.
	rivalTime = 500 * time.Millisecond
	// rivalInterval is the time between two looks for others, in case two have begun at the same time,
	// or could not hear each other.
	rivalInterval = 5 * time.Second
)

// RivalError says that the fleet has a hub already.
type RivalError struct{ Fleet, Address string }

// Error implements the error interface.
func (e *RivalError) Error() string {
	return fmt.Sprintf("the fleet %q has a hub already, at %s: end that one, or give this one a fleet of another name", e.Fleet, e.Address)
}

// asRival returns what the hub tells others.
func (h *Hub) asRival() wire.Rival {
	return wire.Rival{Hub: h.id, Address: wire.Tidy(h.config.Address, wire.MaxText), Started: h.started.UnixMilli()}
}

// askForRivals looks for another hub of the fleet. Whoever answers was there first.
func (h *Hub) askForRivals(ctx context.Context) error {
	text, err := wire.Encode(h.asRival())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rivalTime)
	defer cancel()
	msg, err := h.conn.RequestWithContext(ctx, h.subjects.Hub(), text)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil
	case err != nil:
		return fmt.Errorf("looking for another hub of the fleet %q: %w", h.config.Fleet, err)
	}
	other, err := wire.Decode[wire.Rival](msg.Data)
	if err != nil {
		return fmt.Errorf("the fleet %q has another hub already, which says what cannot be read: %w", h.config.Fleet, err)
	}
	return &RivalError{h.config.Fleet, other.Address}
}

// hearRival is what follows when there is another hub: the one that began first stays.
func (h *Hub) hearRival(msg *nats.Msg) {
	other, err := wire.Decode[wire.Rival](msg.Data)
	if err != nil || other.Hub == h.id {
		return
	}
	h.answer(msg, h.asRival())
	if msg.Reply != "" { // it only asks, and ends by the answer
		return
	}
	own := h.started.UnixMilli()
	if other.Started < own || other.Started == own && other.Hub < h.id {
		select {
		case h.rivals <- other:
		default:
		}
	}
}
