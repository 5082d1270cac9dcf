package main

import (
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/quantus-network/quantus-miner/internal/watch/console"
)

// logFormat is how serve logs.
type logFormat string

// The formats of a log.
const (
	logAuto logFormat = "auto" // text on a terminal, JSON elsewhere
	logText logFormat = "text"
	logJSON logFormat = "json"
)

// logStyle says how a log is written. The zero value is text on a terminal and JSON
// elsewhere, from level info.
type logStyle struct {
	format  logFormat // empty is logAuto
	level   slog.Level
	noColor bool
}

// newLog returns a log of that style on the error stream. What others can cause at will
// is rationed.
func newLog(s streams, style logStyle) *slog.Logger {
	return slog.New(console.Rationed(logHandler(s, style)))
}

func logHandler(s streams, style logStyle) slog.Handler {
	if style.format == logJSON || style.format != logText && !s.terminal {
		return console.ForMachines(s.err, style.level, s.terminal)
	}
	options := console.Options{
		Level: style.level,
		// The console of Windows takes colours only from programs that ask it to.
		Color: s.terminal && !style.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && runtime.GOOS != "windows",
	}
	if s.terminal {
		options.Clock = time.TimeOnly // nobody looks at it for days
	}
	return console.New(s.err, options)
}
