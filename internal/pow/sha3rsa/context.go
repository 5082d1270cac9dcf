package sha3rsa

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

	// Step holds the constants of StepMul.
	Step Multiplier
}

// Multiplier is a multiplication by m modulo n, prepared: what StepMul and the
// kernels that are faster than it work with. Words are in ascending order.
type Multiplier struct {
	// Shift is s: N = n·2^s has 512 bits.
	Shift uint
	// M is m < 2^256.
	M [4]uint64
	// MU is ⌊m·2^575 / N⌋ < 2^320.
	MU [5]uint64
	// NegN is 2^512 − N.
	NegN u512.Uint
}

// Residue is a power y of m modulo n in the form in which StepMul carries it:
// y·2^s, where the shift s makes n·2^s fill 512 bits.
type Residue u512.Uint

// NewJobContext derives (m, n, T) from the header and prepares StepMul.
func NewJobContext(header [HeaderSize]byte, threshold u512.Uint) *JobContext {
	return NewReference(header).JobContext(threshold)
}

// JobContext prepares StepMul, for any m < n with m < 2^256.
func (r *Reference) JobContext(threshold u512.Uint) *JobContext {
	c := &JobContext{Reference: r, Threshold: threshold}
	c.Step.Shift = uint(u512.Bits - r.N.BitLen())
	scaledN := new(big.Int).Lsh(r.N, c.Step.Shift)
	c.Step.NegN = u512.Uint{}.SubWrap(mustFit(scaledN))
	m, mu := mustFit(r.M), mustFit(reciprocal(r.M, scaledN))
	copy(c.Step.M[:], m[:])
	copy(c.Step.MU[:], mu[:])
	return c
}

// reciprocal returns ⌊factor·2^575 / N⌋. As N ≥ 2^511, it has at most 64 bits
// more than the factor.
func reciprocal(factor, scaledN *big.Int) *big.Int {
	mu := new(big.Int).Lsh(factor, muShift)
	return mu.Quo(mu, scaledN)
}

// InitWorkerY0 returns the residue of a nonce by exponentiation: where a worker
// starts its stretch of a range. Any nonce is legal; StepMul leads on from it only
// as far as the exponent grows, see [Reference.Distinct].
func (c *JobContext) InitWorkerY0(nonce u512.Uint) Residue {
	return Residue(c.Y(nonce).Lsh(c.Step.Shift))
}

// DistanceFromY returns T xor H(y).
//
// Shift, byte order and xor are done word by word: written with the operations
// of u512, which copy whole values, they would take a tenth of a nonce's time.
func (c *JobContext) DistanceFromY(y *Residue) u512.Uint {
	if c.Step.Shift >= 64 {
		// Legal, but of every 2^64 headers only one has such a short n.
		return c.Target.Xor(hash(u512.Uint(*y).Rsh(c.Step.Shift)))
	}
	var b [u512.Size]byte
	high := uint64(0)
	for i, word := range slices.Backward(y[:]) {
		// A shift by 64 gives 0, as it has to when n fills 512 bits.
		binary.BigEndian.PutUint64(b[8*(u512.Words-1-i):], high<<(64-c.Step.Shift)|word>>c.Step.Shift)
		high = word
	}
	sum := sha3.Sum512(b[:])
	var d u512.Uint
	for i := range d {
		d[i] = binary.BigEndian.Uint64(sum[8*(u512.Words-1-i):]) ^ c.Target[i]
	}
	return d
}

// IsValidDistance reports whether a distance is at most the threshold. The caller must
// exclude nonce 0, which is never valid.
func (c *JobContext) IsValidDistance(distance u512.Uint) bool {
	return distance.Cmp(c.Threshold) <= 0
}
