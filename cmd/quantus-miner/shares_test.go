package main

import (
	"context"
	"crypto/x509"
	"flag"
	"log/slog"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/simd"
	"github.com/quantus-network/quantus-miner/internal/simulate"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
)

var troubleTime = flag.Duration("trouble", 5*time.Second, "how long TestPoolTrouble has a pool be in trouble")

// playPool returns a pool, and the same pool twice, by TLS and by TCP, as a miner is to know
// it.
func playPool(t testing.TB) (*simulate.Pool, []stratum.Pool) {
	t.Helper()
	identity, err := simulate.NewPoolIdentity("")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := simulate.ListenPool("127.0.0.1:0", identity, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(identity.PEM())
	login := func() (stratum.Login, error) { return stratum.Login{User: simulate.PoolUser, Password: "x"}, nil }
	return pool, []stratum.Pool{
		{URL: "stratum+ssl://" + pool.Address(), Address: pool.Address(), TLS: stratum.TLS("127.0.0.1", roots, nil), Login: login},
		{URL: "stratum+tcp://" + pool.Address(), Address: pool.Address(), Login: login},
	}
}

// TestPoolTrouble has a miner work for a pool that gets from one trouble into another. The
// pool fails if a share comes that is invalid, comes twice, is another session's or comes too
// late. For minutes of it:
//
//	go test ./cmd/quantus-miner -run TestPoolTrouble -v -args -trouble 5m
func TestPoolTrouble(t *testing.T) {
	before := goleak.IgnoreCurrent()
	engines, err := simd.Engines("")
	if err != nil {
		t.Fatal(err)
	}
	pool, pools := playPool(t)
	pool.ShareTime = 20 * time.Millisecond
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	miner := service{proof: pow.Poseidon2, engine: engines[0], workers: 2, log: log}.newMiner()
	link := stratum.New(miner, pools, "test", log)
	link.KeepAlive = time.Second
	outcomes := make(map[string]uint64)
	link.Settled = func(s stratum.Share) { outcomes[s.Outcome.String()]++ }
	ctx, stop := context.WithTimeout(t.Context(), *troubleTime)
	defer stop()
	mining, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { pool.InjectFaults(ctx, 500*time.Millisecond) })
	running.Go(func() { miner.Run(mining) })
	running.Go(func() {
		if err := link.Run(mining); err != nil {
			t.Error(err)
		}
	})
	if err := pool.Run(ctx); err != context.DeadlineExceeded {
		t.Error(err)
	}
	end()
	running.Wait()
	t.Logf("the pool: %+v; the miner: %v", pool.Tally(), maps.Clone(outcomes))
	goleak.VerifyNone(t, before)
}
