package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// scripted is an engine that evaluates a thousand nonces a second, and then ends
// as it is told to.
type scripted struct {
	lasts time.Duration
	ends  engine.Outcome
}

func (scripted) Name() string                                      { return "scripted" }
func (scripted) Backend() string                                   { return "test" }
func (s scripted) Prepare([32]byte, u512.Uint) (engine.Job, error) { return s, nil }
func (s scripted) Verify(nonce u512.Uint) (distance u512.Uint, ok bool) {
	return u512.Uint{}, nonce == u512.From64(5)
}
func (s scripted) Search(_ engine.Range, progress *engine.Progress) engine.Outcome {
	for range s.lasts / time.Millisecond {
		<-time.After(time.Millisecond)
		if !progress.Advance(1) {
			return engine.Outcome{Status: engine.Stopped}
		}
	}
	return s.ends
}

// runSearch runs a search of nonces 1 to 99,999 with one worker.
func runSearch(ctx context.Context, e engine.Engine, terminal bool) (out, log string, err error) {
	var stdout, stderr bytes.Buffer
	c := searchCmd{
		Start:      nonceFlag(u512.From64(1)),
		End:        nonceFlag(u512.From64(99_999)),
		powFlags:   powFlags{pow.SHA3RSA},
		minerFlags: minerFlags{workersFlags{1}, engineFlag{"scripted", func(pow.Proof) (engine.Engine, []error, error) { return e, nil, nil }}},
	}
	err = c.Run(ctx, streams{out: &stdout, err: &stderr, terminal: terminal})
	return stdout.String(), stderr.String(), err
}

func codeOf(err error) int {
	exit, _ := errors.AsType[exitError](err)
	return exit.code
}

// TestSearchShowsProgress looks at what a terminal gets to see.
func TestSearchShowsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := scripted{2200 * time.Millisecond, engine.Outcome{Status: engine.Found, Nonce: u512.From64(5)}}
		out, shown, err := runSearch(t.Context(), found, true)
		if codeOf(err) != exitOK || !strings.Contains(out, "nonce     5\n") {
			t.Errorf("%v\n%s", err, out)
		}
		lines := strings.Split(shown, "\r\x1b[K")
		// Whether the count or the display comes first in a millisecond is open.
		last := regexp.MustCompile(`^searching: (1,999|2,000) nonces in 2 s, (1 k|999.5 )H/s$`)
		if len(lines) != 6 || !last.MatchString(lines[4]) || lines[5] != "" {
			t.Errorf("shown in the meantime: %q", lines)
		}
		if _, shown, _ := runSearch(t.Context(), found, false); shown != "" {
			t.Errorf("shown where there is no terminal: %q", shown)
		}
	})
}

func TestSearchInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		out, _, err := runSearch(ctx, scripted{lasts: time.Hour}, false)
		if codeOf(err) != exitInterrupted || !strings.HasPrefix(out, "interrupted after ") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// TestSearchWithWrongEngine: that no valid nonce is there must not be concluded
// from an engine that errs.
func TestSearchWithWrongEngine(t *testing.T) {
	out, log, err := runSearch(t.Context(), scripted{ends: engine.Outcome{Status: engine.Found, Nonce: u512.From64(6)}}, false)
	if codeOf(err) != exitNo || !strings.HasPrefix(out, "exhausted after 99,999 nonces") || strings.Contains(out, "scripted") {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(log, "WRONG NONCE") || !strings.Contains(log, "ENGINE OUT OF SERVICE") {
		t.Error(log)
	}
	out, _, err = runSearch(t.Context(), scripted{}, false)
	if codeOf(err) != exitNoAnswer || !strings.HasPrefix(out, "failed after 0 nonces") {
		t.Errorf("by an engine that gave up: %v\n%s", err, out)
	}
}

// TestInterrupted stops commands by the signal that main turns into the end of
// their context.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"bench", "--duration", "1h"},
		{"simulate", "--block-time", "1h"},
	} {
		var log bytes.Buffer
		if code := run(ctx, args, streams{out: io.Discard, err: &log}); code != exitInterrupted || log.String() != "quantus-miner: interrupted\n" {
			t.Errorf("%v: exit code %d\n%s", args, code, &log)
		}
	}
}
