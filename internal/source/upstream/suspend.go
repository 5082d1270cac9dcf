package upstream

import (
	"context"
	"errors"
	"time"
)

// ErrSuspended ends a session after this process, or its machine, was stopped for a while.
//
// The connection is of no use then. A server may have given the silent miner up without a
// word. With QUIC a node gives it up after our own idle timeout, which it is told, and an
// acknowledgement that arrived in time but is read late counts as a round trip of that length,
// after which QUIC waits three times as long for an answer before it gives up: minutes, after
// 40 s. And what the server sent in the meantime may arrive as late as that, so the job may be
// an old one.
var ErrSuspended = errors.New("this miner was suspended")

const (
	// clockTick is the time between two looks at the clocks.
	clockTick = time.Second
	// maxPause is how much longer it may take. Threads that do not mine are not kept
	// waiting for so long by other programs.
	maxPause = 2 * time.Second
)

// UntilSuspended returns ErrSuspended after this process, or its machine, was stopped
// for a while, or nil when ctx is done.
func UntilSuspended(ctx context.Context) error {
	tick := time.NewTicker(clockTick)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		now := time.Now()
		if passed(last, now) > clockTick+maxPause {
			return ErrSuspended
		}
		last = now
	}
}

// passed returns how much time has passed by the clock that says more. The monotonic
// one goes on while a process is stopped, but on most systems not while the machine
// sleeps; then the other one is ahead. If that was set, and nothing was stopped, a new
// connection does no harm.
func passed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0))) // Round(0) drops the monotonic clock
}
