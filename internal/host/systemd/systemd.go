// Package systemd tells the service manager how the program does: that it is ready, what
// it is at, and that it is alive. The protocol is sd_notify's, datagrams of lines
// NAME=VALUE. Without a service manager, as its variables are not set, nothing is told.
package systemd

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager is the service manager.
type Manager struct{ log *slog.Logger }

// New returns the service manager that has started the program. What cannot be told it is
// a warning in the log.
func New(log *slog.Logger) Manager { return Manager{log} }

// Exists reports whether there is a service manager that wants to be told.
func (m Manager) Exists() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// Ready says that the program has started, or has done with reloading.
func (m Manager) Ready() { m.tell(daemon.SdNotifyReady) }

// Reloading says that the program reads its settings again. Ready is to follow.
func (m Manager) Reloading() {
	m.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that the program is about to end.
func (m Manager) Stopping() { m.tell(daemon.SdNotifyStopping) }

// Status tells people, in a line, what the program is at.
func (m Manager) Status(text string) {
	m.tell("STATUS=" + strings.ReplaceAll(text, "\n", " "))
}

func (m Manager) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.log.Warn("the service manager cannot be told how the miner does", "error", err)
	}
}

// Watch says that the program is alive, each time that check has returned, until ctx is
// done. It does so twice as often as the service manager wants to hear it; one that does
// not want to hear it at all is told nothing. A check that does not return is a program
// that hangs: the service manager starts it again.
func (m Manager) Watch(ctx context.Context, check func()) {
	patience, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("the service manager's watchdog is not served", "error", err)
	}
	if err != nil || patience == 0 {
		return
	}
	ticks := time.NewTicker(patience / 2)
	defer ticks.Stop()
	for {
		check()
		m.tell(daemon.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}
