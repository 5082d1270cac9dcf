package console

import (
	"io"
	"log/slog"
)

// ForMachines returns a handler that writes JSON to w, from a level on. Its readers are
// programs, which depend on the names; if a person reads it on a terminal all the same,
// nothing in it can paint there.
func ForMachines(w io.Writer, level slog.Leveler, terminal bool) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		// Times are numbers of seconds, with the unit in the name.
		if a.Value.Kind() == slog.KindDuration {
			return slog.Float64(a.Key+"_seconds", a.Value.Duration().Seconds())
		}
		if terminal {
			return harmless(a)
		}
		return a
	}})
}
