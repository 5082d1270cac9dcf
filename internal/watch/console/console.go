package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lmittmann/tint"
)

// Options say how lines look. The zero value is for a file.
type Options struct {
	// Level is the least level of what is written; nil is slog.LevelInfo.
	Level slog.Leveler
	// Color has lines coloured, by the codes that terminals know.
	Color bool
	// Clock is the layout of a line's time; empty is [time.DateTime].
	Clock string
}

// New returns a handler that writes lines to w.
func New(w io.Writer, o Options) slog.Handler {
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	if o.Clock == "" {
		o.Clock = time.DateTime
	}
	out := &lines{w: w}
	return &handler{options: o, out: out, others: tint.NewTextHandler(out, &tint.Options{
		Level:       o.Level,
		TimeFormat:  o.Clock,
		ReplaceAttr: forPeople,
		NoColor:     !o.Color,
	})}
}

// lines writes whole lines, and has what later lines want to know of earlier ones.
type lines struct {
	mu    sync.Mutex
	w     io.Writer
	speed float64 // the latest hash rate that is above 0
}

// Write implements [io.Writer].
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(line)
}

// lastSpeed returns the latest hash rate, or 0.
func (l *lines) lastSpeed() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.speed
}

// setSpeed takes a hash rate for later lines. While nothing is mined the last one is
// kept: a job that comes then is searched as fast.
func (l *lines) setSpeed(rate float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rate > 0 {
		l.speed = rate
	}
}

// handler writes the records that it knows by their message, and leaves the others to
// another handler.
type handler struct {
	options Options
	out     *lines
	others  slog.Handler
	attrs   []slog.Attr // of all records
	grouped bool        // later attributes are in a group, in which no known record is
}

// Enabled implements [slog.Handler].
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.options.Level.Level()
}

// WithAttrs implements [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs, with.others = slices.Concat(h.attrs, attrs), h.others.WithAttrs(attrs)
	return &with
}

// WithGroup implements [slog.Handler].
func (h *handler) WithGroup(name string) slog.Handler {
	with := *h
	with.grouped, with.others = true, h.others.WithGroup(name)
	return &with
}

// Handle implements [slog.Handler].
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	compose, known := composers[r.Message]
	if !known {
		compose, known = fleetComposers[r.Message]
	}
	if !known || h.grouped || r.Level < slog.LevelInfo { // who wants to know more wants all of it
		return h.others.Handle(ctx, r)
	}
	values := make(fields, len(h.attrs)+r.NumAttrs())
	for _, a := range h.attrs {
		values[a.Key] = a.Value.Resolve()
	}
	r.Attrs(func(a slog.Attr) bool {
		values[a.Key] = a.Value.Resolve()
		return true
	})
	l := compose(values, h.out)
	if l.debug && !h.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	for _, what := range []string{"warnings", "jobs", "winners", "machines"} {
		if n, ok := values[what+"_omitted"]; ok {
			l.say(fmt.Sprintf("(%s %s before it not shown)", n, what))
		}
	}
	_, err := h.out.Write([]byte(h.format(r, l)))
	if err != nil {
		return fmt.Errorf("writing a line of the log: %w", err)
	}
	return nil
}

// format returns a line as it is written.
func (h *handler) format(r slog.Record, l line) string {
	var text strings.Builder
	if !r.Time.IsZero() {
		text.WriteString(h.paint(faint, r.Time.Format(h.options.Clock)))
		text.WriteString("  ")
	}
	colour := l.colour
	switch {
	case r.Level >= slog.LevelError:
		colour = red
	case r.Level >= slog.LevelWarn:
		colour = yellow
	}
	label := printable(l.label)
	text.WriteString(h.paint(colour, label))
	for i, part := range l.parts {
		gap := 3
		if i == 0 {
			if width := len([]rune(label)); width < labelWidth {
				gap = labelWidth - width
			}
		}
		text.WriteString(strings.Repeat(" ", gap))
		text.WriteString(printable(shorten(part, maxPart/2))) // nodes have long reasons, if they like
	}
	text.WriteByte('\n')
	return text.String()
}

// labelWidth is the column at which a line begins to tell, after its label.
const labelWidth = 11

// maxPart bounds the characters of what a line tells at once.
const maxPart = 300

// The codes of colours.
const (
	plain  = ""
	faint  = "2"
	bold   = "1"
	green  = "1;32"
	yellow = "33"
	red    = "1;31"
)

// paint returns a text in a colour.
func (h *handler) paint(colour, text string) string {
	if colour == plain || !h.options.Color {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
