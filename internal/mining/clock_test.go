package mining

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestMonotonic looks at the times that the life of a job hangs on. When somebody
// sets the clock, an hour ahead or back, jobs must not be abandoned, forgotten or
// kept for that. A test cannot set the clock; but times do not depend on it that
// have a monotonic reading, which their String shows, as long as the clock is the
// real one and not that of a synctest bubble.
func TestMonotonic(t *testing.T) {
	m := New(slog.New(slog.DiscardHandler), &Crew{Engine: fake{search: exhausted}, Workers: 1})
	stop := run(m)
	defer stop()
	job := submit(t, m, Request{ID: "job", Range: nonces(1, 1)})
	<-job.Done()
	if _, known := m.Job("job"); !known {
		t.Fatal("the job is not known")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for what, moment := range map[string]time.Time{
		"received":    job.request.Received,
		"asked about": job.asked,
		"ended":       job.ended,
	} {
		if !strings.Contains(moment.String(), " m=") {
			t.Errorf("when it was %s has no monotonic reading: %s", what, moment)
		}
	}
}
