package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/x86"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
)

// multiply is the step of the current lane: y becomes y·m mod n. It is StepMul of
// package sha3rsa (see step.go there for the idea), but for the scaling: y and n are as
// they are, and the quotient is shifted instead, which takes less instructions than
// to shift each residue for its hash. It is for n of 512−s bits with s ≤ 20.
//
// # Quotient estimate
//
// MU = ⌊m·2^575 / (n·2^s)⌋ < 2^320, as there. With t = y·m/n, the exact quotient,
//
//	y·MU·2^(1+s)/2^576 ≤ t < y·(MU+1)·2^(1+s)/2^576.
//
// Let K, in units of 2^512, be the sum of the products in columns 8 and above, and of
// the high halves of those in column 7: p12 … p8. Then
//
//	E = K·2^(1+s)/2^64 = q + f/2^64
//
// is the estimate, q of four words (t < m < 2^256, so nothing is shifted out) and the
// fraction f of one, whose low 1+s bits are 0.
//
// # Error bound
//
// K falls short of y·MU/2^512, in its units, by the low halves of the five products
// of column 7, below 1 each, and the columns below: column 6 below 5, column 5 below
// 5·2^−64, and so on. The floor in MU takes y/2^512 < 1 more. In all that is less than
// 12, so
//
//	E ≤ t < E + 12·2^(1+s)/2^64.
//
// If f < 2^64 − 12·2^(1+s), which is the block's limit, q = ⌊t⌋ and the remainder
// r = y·m − q·n is canonical. It is computed modulo 2^512, as y·m + q·(2^512 − n),
// and as n < 2^512 nothing is lost.
//
// # The rare case
//
// Otherwise the lane is flagged, about once in 2^(59−s) steps: q may be one too
// small, and r = ρ or ρ + n modulo 2^512, with ρ the residue. The kernel does not care:
// it stores the fraction, at the end of the step all lanes' fractions are compared
// with the limit at once, and it returns if one is not below. Then Go code looks at
// r − n modulo 2^512. If q was right, ρ is within 12·2^(1+s)·n/2^64 of n, so r − n is
// negative and small: its top bit is set. If not, r − n = ρ is below that: its top
// bit is clear, and it replaces r. (12·2^21/2^64 is less than 2^−38, so both are far
// from 2^511.)
//
// # Carries
//
// A row is the products of one word with all others: MULX, which leaves the flags
// alone, and two chains of additions, of the low halves with the carry in CF (ADCX)
// and of the high halves with the carry in OF (ADOX). Carries out of the quotient's
// last column go into the next word, those out of r's last are beyond 2^512.
//
// That makes 67 multiplications of words. Eight residues, the factor and two for
// the moment are 11 registers.
func multiply() *kernel.Stream {
	s := &kernel.Stream{}

	// p8 … p12, a row for each word of MU.
	p := residue[:5]
	for j := range 5 {
		s.Add(x86.MOVQ(mu(j), factor))
		if j == 0 {
			s.Add(x86.MULXQ(y(7), low, p[0]))
			continue
		}
		s.Add(x86.XORL(low.As32(), low.As32())) // clears both carries
		s.Add(x86.MULXQ(y(7-j), low, high))
		s.Add(x86.ADOXQ(high, p[0]))
		for k := range j { // column 8+k
			if k < j-1 {
				s.Add(x86.MULXQ(y(8-j+k), low, high))
				s.Add(x86.ADCXQ(low, p[k]))
				s.Add(x86.ADOXQ(high, p[k+1]))
				continue
			}
			s.Add(x86.MULXQ(y(8-j+k), low, p[k+1]))
			s.Add(x86.ADCXQ(low, p[k]))
			s.Add(x86.MOVL(operand.U32(0), low.As32())) // keeps the carries
			s.Add(x86.ADCXQ(low, p[k+1]))
			s.Add(x86.ADOXQ(low, p[k+1]))
		}
	}

	// The quotient and its fraction are p12 … p8, shifted left by 1+s.
	s.Add(x86.MOVQ(shiftLeft(), high))
	s.Add(x86.MOVQ(shiftRight(), low))
	for k := 4; k > 0; k-- {
		s.Add(x86.SHLXQ(high, p[k], p[k]))
		s.Add(x86.SHRXQ(low, p[k-1], factor))
		s.Add(x86.ORQ(p[k], factor))
		if k > 1 { // the first row's stays in the register
			s.Add(x86.MOVQ(factor, quotient(k-1)))
		}
	}
	s.Add(x86.SHLXQ(high, p[0], p[0]))
	s.Add(x86.MOVQ(p[0], ofLane(fractions())))

	// r = q·(2^512 − n) + y·m mod 2^512, a row for each word of q and of m.
	r := residue
	s.Add(x86.MULXQ(negN(0), r[0], r[1]))
	for i := 1; i < 8; i++ {
		next := high
		if i < 7 {
			next = r[i+1]
		}
		s.Add(x86.MULXQ(negN(i), low, next))
		if i == 1 {
			s.Add(x86.ADDQ(low, r[i]))
		} else {
			s.Add(x86.ADCQ(low, r[i]))
		}
	}
	row := func(word operand.Op, from int, x func(int) operand.Mem) {
		s.Add(x86.MOVQ(word, factor))
		s.Add(x86.XORL(low.As32(), low.As32()))
		for i := range 8 - from {
			s.Add(x86.MULXQ(x(i), low, high))
			s.Add(x86.ADCXQ(low, r[from+i]))
			if from+i < 7 {
				s.Add(x86.ADOXQ(high, r[from+i+1]))
			}
		}
	}
	for k := 1; k < 4; k++ {
		row(quotient(k), k, negN)
	}
	for k := range 4 {
		row(m(k), k, y)
	}

	for i := range 8 {
		s.Add(x86.MOVQ(r[i], y(i)))
		s.Add(x86.MOVBEQQ(r[i], ofLane(message(7-i))))
	}
	return s
}
