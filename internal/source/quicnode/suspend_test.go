package quicnode

import (
	"context"
	"testing"
	"time"
)

// TestNotSuspended has time pass as it should: nothing happens.
func TestNotSuspended(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := untilSuspended(ctx); err != nil {
			t.Errorf("%v", err)
		}
	})
}
