package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/x86"
)

// multiply is the step of the current lane: y becomes y·m mod n.
func multiply() *stream {
	s := &stream{}

	// p8 … p12, in residue[0] … residue[4]: the columns from 8 on of y·MU, a row
	// for each word of MU, and of column 7 the high halves.
	p := residue[:5]
	for j := range 5 {
		s.add(x86.MOVQ(mu(j), factor))
		if j == 0 {
			s.add(x86.MULXQ(y(7), low, p[0]))
			continue
		}
		s.add(x86.XORL(low.As32(), low.As32())) // clears both carries
		s.add(x86.MULXQ(y(7-j), low, high))
		s.add(x86.ADOXQ(high, p[0]))
		for k := range j { // column 8+k
			if k < j-1 {
				s.add(x86.MULXQ(y(8-j+k), low, high))
				s.add(x86.ADCXQ(low, p[k]))
				s.add(x86.ADOXQ(high, p[k+1]))
				continue
			}
			s.add(x86.MULXQ(y(8-j+k), low, p[k+1]))
			s.add(x86.ADCXQ(low, p[k]))
			s.add(x86.MOVL(operand.U32(0), low.As32())) // keeps the carries
			s.add(x86.ADCXQ(low, p[k+1]))
			s.add(x86.ADOXQ(low, p[k+1]))
		}
	}

	// The quotient and its fraction are p12 … p8, shifted left by 1+s.
	s.add(x86.MOVQ(shiftLeft(), high))
	s.add(x86.MOVQ(shiftRight(), low))
	for k := 4; k > 0; k-- {
		s.add(x86.SHLXQ(high, p[k], p[k]))
		s.add(x86.SHRXQ(low, p[k-1], factor))
		if k == 1 {
			s.add(x86.ORQ(p[k], factor)) // the first row's
			continue
		}
		s.add(x86.ORQ(p[k], factor))
		s.add(x86.MOVQ(factor, quotient(k-1)))
	}
	s.add(x86.SHLXQ(high, p[0], p[0]))
	s.add(x86.MOVQ(p[0], ofLane(fractions())))

	// r = q·(2^512 − n) + y·m mod 2^512, a row for each word of q and of m.
	r := residue
	s.add(x86.MULXQ(negN(0), r[0], r[1]))
	for i := 1; i < 8; i++ {
		next := high
		if i < 7 {
			next = r[i+1]
		}
		s.add(x86.MULXQ(negN(i), low, next))
		if i == 1 {
			s.add(x86.ADDQ(low, r[i]))
		} else {
			s.add(x86.ADCQ(low, r[i]))
		}
	}
	row := func(word operand.Op, from int, x func(int) operand.Mem) {
		s.add(x86.MOVQ(word, factor))
		s.add(x86.XORL(low.As32(), low.As32()))
		for i := range 8 - from {
			s.add(x86.MULXQ(x(i), low, high))
			s.add(x86.ADCXQ(low, r[from+i]))
			if from+i < 7 {
				s.add(x86.ADOXQ(high, r[from+i+1]))
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
		s.add(x86.MOVQ(r[i], y(i)))
		s.add(x86.MOVBEQQ(r[i], ofLane(message(7-i))))
	}
	return s
}
