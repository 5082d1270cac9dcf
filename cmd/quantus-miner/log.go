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

// logFlags say how a log is written.
type logFlags struct {
	LogFormat logFormat `group:"Log:" env:"MINER_LOG_FORMAT" enum:"auto,text,json" default:"auto" placeholder:"FORMAT" help:"Format of the log: text, json, or auto, the default: text on a terminal and JSON elsewhere."`
	LogLevel  string    `group:"Log:" env:"MINER_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"What the log has: error, warn and what is worse, info, the default, or debug, everything."`
	Verbose   bool      `group:"Log:" short:"v" env:"MINER_VERBOSE" help:"The same as --log-level debug, and wins over it."`
	NoColor   bool      `group:"Log:" help:"No colours on a terminal. The variable NO_COLOR does the same, in all programs."`
}

// newLog returns a log on the error stream as the flags have it.
func (f logFlags) newLog(s streams) *slog.Logger { return f.newLogAt(s, f.level()) }

// newLogAt is newLog, with another level.
func (f logFlags) newLogAt(s streams, level slog.Leveler) *slog.Logger {
	return newLog(s, logStyle{format: f.LogFormat, level: level, noColor: f.NoColor})
}

// level is the least level of what the log has.
func (f logFlags) level() (level slog.Level) {
	if f.Verbose {
		return slog.LevelDebug
	}
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil { // without the parser's defaults
		return slog.LevelInfo
	}
	return level
}

// logStyle says how a log is written. The zero value is text on a terminal and JSON
// elsewhere, from level info.
type logStyle struct {
	format  logFormat    // empty is logAuto
	level   slog.Leveler // nil is slog.LevelInfo
	noColor bool
}

// newLog returns a log of that style on the error stream. What others can cause at will
// is rationed.
func newLog(s streams, style logStyle) *slog.Logger {
	return slog.New(console.Rationed(logHandler(s, style)))
}

func logHandler(s streams, style logStyle) slog.Handler {
	if style.level == nil {
		style.level = slog.LevelInfo
	}
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
