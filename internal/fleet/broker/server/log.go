package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// natsLog is the log of a NATS server, in ours. What others cause is a warning, which our log
// rations, and what the server says of itself is for those who debug.
type natsLog struct {
	log *slog.Logger

	mu    sync.Mutex
	fatal error // the first that the server gave up for
}

// Noticef implements [server.Logger].
func (l *natsLog) Noticef(format string, v ...any) {
	level := slog.LevelDebug
	if strings.Contains(format, "Slow Consumer") { // a worker that does not read
		level = slog.LevelWarn
	}
	l.tell(level, format, v)
}

// Warnf implements [server.Logger].
func (l *natsLog) Warnf(format string, v ...any) {
	level := slog.LevelWarn
	if strings.Contains(format, "TLS Handshake First") { // as we want it
		level = slog.LevelDebug
	}
	l.tell(level, format, v)
}

// Errorf implements [server.Logger]. What the server calls an error is one of a connection's.
func (l *natsLog) Errorf(format string, v ...any) {
	level := slog.LevelWarn
	if text := fmt.Sprintf(format, v...); strings.Contains(text, "authentication error") { // of which doorman tells
		level = slog.LevelDebug
	}
	l.tell(level, format, v)
}

// Fatalf implements [server.Logger].
func (l *natsLog) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	for _, arg := range v {
		if cause, ok := arg.(error); ok {
			err = cause
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == nil {
		l.fatal = err
	}
}

// Debugf implements [server.Logger].
func (l *natsLog) Debugf(string, ...any) {}

// Tracef implements [server.Logger].
func (l *natsLog) Tracef(string, ...any) {}

// gaveUp returns what the server gave up for, or nil.
func (l *natsLog) gaveUp() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *natsLog) tell(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "the fleet's NATS server", "says", fmt.Sprintf(format, v...))
	}
}
