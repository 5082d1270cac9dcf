package main

import (
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode"

	"github.com/lmittmann/tint"
)

// logFormat is how serve logs.
type logFormat string

// The formats of a log.
const (
	logAuto logFormat = "auto" // text on a terminal, JSON elsewhere
	logText logFormat = "text"
	logJSON logFormat = "json"
)

// newLog returns a log of that format on the error stream.
func newLog(s streams, format logFormat) *slog.Logger {
	if format == logJSON || format == logAuto && !s.terminal {
		replace := forMachines
		if s.terminal { // whose user reads JSON
			replace = func(groups []string, a slog.Attr) slog.Attr { return harmless(forMachines(groups, a)) }
		}
		return slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{ReplaceAttr: replace}))
	}
	return slog.New(tint.NewTextHandler(s.err, &tint.Options{
		TimeFormat:  time.DateTime,
		ReplaceAttr: forPeople,
		// The console of Windows takes colours only from programs that ask it to.
		NoColor: !s.terminal || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || runtime.GOOS == "windows",
	}))
}

// forMachines writes times as numbers of seconds, with the unit in the name.
func forMachines(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.Float64(a.Key+"_seconds", a.Value.Duration().Seconds())
	}
	return a
}

// forPeople writes rates and counts in human units, and shortens what is too long
// for a line and too dull to be read: the log as JSON has it in full.
func forPeople(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case "hashes":
		if a.Value.Kind() == slog.KindUint64 {
			return slog.String(a.Key, count(a.Value.Uint64()))
		}
	case "header", "start", "end", "nonce":
		return slog.String(a.Key, shorten(a.Value.String(), 8))
	case "job": // nodes send 36 characters
		return slog.String(a.Key, printable(shorten(a.Value.String(), 30)))
	}
	if name, ok := strings.CutPrefix(a.Key, "hash_rate"); ok {
		text := "–" // not known yet
		if a.Value.Kind() == slog.KindFloat64 {
			text = hashRate(a.Value.Float64())
		}
		if name = strings.TrimPrefix(name, "_"); name == "" {
			name = "rate"
		}
		return slog.String(name, text)
	}
	return harmless(a)
}

// harmless replaces what could paint on the operator's terminal: job IDs, and
// errors that quote them, come from strangers.
func harmless(a slog.Attr) slog.Attr {
	switch value := a.Value.Any().(type) {
	case string:
		return slog.String(a.Key, printable(value))
	case error:
		return slog.String(a.Key, printable(value.Error()))
	}
	return a
}

// printable replaces control characters and the like.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// shorten keeps so many characters of each end of a text, if that is much shorter.
func shorten(text string, ends int) string {
	runes := []rune(text)
	if len(runes) <= 3*ends {
		return text
	}
	return string(runes[:ends]) + "…" + string(runes[len(runes)-ends:])
}
