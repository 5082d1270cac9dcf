package sha3rsa

import (
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// StepMul multiplies by the fixed m modulo the fixed n: the quotient is
// estimated with a precomputed reciprocal (Barrett's idea), which needs neither
// Montgomery form nor, but for 24 cases in 2^64, a correction.
//
// # Scaling
//
// With N = n·2^s, where s ≥ 0 makes N fill 512 bits, and Y = y·2^s, the
// recurrence y' = y·m mod n becomes Y' = Y·m mod N. All that follows is about
// Y < N and 2^511 ≤ N < 2^512, so there is one code path and one error bound
// for every length of n.
//
// # Quotient estimate
//
// Let MU = ⌊m·2^575/N⌋ (< 2^320, 5 words) and let t = Y·m/N be the exact
// quotient before rounding. Then
//
//	2·Y·MU/2^576 ≤ t < 2·Y·(MU+1)/2^576.
//
// Of the 40 products Y[i]·MU[j] only those in columns i+j ≥ 8 are formed, and
// the high halves of those in column 7: 15 multiplications. Their sum K, in
// units of 2^512, is p12 … p8. Doubling it gives the estimate
//
//	E = 2·K/2^64 = q + f/2^64
//
// with q in four words (q ≤ t < m < 2^256) and the fraction f in one.
//
// # Error bound
//
// In units of f, that is of 2^−64 of the quotient (2^512 of 2·Y·MU), E falls
// short of t by the sum of
//
//   - the low halves of the five products of column 7: each below 2^512, or
//     1 unit, twice that after doubling, below 10 in all;
//   - the columns up to 6: at most five products a column, each below 2^128, so
//     column 6 is below 2·5 units, column 5 below 10·2^−64 units, and so on:
//     below 10 + 2^−59 in all;
//   - the floor in MU: 2·Y/2^512 < 2 units.
//
// So E ≤ t < E + 22 + 2^−59, which the code rounds up to
//
//	E ≤ t < E + 24 units.
//
// If f < 2^64 − 24, adding less than 24 units to E cannot carry into its
// integer part: q = ⌊t⌋ and r = Y·m − q·N is the canonical residue.
//
// # The rare case
//
// Otherwise q may be one too small, and r is either the residue ρ (0 ≤ ρ < N)
// or ρ + N, known modulo 2^512. Look at r − N mod 2^512:
//
//   - q was right: t's fraction is at least 1 − 24/2^64, so ρ ≥ N − 24·N/2^64,
//     and ρ − N, which is negative and above −2^453, shows with its top bit set.
//   - q was one short: t passed the next integer by less than 24 units, so
//     r − N = ρ < 24·N/2^64 < 2^453, with its top bit clear.
//
// So r − N replaces r if its top bit is clear. The case has a probability of
// about 2^−59 a step. No random test would hit it, so the tests construct it.

const (
	// muShift is the exponent in MU = ⌊m·2^575/N⌋: 512 + 64, less the one bit
	// that keeps MU within five words.
	muShift = 575
	// slack bounds, in units of the fraction, by how much the estimate is low.
	slack = 24
)

// StepMul turns the residue of a nonce into the next nonce's: y becomes
// y·m mod n. It takes constant time apart from the rare correction, and
// allocates nothing. y must be below n·2^s, as every Residue made by this
// package is.
func (c *JobContext) StepMul(y *Residue) {
	y0, y1, y2, y3, y4, y5, y6, y7 := y[0], y[1], y[2], y[3], y[4], y[5], y[6], y[7]

	// p12 … p8: the columns from 8 on of Y·MU, a row for each word of MU.
	w := c.Step.MU[0]
	p8, _ := bits.Mul64(y7, w)

	w = c.Step.MU[1]
	carry, _ := bits.Mul64(y6, w)
	p9, p8 := mac(y7, w, p8, carry)

	w = c.Step.MU[2]
	carry, _ = bits.Mul64(y5, w)
	carry, p8 = mac(y6, w, p8, carry)
	p10, p9 := mac(y7, w, p9, carry)

	w = c.Step.MU[3]
	carry, _ = bits.Mul64(y4, w)
	carry, p8 = mac(y5, w, p8, carry)
	carry, p9 = mac(y6, w, p9, carry)
	p11, p10 := mac(y7, w, p10, carry)

	w = c.Step.MU[4]
	carry, _ = bits.Mul64(y3, w)
	carry, p8 = mac(y4, w, p8, carry)
	carry, p9 = mac(y5, w, p9, carry)
	carry, p10 = mac(y6, w, p10, carry)
	p12, p11 := mac(y7, w, p11, carry)

	// r = Y·m mod 2^512, a row for each word of m.
	w = c.Step.M[0]
	carry, r0 := bits.Mul64(y0, w)
	carry, r1 := mac(y1, w, 0, carry)
	carry, r2 := mac(y2, w, 0, carry)
	carry, r3 := mac(y3, w, 0, carry)
	carry, r4 := mac(y4, w, 0, carry)
	carry, r5 := mac(y5, w, 0, carry)
	carry, r6 := mac(y6, w, 0, carry)
	r7 := y7*w + carry

	w = c.Step.M[1]
	carry, r1 = mac(y0, w, r1, 0)
	carry, r2 = mac(y1, w, r2, carry)
	carry, r3 = mac(y2, w, r3, carry)
	carry, r4 = mac(y3, w, r4, carry)
	carry, r5 = mac(y4, w, r5, carry)
	carry, r6 = mac(y5, w, r6, carry)
	r7 += y6*w + carry

	w = c.Step.M[2]
	carry, r2 = mac(y0, w, r2, 0)
	carry, r3 = mac(y1, w, r3, carry)
	carry, r4 = mac(y2, w, r4, carry)
	carry, r5 = mac(y3, w, r5, carry)
	carry, r6 = mac(y4, w, r6, carry)
	r7 += y5*w + carry

	w = c.Step.M[3]
	carry, r3 = mac(y0, w, r3, 0)
	carry, r4 = mac(y1, w, r4, carry)
	carry, r5 = mac(y2, w, r5, carry)
	carry, r6 = mac(y3, w, r6, carry)
	r7 += y4*w + carry

	// r −= q·N, as r += q·(2^512 − N) mod 2^512, a row for each word of q.
	d := &c.Step.NegN
	w = p9<<1 | p8>>63
	carry, r0 = mac(d[0], w, r0, 0)
	carry, r1 = mac(d[1], w, r1, carry)
	carry, r2 = mac(d[2], w, r2, carry)
	carry, r3 = mac(d[3], w, r3, carry)
	carry, r4 = mac(d[4], w, r4, carry)
	carry, r5 = mac(d[5], w, r5, carry)
	carry, r6 = mac(d[6], w, r6, carry)
	r7 += d[7]*w + carry

	w = p10<<1 | p9>>63
	carry, r1 = mac(d[0], w, r1, 0)
	carry, r2 = mac(d[1], w, r2, carry)
	carry, r3 = mac(d[2], w, r3, carry)
	carry, r4 = mac(d[3], w, r4, carry)
	carry, r5 = mac(d[4], w, r5, carry)
	carry, r6 = mac(d[5], w, r6, carry)
	r7 += d[6]*w + carry

	w = p11<<1 | p10>>63
	carry, r2 = mac(d[0], w, r2, 0)
	carry, r3 = mac(d[1], w, r3, carry)
	carry, r4 = mac(d[2], w, r4, carry)
	carry, r5 = mac(d[3], w, r5, carry)
	carry, r6 = mac(d[4], w, r6, carry)
	r7 += d[5]*w + carry

	w = p12<<1 | p11>>63
	carry, r3 = mac(d[0], w, r3, 0)
	carry, r4 = mac(d[1], w, r4, carry)
	carry, r5 = mac(d[2], w, r5, carry)
	carry, r6 = mac(d[3], w, r6, carry)
	r7 += d[4]*w + carry

	*y = Residue{r0, r1, r2, r3, r4, r5, r6, r7}
	if fraction := p8 << 1; fraction >= 1<<64-slack {
		c.Step.correct(y)
	}
}

// correct reduces a residue whose quotient may have been one too small.
func (m *Multiplier) correct(r *Residue) {
	// r − N is r + (2^512 − N).
	reduced := u512.Uint(*r).AddWrap(m.NegN)
	if reduced[u512.Words-1]>>63 == 0 {
		*r = Residue(reduced)
	}
}

// mac returns x·y + a + b, which is at most (2^64−1)² + 2·(2^64−1) = 2^128 − 1.
func mac(x, y, a, b uint64) (hi, lo uint64) {
	hi, lo = bits.Mul64(x, y)
	lo, carry := bits.Add64(lo, a, 0)
	hi, _ = bits.Add64(hi, 0, carry) // not hi += carry, which compiles to twice the instructions
	lo, carry = bits.Add64(lo, b, 0)
	hi, _ = bits.Add64(hi, 0, carry)
	return hi, lo
}
