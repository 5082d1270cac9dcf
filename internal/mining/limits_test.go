package mining

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
)

// TestLimits fills a miner with as many jobs as may run, and then with as many as
// may be known. What there is no room for is refused, changes nothing, and finds
// room when it is told to come again.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(fake{search: untilStopped}, 1, slog.New(slog.DiscardHandler))
		m.Limits = Limits{Running: 2, Known: 5}
		stop := run(m)
		defer stop()
		refused := func(id, why string) (retryAfter time.Duration) {
			t.Helper()
			_, err := m.Submit(Request{ID: id, Range: everything})
			busy, ok := errors.AsType[*BusyError](err)
			if !ok || !strings.Contains(err.Error(), why) || busy.RetryAfter <= 0 {
				t.Fatalf("submitting %s: %v, want a refusal because %s", id, err, why)
			}
			if _, known := m.Job(id); known {
				t.Errorf("%s was refused and is known", id)
			}
			return busy.RetryAfter
		}
		for i := range 5 {
			submit(t, m, Request{ID: fmt.Sprint(i), Range: everything})
			if i == 1 {
				refused("third", "running, 2")
				if _, err := m.Submit(Request{ID: "0", Range: everything}); !errors.Is(err, ErrExists) {
					t.Errorf("submitting a known job to a full miner: %v, want ErrExists", err)
				}
			}
			if i > 0 {
				<-time.After(time.Second)
				m.Cancel(fmt.Sprint(i - 1))
			}
		}
		wait := refused("sixth", "known, 5")
		if want := Retention - 3*time.Second; wait != want { // since the first of four ends
			t.Errorf("come again after %s, want %s", wait, want)
		}
		<-time.After(wait)
		submit(t, m, Request{ID: "sixth", Range: everything})
		for i := 1; i < 5; i++ {
			if _, known := m.Job(fmt.Sprint(i)); !known {
				t.Errorf("job %d was forgotten early", i)
			}
		}
	})
}

// TestLimitsHoldBetween submits more jobs at once than may run: those that pass the
// first look while others are being prepared do not all get in.
func TestLimitsHoldBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(fake{search: untilStopped, prepare: func() { <-time.After(time.Second) }}, 1, slog.New(slog.DiscardHandler))
		m.Limits.Running = 3
		stop := run(m)
		defer stop()
		results := make(chan error)
		for i := range 10 {
			go func() {
				_, err := m.Submit(Request{ID: fmt.Sprint(i), Range: engine.Range{End: number(1)}})
				results <- err
			}()
		}
		accepted := 0
		for range 10 {
			if <-results == nil {
				accepted++
			}
		}
		if accepted != 3 {
			t.Errorf("%d jobs run, want 3", accepted)
		}
	})
}
