package main

import (
	"fmt"
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// # Arithmetic
//
// Elements are in Montgomery form, as in package poseidon2: x stands for x/2^64. They are
// canonical, that is below p = 2^64 − 2^32 + 1, so that reductions need no more than one
// correction.

// epsilon is 2^64 modulo p.
const epsilon = 1<<32 - 1

// mostHigh is how large the high word of a number may be that is to be reduced.
const mostHigh = 1<<64 - 1<<32 - 1

// wide is a number in two words.
type wide struct{ low, high register }

// product returns x·y. Its high word is at most (p − 1)²/2^64 < p − 2^32, so it is below mostHigh,
// even if there is a word to add.
func (c *code) product(x, y register) wide {
	return wide{c.op("MUL %v, %v, %v", y, x), c.op("UMULH %v, %v, %v", y, x)}
}

// add returns the sum, which must be below 2^128.
func (c *code) add(x, y wide) wide {
	return wide{c.op("ADDS %v, %v, %v", y.low, x.low), c.op("ADC %v, %v, %v", y.high, x.high)}
}

// reduced returns x/2^64 modulo p, canonical, if the high word is at most mostHigh.
//
// With q = low + 2^32·low, modulo 2^64, the product q·p ends in the word low, and begins with
// q − ⌊q/2^32⌋ − carry, of which the carry is that of the sum. The difference of the high words is
// the result, or p less. Here the quotient and the carry are added to the high word first, which
// comes to 2^64 − 1 at most. Then q is taken from that. If there is a borrow, the difference is
// from −(p − 1), as q·p begins with p − 1 at most, to −1, otherwise it is mostHigh at most, which is
// below p.
func (c *code) reduced(x wide) register { return c.reducedInto(c.value(), x) }

func (c *code) reducedInto(to register, x wide) register {
	q := c.op("ADDS %v<<32, %v, %v", x.low, x.low)
	quotient := c.op("LSR $32, %v, %v", q)
	high := c.op("ADC %v, %v, %v", quotient, x.high)
	return c.corrected(to, c.op("SUBS %v, %v, %v", q, high))
}

// corrected adds p to a difference if there has been a borrow, that is 2^64 − epsilon.
func (c *code) corrected(to, difference register) register {
	return c.into(to, "SUB %v, %v, %v", c.op("CSETMW LO, %v"), difference)
}

func (c *code) times(x, y register) register { return c.reduced(c.product(x, y)) }

// plus returns x + y of canonical elements, canonical, given y + epsilon: the sum with it
// is at least 2^64 if x + y is at least p, and then it is x + y − p without the carry.
func (c *code) plus(x, yEpsilon register) register {
	return c.corrected(c.value(), c.op("ADDS %v, %v, %v", yEpsilon, x))
}

// folded returns x plus a constant modulo p, canonical, given what ending returned for the
// constant. With high·2^64 = high·epsilon modulo p, the addend to low is
// high·epsilon + constant, and epsilon more, as in plus. Its negative is taken from low:
// as it is not 0, there is no borrow if the sum is at least 2^64.
func (c *code) folded(x wide, ending register) register {
	sum := c.op("ADD %v, %v, %v", x.high, ending)
	negative := c.op("SUB %v<<32, %v, %v", x.high, sum)
	return c.corrected(c.value(), c.op("SUBS %v, %v, %v", negative, x.low))
}

// ending is what folded takes for a constant, and numbers of at most so many times 2^64.
func ending(constant, most uint64) uint64 {
	// The addend is below 2^64 then. And if there is a carry, the sum is smaller than it, so
	// it is canonical.
	high, addend := bits.Mul64(most+1, epsilon)
	addend, carry := bits.Add64(addend, constant, 0)
	if high+carry != 0 || addend >= poseidon2.P {
		panic(fmt.Sprintf("%#x is too large a constant", constant))
	}
	return -(constant + epsilon)
}

// twice returns x + 2·y.
func (c *code) twice(x, y wide) wide {
	high := c.op("EXTR $63, %v, %v, %v", y.low, y.high)
	return wide{c.op("ADDS %v<<1, %v, %v", y.low, x.low), c.op("ADC %v, %v, %v", high, x.high)}
}

// fiveTimes returns 5·x.
func (c *code) fiveTimes(x wide) wide {
	high := c.op("EXTR $62, %v, %v, %v", x.low, x.high)
	return wide{c.op("ADDS %v<<2, %v, %v", x.low, x.low), c.op("ADC %v, %v, %v", high, x.high)}
}

// timesEpsilon returns x·(2^32 − 1) in two registers.
func (c *code) timesEpsilon(x, to wide) {
	low := c.op("LSL $32, %v, %v", x.low)
	high := c.op("EXTR $32, %v, %v, %v", x.low, x.high)
	c.into(to.low, "SUBS %v, %v, %v", x.low, low)
	c.into(to.high, "SBC %v, %v, %v", x.high, high)
}

// sbox is an S-box in steps, so that there can be something else between them.
type sbox struct{ x, x2, x3, x4 register }

func (s *sbox) square(c *code)       { s.x2 = c.times(s.x, s.x) }
func (s *sbox) powers(c *code)       { s.x3, s.x4 = c.times(s.x2, s.x), c.times(s.x2, s.x2) }
func (s *sbox) seventh(c *code) wide { return c.product(s.x3, s.x4) }
