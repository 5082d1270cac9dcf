package sha3rsa

import (
	"math/big"
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Leap is many steps in one: a multiplication by a power of m modulo n. Kernels
// that walk through several stretches of a range at a time come from the start
// of one to that of the next with it.
//
// It is StepMul with a factor F = m^k mod n of up to 512 bits, on the same
// scaled residues, where N = n·2^s ≥ 2^511 and F < n ≤ N. MU = ⌊F·2^575/N⌋ has 9
// words, the columns from 8 on of Y·MU are p16 … p8, and doubled they are the
// quotient, of 8 words, and its fraction. In units of the fraction they fall
// short by less than 2·8 for the low halves of column 7, 2·(7 + 2^−59) for the
// columns below, and 2 for the floor in MU: less than 33. The rare case is that
// of StepMul.
type Leap struct {
	step   *Multiplier
	factor u512.Uint // F
	mu     [u512.Words + 1]uint64
}

// leapSlack is slack, for a Leap.
const leapSlack = 33

// Leap prepares a multiplication by m^steps.
func (c *JobContext) Leap(steps uint64) Leap {
	factor := new(big.Int).Exp(c.M, new(big.Int).SetUint64(steps), c.N)
	l := Leap{step: &c.Step, factor: mustFit(factor)}
	mu := reciprocal(factor, new(big.Int).Lsh(c.N, c.Step.Shift))
	low := new(big.Int).And(mu, u512.Max().Big())
	words := mustFit(low)
	copy(l.mu[:], words[:])
	l.mu[u512.Words] = mu.Rsh(mu, u512.Bits).Uint64()
	return l
}

// Mul turns the residue of a nonce into that of the nonce which is the leap's
// number of steps further on, if the exponent grows so far.
func (l *Leap) Mul(y *Residue) {
	const words = u512.Words
	var p [2*words + 1]uint64
	for j, w := range l.mu {
		// Of column 7 the high half is the carry into column 8.
		first := max(words-1-j, 0)
		carry := uint64(0)
		if j < words {
			carry, _ = bits.Mul64(y[first], w)
			first++
		}
		for i := first; i < words; i++ {
			carry, p[i+j] = mac(y[i], w, p[i+j], carry)
		}
		p[words+j] = carry
	}
	var r Residue
	for j := range words {
		q := p[words+1+j]<<1 | p[words+j]>>63
		carryM, carryN := uint64(0), uint64(0)
		for i := range words - j {
			carryM, r[i+j] = mac(y[i], l.factor[j], r[i+j], carryM)
			carryN, r[i+j] = mac(l.step.NegN[i], q, r[i+j], carryN)
		}
	}
	*y = r
	if fraction := p[words] << 1; fraction >= 1<<64-leapSlack {
		l.step.correct(y)
	}
}
