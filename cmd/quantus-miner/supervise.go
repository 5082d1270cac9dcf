package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/host/systemd"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/watch/console"
)

// statusEvery is the time between two lines on how the miner does for the service manager,
// which keeps the last.
const statusEvery = 10 * time.Second

// takeHangups returns a channel that has something when a reload was asked for, by SIGHUP.
// It is nil for a miner with a terminal, which SIGHUP ends.
func takeHangups(h *hangups) <-chan struct{} {
	if h == nil || hasTerminal() {
		return nil
	}
	reloads := make(chan struct{}, 1) // one that waits stands for all that were asked for
	h.take(func() {
		select {
		case reloads <- struct{}{}:
		default:
		}
	})
	return reloads
}

// supervised reports whether there is somebody to be told, or to ask for reloads.
func (s service) supervised() bool { return s.reloads != nil || systemd.New(s.log).Exists() }

// supervise reloads when that is asked for, and tells the service manager how the miner
// does, until ctx is done.
func (s service) supervise(ctx context.Context, miner *mining.Miner, up uplink) {
	manager := systemd.New(s.log)
	var watchdog sync.WaitGroup
	defer watchdog.Wait()
	watchdog.Go(func() {
		// What holds the state of either for ever would hold up all mining.
		manager.Watch(ctx, func() {
			miner.Current()
			_ = up.String()
		})
	})
	var ticks <-chan time.Time
	if manager.Exists() {
		ticker := time.NewTicker(statusEvery)
		defer ticker.Stop()
		ticks = ticker.C
	}
	manager.Ready()
	before := miner.Current()
	manager.Status(statusLine(before, before, up))
	for {
		select {
		case <-ctx.Done():
			manager.Stopping()
			return
		case <-s.reloads:
			manager.Reloading()
			s.reload(ctx)
			manager.Ready()
		case <-ticks:
			now := miner.Current()
			manager.Status(statusLine(before, now, up))
			before = now
		}
	}
}

// statusLine says how a miner does, in a line, after some time of mining.
func statusLine(before, now mining.Overview, up uplink) string {
	at := up.String()
	switch {
	case now.Paused:
		at = "paused"
	case at == "":
		at = fmt.Sprintf("serving the node's API, %d jobs", now.Running)
	}
	seconds := now.Time.Sub(before.Time).Seconds()
	return fmt.Sprintf("%s; %s; %s found", at, rate(now.Evaluated-before.Evaluated, seconds), console.Count(now.Winners))
}
