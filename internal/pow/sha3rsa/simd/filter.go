package simd

import (
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// A filter rejects nonces by the first 64 bits of their distance alone. Of those that
// survive it, at least every other one is valid if the threshold has fewer than 64
// leading zeros. With more, one nonce in 2^64 survives. The reference rule verifies those.
type filter struct {
	// target is T's first 8 bytes as Keccak has them, least significant first.
	target uint64
	// mask has the bits of them that distances up to the threshold have not.
	mask uint64
}

func newFilter(c *sha3rsa.JobContext) filter {
	zeros := u512.Bits - c.Threshold.BitLen()
	return filter{
		target: bits.ReverseBytes64(c.Target[u512.Words-1]),
		mask:   bits.ReverseBytes64(^(^uint64(0) >> min(zeros, 64))),
	}
}

// passes reports whether the nonce of a hash survives.
func (f filter) passes(lane0 uint64) bool { return (lane0^f.target)&f.mask == 0 }

// messageOf returns a residue as Keccak has it: the lanes of be64(y).
func messageOf(c *sha3rsa.JobContext, y *sha3rsa.Residue) (m [8]uint64) {
	s := c.Step.Shift
	if s >= 64 {
		// Legal, but of every 2^64 headers only one has such a short n.
		r := sha3rsa.Residue(u512.Uint(*y).Rsh(s))
		y, s = &r, 0
	}
	high := uint64(0)
	for i := range m {
		word := y[u512.Words-1-i]
		// A shift by 64 gives 0, as it has to when n fills 512 bits.
		m[i] = bits.ReverseBytes64(high<<(64-s) | word>>s)
		high = word
	}
	return m
}
