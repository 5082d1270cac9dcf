package main

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
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

// newLog returns a log of that format on the error stream, with rationed warnings.
func newLog(s streams, format logFormat) *slog.Logger {
	return slog.New(rationed{logHandler(s, format), new(ration)})
}

func logHandler(s streams, format logFormat) slog.Handler {
	if format == logJSON || format == logAuto && !s.terminal {
		replace := forMachines
		if s.terminal { // whose user reads JSON
			replace = func(groups []string, a slog.Attr) slog.Attr { return harmless(forMachines(groups, a)) }
		}
		return slog.NewJSONHandler(s.err, &slog.HandlerOptions{ReplaceAttr: replace})
	}
	return tint.NewTextHandler(s.err, &tint.Options{
		TimeFormat:  time.DateTime,
		ReplaceAttr: forPeople,
		// The console of Windows takes colours only from programs that ask it to.
		NoColor: !s.terminal || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || runtime.GOOS == "windows",
	})
}

// The ration of warnings: so many at once, and one more each interval.
const (
	warningBurst    = 30
	warningInterval = 2 * time.Second
)

// rationed is a handler that does not write every warning: they are about what
// strangers do, who can do it ten thousand times a second, and the disk is not theirs
// to fill. The warning after some that were not written says how many they were.
type rationed struct {
	slog.Handler
	ration *ration
}

// ration is what is left of a ration of warnings.
type ration struct {
	mu      sync.Mutex
	used    int       // of the burst
	since   time.Time // when used was last brought up to date
	omitted int
}

// Handle implements [slog.Handler].
func (h rationed) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		omitted, ok := h.ration.take(r.Time)
		if !ok {
			return nil
		}
		if omitted > 0 {
			r.AddAttrs(slog.Int("warnings_omitted", omitted))
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h rationed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return rationed{h.Handler.WithAttrs(attrs), h.ration}
}

// WithGroup implements [slog.Handler].
func (h rationed) WithGroup(name string) slog.Handler {
	return rationed{h.Handler.WithGroup(name), h.ration}
}

// take takes a warning of the ration, and returns how many were omitted since the
// last. It reports false if there is none left.
func (r *ration) take(now time.Time) (omitted int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if more := int(now.Sub(r.since) / warningInterval); more > 0 {
		r.used = max(0, r.used-more)
		r.since = now
	}
	if r.used == warningBurst {
		r.omitted++
		return 0, false
	}
	r.used++
	omitted, r.omitted = r.omitted, 0
	return omitted, true
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
