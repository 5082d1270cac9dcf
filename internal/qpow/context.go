package qpow

import (
	"crypto/sha3"
	"encoding/binary"
	"math/big"
	"slices"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// JobContext is a header and a threshold, prepared for walking through
// consecutive nonces. It is read-only after [NewJobContext]; all workers of a
// job share one.
type JobContext struct {
	// Reference holds the header, m, n and the target element.
	*Reference
	// Threshold is D: a nonce is valid when its distance does not exceed it.
	Threshold u512.Uint

	// The constants of StepMul, see step.go.
	shift uint      // s: n·2^s has 512 bits
	m     [4]uint64 // m, least significant word first
	mu    [5]uint64 // MU = ⌊m·2^575 / (n·2^s)⌋ < 2^320
	negN  u512.Uint // 2^512 − n·2^s
}

// Residue is a power y of m modulo n in the form in which StepMul carries it:
// y·2^s, where the shift s makes n·2^s fill 512 bits.
type Residue u512.Uint

// NewJobContext derives (m, n, T) from the header and prepares StepMul.
func NewJobContext(header [HeaderSize]byte, threshold u512.Uint) *JobContext {
	return newJobContext(NewReference(header), threshold)
}

// newJobContext prepares StepMul for any m < n with m < 2^256.
func newJobContext(ref *Reference, threshold u512.Uint) *JobContext {
	shift := uint(u512.Bits - ref.N.BitLen())
	scaledN := new(big.Int).Lsh(ref.N, shift)
	// m < 2^256 and n·2^s ≥ 2^511, so the quotient is below 2^(256+575−511) = 2^320.
	mu := new(big.Int).Lsh(ref.M, muShift)
	mu.Quo(mu, scaledN)

	c := &JobContext{
		Reference: ref,
		Threshold: threshold,
		shift:     shift,
		negN:      u512.Uint{}.SubWrap(mustFit(scaledN)),
	}
	m, muWords := mustFit(ref.M), mustFit(mu)
	copy(c.m[:], m[:])
	copy(c.mu[:], muWords[:])
	return c
}

// InitWorkerY0 returns the residue of a nonce by exponentiation: where a worker
// starts its stretch of a range. Any nonce is legal; StepMul leads on from it only
// as far as the exponent grows, see [Reference.Distinct].
func (c *JobContext) InitWorkerY0(nonce u512.Uint) Residue {
	return Residue(c.Y(nonce).Lsh(c.shift))
}

// DistanceFromY returns T xor H(y).
//
// Shift, byte order and xor are done word by word: written with the operations
// of u512, which copy whole values, they would take a tenth of a nonce's time.
func (c *JobContext) DistanceFromY(y *Residue) u512.Uint {
	if c.shift >= 64 {
		// Legal, but of every 2^64 headers only one has such a short n.
		return c.Target.Xor(hash(u512.Uint(*y).Rsh(c.shift)))
	}
	var b [u512.Size]byte
	high := uint64(0)
	for i, word := range slices.Backward(y[:]) {
		// A shift by 64 gives 0, as it has to when n fills 512 bits.
		binary.BigEndian.PutUint64(b[8*(u512.Words-1-i):], high<<(64-c.shift)|word>>c.shift)
		high = word
	}
	sum := sha3.Sum512(b[:])
	var d u512.Uint
	for i := range d {
		d[i] = binary.BigEndian.Uint64(sum[8*(u512.Words-1-i):]) ^ c.Target[i]
	}
	return d
}

// IsValidDistance reports whether a distance is at most the threshold. It knows
// no nonces: that nonce 0 is never valid is for the caller to see to.
func (c *JobContext) IsValidDistance(distance u512.Uint) bool {
	return distance.Cmp(c.Threshold) <= 0
}
