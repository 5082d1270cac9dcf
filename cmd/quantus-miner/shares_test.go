package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/simd"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
)

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
	pool, c := playPool(b, poolTLS)
	pools, err := c.pools()
	if err != nil {
		b.Fatal(err)
	}
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
