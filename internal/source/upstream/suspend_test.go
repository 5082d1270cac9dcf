package upstream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestNotSuspended has time pass as it should: nothing happens.
func TestNotSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := UntilSuspended(ctx); err != nil {
			t.Errorf("%v", err)
		}
	})
}
