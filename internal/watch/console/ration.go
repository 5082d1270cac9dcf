package console

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Rationed returns a handler that leaves lines out which others cause too many of.
func Rationed(h slog.Handler) slog.Handler { return rationed{h, newRations()} }

// rationed is a handler that does not write every line that others can cause: strangers
// cause warnings, and a node jobs, ten thousand times a second if they like, and the disk
// is not theirs to fill. The line after some that were not written says how many they
// were. Errors, and what a miner says of itself, are always written, and so is all that
// is below level info: somebody has asked for that.
type rationed struct {
	slog.Handler
	rations *rations
}

// rations are those of a log.
type rations struct{ warnings, jobs, winners, machines ration }

// newRations returns full rations. A line has up to 0.6 KB as JSON, so jobs and winners
// together come to less than 5 KB in the first second, and to 1 KB in each that follows.
func newRations() *rations {
	return &rations{
		warnings: ration{burst: 30, interval: 2 * time.Second, omittedName: "warnings_omitted"},
		jobs:     ration{burst: 4, interval: time.Second, omittedName: "jobs_omitted"},
		winners:  ration{burst: 3, interval: time.Second, omittedName: "winners_omitted"},
		// Of the machines of a fleet thousands may come at once.
		machines: ration{burst: 30, interval: time.Second, omittedName: "machines_omitted"},
	}
}

// of returns the ration that a line is of, or nil for none.
func (rs *rations) of(r slog.Record) *ration {
	switch {
	case r.Message == "a winner waits for the hub": // many may, and the warning why must not be left out for them
		return &rs.winners
	case r.Level == slog.LevelWarn:
		return &rs.warnings
	case r.Level != slog.LevelInfo:
		return nil
	case r.Message == "result sent" || r.Message == "job completed" || r.Message == "share accepted" || r.Message == "winner found" || r.Message == "the hub has the winner":
		return &rs.winners
	}
	about := (*ration)(nil)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "job":
			about = &rs.jobs
		case "machine":
			about = &rs.machines
		}
		return about == nil
	})
	return about
}

// ration is a number of lines: so many at once, and one more each interval.
type ration struct {
	burst       int
	interval    time.Duration
	omittedName string

	mu      sync.Mutex
	used    int       // of the burst
	since   time.Time // when used was last brought up to date
	omitted int
}

// Handle implements [slog.Handler].
func (h rationed) Handle(ctx context.Context, r slog.Record) error {
	if ration := h.rations.of(r); ration != nil {
		omitted, ok := ration.take(r.Time)
		if !ok {
			return nil
		}
		if omitted > 0 {
			r.AddAttrs(slog.Int(ration.omittedName, omitted))
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h rationed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return rationed{h.Handler.WithAttrs(attrs), h.rations}
}

// WithGroup implements [slog.Handler].
func (h rationed) WithGroup(name string) slog.Handler {
	return rationed{h.Handler.WithGroup(name), h.rations}
}

// take takes a line of the ration, and returns how many were omitted since the last. It
// reports false if there is none left.
func (r *ration) take(now time.Time) (omitted int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if more := int(now.Sub(r.since) / r.interval); more > 0 {
		r.used = max(0, r.used-more)
		r.since = now
	}
	if r.used == r.burst {
		r.omitted++
		return 0, false
	}
	r.used++
	omitted, r.omitted = r.omitted, 0
	return omitted, true
}

// Lowered returns a handler that takes lines of level info for debug, but for some messages:
// those of a miner whose source tells of its jobs itself.
func Lowered(h slog.Handler, but ...string) slog.Handler { return lowered{h, but} }

// lowered is such a handler.
type lowered struct {
	slog.Handler
	but []string
}

// Handle implements [slog.Handler].
func (h lowered) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelInfo && !slices.Contains(h.but, r.Message) {
		r.Level = slog.LevelDebug
		if !h.Handler.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h lowered) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lowered{h.Handler.WithAttrs(attrs), h.but}
}

// WithGroup implements [slog.Handler].
func (h lowered) WithGroup(name string) slog.Handler {
	return lowered{h.Handler.WithGroup(name), h.but}
}
