package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/quantus-network/quantus-miner/internal/simulate"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
	"github.com/quantus-network/quantus-miner/internal/u512"
	"github.com/quantus-network/quantus-miner/internal/watch/console"
)

// asPool returns a pool that waits for its miner to connect. A share is reported as a block
// whose tries are those that such shares take on average: a miner does not tell a pool how many
// there were.
func (c *simulateCmd) asPool(_ context.Context, s streams, report func(simulate.Block)) (p play, err error) {
	address, level := "127.0.0.1:0", slog.LevelWarn
	if c.Listen != nil {
		address, level = *c.Listen, slog.LevelInfo
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return p, err
	}
	identity, err := simulate.NewPoolIdentity(host)
	if err != nil {
		return p, err
	}
	var ca string
	if c.Listen != nil {
		ca, _, err = identity.WriteFiles(*c.Dir)
	} else {
		p.miner, err = c.miner(s)
	}
	if err != nil {
		return p, err
	}
	pool, err := simulate.ListenPool(address, identity, slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level})))
	if err != nil {
		return p, err
	}
	p.node, p.end = c.troubled(pool), pool.Close
	pool.Shares, pool.ShareTime = int(c.Blocks), time.Duration(c.BlockTime)
	pool.Stay = p.miner != nil && c.Trouble == nil
	pool.Report = func(share simulate.Share) {
		report(simulate.Block{
			Sealed: share.Refused == "", Nonce: share.Nonce, Distance: share.Hash, Threshold: u512.From64(share.Difficulty),
			Tries: share.Tries, Elapsed: share.Elapsed,
		})
	}
	if p.miner != nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(identity.PEM())
		known := stratum.Pool{
			URL: "stratum+ssl://" + pool.Address(), Address: pool.Address(), TLS: stratum.TLS(host, roots, nil),
			Login: func() (stratum.Login, error) { return stratum.Login{User: simulate.PoolUser, Password: "x"}, nil },
		}
		// Known twice, as the refusal of a login is fatal where there is no other pool.
		p.miner.pools, p.miner.keepAlive = []stratum.Pool{known, known}, pool.Keepalive
		return p, nil
	}
	out := s.out
	if c.JSON {
		out = s.err
	}
	secure, plain := "--url stratum+ssl://"+pool.Address(), "--url stratum+tcp://"+pool.Address()
	urls := secure
	if c.Trouble != nil { // the refusal of a login is fatal where there is no other pool
		urls += " " + plain
	}
	fmt.Fprintf(out, "pool: waits for a miner, such as this one:\n  quantus-miner pool %s --tls-ca %s --user %s\nWithout TLS: %s\n",
		urls, ca, simulate.PoolUser, plain)
	return p, nil
}

// printShare prints what has become of a share.
func (c *simulateCmd) printShare(s streams, number int, b simulate.Block) {
	if !b.Sealed {
		fmt.Fprintln(s.out, "a share was refused")
		return
	}
	fmt.Fprintf(s.out, "share %d  nonce %.24s…  hash %.24s…  difficulty %s  %.3f s\n",
		number, b.Nonce.PaddedHex(), b.Distance.PaddedHex(), console.Count(b.Threshold.Sat64()), b.Elapsed.Seconds())
}

// printShares sums up.
func (c *simulateCmd) printShares(s streams, result simulateResult) error {
	_, err := fmt.Fprintf(s.out, "accepted %d of %d shares, no share wrong, refused %d; %.2f s a share; worth %s nonces, %s\n",
		result.Sealed, c.Blocks, result.Lost, result.ElapsedSeconds/float64(c.Blocks),
		console.Count(result.HashCount), rate(result.HashCount, result.ElapsedSeconds))
	return err
}
