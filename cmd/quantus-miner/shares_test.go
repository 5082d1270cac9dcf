package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/mining"
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
	pool, err := simulate.ListenPool("127.0.0.1:0", identity, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
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
// late. Nothing may be left in the end, and each side must have counted what the other has.
// The e2e module does so with the real binary, and longer.
func TestPoolTrouble(t *testing.T) {
	before := goleak.IgnoreCurrent()
	engines, err := simd.Engines("")
	if err != nil {
		t.Fatal(err)
	}
	pool, pools := playPool(t)
	pool.ShareTime, pool.Keepalive = 20*time.Millisecond, 500*time.Millisecond
	miner := service{proof: pow.Poseidon2, engine: engines[0], workers: 2, pools: pools, log: slog.New(slog.DiscardHandler)}.newMiner()
	link := stratum.New(miner, pools, "test", slog.New(slog.DiscardHandler))
	link.KeepAlive = pool.Keepalive
	ctx, stop := context.WithTimeout(t.Context(), *troubleTime)
	defer stop()
	minesOn, end := context.WithCancel(t.Context())
	defer end()
	var running sync.WaitGroup
	running.Go(func() { pool.InjectFaults(ctx, 300*time.Millisecond) })
	running.Go(func() { miner.Run(minesOn) })
	running.Go(func() {
		if err := link.Run(minesOn); err != nil {
			t.Error(err)
		}
	})
	if err := pool.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	end()
	running.Wait()
	there, here := pool.Tally(), link.Status().Shares
	t.Logf("the pool: %+v; the miner: %v", there, here)
	if there.Accepted == 0 || there.Logins < 2 {
		t.Error("there was no trouble, or nothing else")
	}
	// What the pool has answered may not have arrived. What was not sent is stale as well.
	for outcome, most := range map[stratum.Outcome]uint64{
		stratum.Accepted:      there.Accepted,
		stratum.Duplicate:     there.Refused["duplicate"],
		stratum.LowDifficulty: there.Refused["low difficulty"],
		stratum.Other:         there.Refused["other"],
	} {
		if here[outcome] > most {
			t.Errorf("%s: the miner counts %d, the pool %d", outcome, here[outcome], most)
		}
	}
	goleak.VerifyNone(t, before)
}

// BenchmarkPoolShares compares the hash rate of a miner of one worker for a pool, at a
// difficulty at which it finds 20 shares a second, with its own while there is nothing to be
// found: "ratio". "accepted" is how many of the shares that were found the pool has accepted,
// so that the product of both is the accepted work in proportion to the hash rate. "work" is
// that of the accepted shares in proportion to the nonces that were searched for them, which
// takes thousands of shares to be near 1. An operation is a pair of half seconds:
//
//	go test ./cmd/quantus-miner -run '^$' -bench PoolShares -benchtime 50x
func BenchmarkPoolShares(b *testing.B) {
	asServe(b)
	engines, err := simd.Engines("")
	if err != nil {
		b.Fatal(err)
	}
	pool, pools := playPool(b)
	start := func() *mining.Miner {
		m := service{proof: pow.Poseidon2, engine: engines[0], workers: 1, log: slog.New(slog.DiscardHandler)}.newMiner()
		during(b, m.Run)
		return m
	}
	plain, pooled := start(), start()
	submitEndless(b, plain)
	rateOver(plain)
	pool.Difficulty = uint64(rateOver(plain) / 20)
	link := stratum.New(pooled, pools, "test", slog.New(slog.DiscardHandler))
	link.KeepAlive = pool.Keepalive
	during(b, func(ctx context.Context) {
		if err := link.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	during(b, func(ctx context.Context) {
		if err := pool.Run(ctx); !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
	})
	pooled.Pause()
	compare(b, turns(plain, pooled))
	<-time.After(100 * time.Millisecond) // for the last answers
	o, tally := pooled.Current(), pool.Tally()
	b.ReportMetric(float64(tally.Accepted)/float64(o.Winners), "accepted")
	b.ReportMetric(tally.Work/float64(o.Evaluated), "work")
	b.ReportMetric(0, "ns/op") // which says nothing here
}
