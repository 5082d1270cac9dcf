package e2e

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// TestPoolTrouble has a miner work for a pool that gets from one trouble into another. The
// pool fails if a share comes that is invalid, comes twice, is another session's or comes too
// late, or if the miner goes on where it must not. In the end the miner must have given back
// all that it took, goroutines and sockets, and have counted what the pool has. For minutes
// of it:
//
//	go test -run TestPoolTrouble -v -timeout 20m -args -trouble 5m
func TestPoolTrouble(t *testing.T) {
	p := playPool(t)
	m := minePool(t, p)
	p.works(t)
	before := footprint(t, m)

	ctx, stop := context.WithTimeout(p.alive, *troubleTime)
	defer stop()
	p.InjectFaults(ctx, max(700*time.Millisecond, *troubleTime/100))
	if p.alive.Err() != nil {
		t.Fatal("the pool has ended")
	}

	eventually(t, "the miner is back", func() bool {
		return p.Tally().Miners == 1 && m.metrics(t)[`miner_pool_state{state="working"}`] == 1
	})
	p.works(t)
	var after resources
	eventually(t, "the miner has given back all that it took", func() bool {
		after = footprint(t, m)
		return after.goroutines == before.goroutines && after.files == before.files
	})
	t.Logf("%+v before, %+v after", before, after)

	// From now on there is no share to be found, or the two counts would never be of one moment.
	p.Change(func(t *simulate.PoolTrouble) { t.Impossible = true })
	var shares map[string]float64
	eventually(t, "the miner has heard of all shares", func() bool {
		shares = make(map[string]float64)
		metrics := m.metrics(t)
		total := 0.0
		for _, result := range []string{"accepted", "stale", "duplicate", "low_difficulty", "other", "unacknowledged"} {
			shares[result] = metrics[`miner_pool_shares_total{result="`+result+`"}`]
			total += shares[result]
		}
		return total == metrics["miner_winners_total"]
	})
	tally := p.Tally()
	t.Logf("the pool: %+v; the miner: %v", tally, shares)
	refused := 0.0
	for reason, result := range map[string]string{"duplicate": "duplicate", "low difficulty": "low_difficulty", "other": "other"} {
		refused += float64(tally.Refused[reason])
		if shares[result] > float64(tally.Refused[reason]) {
			t.Errorf("%s: the miner counts %g, and the pool %d", reason, shares[result], tally.Refused[reason])
		}
	}
	lost := float64(tally.Accepted) - shares["accepted"] // whose answers were
	if lost < 0 || lost > shares["unacknowledged"] {
		t.Errorf("the miner counts %g shares as accepted and %g as not acknowledged, the pool has accepted %d", shares["accepted"], shares["unacknowledged"], tally.Accepted)
	}
	// A trouble that comes while the miner waits to connect is none.
	if tally.Logins < 5 || *troubleTime >= 5*time.Minute && (tally.Turned == 0 || tally.Unanswered == 0 || tally.Answers == 0 || tally.Keepalives == 0 || refused == 0) {
		t.Errorf("there was little trouble: %+v", tally)
	}
	m.signal(t, syscall.SIGTERM)
	if err := m.end(t); err != nil {
		t.Errorf("the miner ended with %v", err)
	}
	eventually(t, "the pool knows that the miner is gone", func() bool { return p.Tally().Miners == 0 })
}
