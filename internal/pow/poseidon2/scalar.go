package poseidon2

import "math/bits"

// scalar is a state in Montgomery form, which is permuted as fast as plain Go can.
//
// The constants of a round are added where the round before it mixes, as sums are
// carried in two words there anyway.
type scalar State

// scalarConstants are the constants of the rounds as permute adds them, in Montgomery
// form.
type scalarConstants struct {
	// initial[i] and terminal[i] belong to external round i, terminal[0] but for element
	// 0: that is the last of internal, which begins with the second internal round's.
	initial, terminal [ExternalRounds][Width]uint64
	internal          [InternalRounds]uint64
	// first is the first internal round's constant, for element 0, and zeros.
	first [Width]uint64
	// diagonal is the internal rounds' factors, but for element 0: there it is 1 more, as
	// its own share of the sum is added as well.
	diagonal [Width]uint64
}

var inMontgomery = newScalarConstants()

func newScalarConstants() (c scalarConstants) {
	for round := range ExternalRounds {
		for i := range Width {
			c.initial[round][i] = toMontgomery(constants.Initial[round][i])
			c.terminal[round][i] = toMontgomery(constants.Terminal[round][i])
		}
	}
	c.first[0] = toMontgomery(constants.Internal[0])
	for round := range InternalRounds - 1 {
		c.internal[round] = toMontgomery(constants.Internal[round+1])
	}
	c.internal[InternalRounds-1], c.terminal[0][0] = c.terminal[0][0], 0
	for i := range Width {
		c.diagonal[i] = toMontgomery(constants.Diagonal[i])
	}
	c.diagonal[0] = toMontgomery(add(constants.Diagonal[0], 1))
	return c
}

// permute permutes the state, and adds the next block of a message to it.
func (s *scalar) permute(next *[Width]uint64) {
	c := &inMontgomery
	s.mix(&c.initial[0])
	s.sboxes()
	s.mix(&c.initial[1])
	s.sboxes()
	s.mix(&c.initial[2])
	s.sboxes()
	s.mix(&c.initial[3])
	s.sboxes()
	s.mix(&c.first)
	s.internalRounds(&c.internal)
	for i := 1; i < Width; i++ {
		s[i] = montAddTo(s[i], c.terminal[0][i])
	}
	s.sboxes()
	s.mix(&c.terminal[1])
	s.sboxes()
	s.mix(&c.terminal[2])
	s.sboxes()
	s.mix(&c.terminal[3])
	s.sboxes()
	s.mix(next)
}

// sboxes takes all elements to the seventh power, three side by side: a CPU would not
// look far enough ahead to find another that it can work on meanwhile.
func (s *scalar) sboxes() {
	for i := 0; i < Width; i += 3 {
		a, b, c := s[i], s[i+1], s[i+2]
		a2, b2, c2 := montMul(a, a), montMul(b, b), montMul(c, c)
		a3, b3, c3 := montMul(a2, a), montMul(b2, b), montMul(c2, c)
		a4, b4, c4 := montMul(a2, a2), montMul(b2, b2), montMul(c2, c2)
		s[i], s[i+1], s[i+2] = montMul(a3, a4), montMul(b3, b4), montMul(c3, c4)
	}
}

// internalRounds are the internal rounds. The first one's constant has been added, and
// the last one adds that of the external round behind it, to element 0.
//
// Only element 0 has to wait for its S-box. So the other elements' products of a round
// are taken during the next round's S-box, some after each step of it: a CPU would not
// look far enough ahead to find other work there.
func (s *scalar) internalRounds(constants *[InternalRounds]uint64) {
	diagonal := &inMontgomery.diagonal
	high, low := uint64(0), s[1]
	for _, other := range s[2:] {
		high, low = accumulate(high, low, other)
	}
	others := fold(high, low)
	x := s[0]
	x2 := montMul(x, x)
	x3, x4 := montMul(x2, x), montMul(x2, x2)
	x = montMul(x3, x4)
	// The sum of all, in the form in which products are: times 2^64.
	high, low = bits.Mul64(montAdd(x, others), epsilon)
	x = montAddTo(montAddTo(others, constants[0]), montMul(x, diagonal[0]))

	for _, constant := range constants[1:] {
		x2 := montMul(x, x)
		a := montMulAdd(s[1], diagonal[1], high, low)
		b := montMulAdd(s[2], diagonal[2], high, low)
		c := montMulAdd(s[3], diagonal[3], high, low)
		s[1], s[2], s[3] = a, b, c
		othersLow, othersHigh := sum3(a, b, c)

		x3, x4 := montMul(x2, x), montMul(x2, x2)
		a = montMulAdd(s[4], diagonal[4], high, low)
		b = montMulAdd(s[5], diagonal[5], high, low)
		c = montMulAdd(s[6], diagonal[6], high, low)
		d := montMulAdd(s[7], diagonal[7], high, low)
		s[4], s[5], s[6], s[7] = a, b, c, d
		othersHigh, othersLow = accumulate(othersHigh, othersLow, a)
		othersHigh, othersLow = accumulate(othersHigh, othersLow, b)
		othersHigh, othersLow = accumulate(othersHigh, othersLow, c)
		othersHigh, othersLow = accumulate(othersHigh, othersLow, d)

		x = montMul(x3, x4)
		a = montMulAdd(s[8], diagonal[8], high, low)
		b = montMulAdd(s[9], diagonal[9], high, low)
		c = montMulAdd(s[10], diagonal[10], high, low)
		d = montMulAdd(s[11], diagonal[11], high, low)
		s[8], s[9], s[10], s[11] = a, b, c, d
		othersHigh, othersLow = accumulate(othersHigh, othersLow, a)
		othersHigh, othersLow = accumulate(othersHigh, othersLow, b)
		othersHigh, othersLow = accumulate(othersHigh, othersLow, c)
		othersHigh, othersLow = accumulate(othersHigh, othersLow, d)

		others := fold(othersHigh, othersLow)
		high, low = bits.Mul64(montAdd(x, others), epsilon)
		x = montAddTo(montAddTo(others, constant), montMul(x, diagonal[0]))
	}
	s[0] = x
	for i := 1; i < Width; i++ {
		s[i] = montMulAdd(s[i], diagonal[i], high, low)
	}
}

// accumulate returns the two words of high·2^64 + low + x.
func accumulate(high, low, x uint64) (sumHigh, sumLow uint64) {
	sumLow, carry := bits.Add64(low, x, 0)
	sumHigh, _ = bits.Add64(high, 0, carry)
	return sumHigh, sumLow
}

// mix is the external layer, and adds a constant to each element.
//
// The three products by m4 that are added up in a place make the product of their
// groups' sum, so that sum is added to each group before it is multiplied. Meanwhile
// numbers have two words. The rows of m4 have the sum 7, and an element then counts
// for two and its two likes for one each: with the constant, no number exceeds 29
// times 2^64.
func (s *scalar) mix(constant *[Width]uint64) {
	sumA, carryA := sum3(s[0], s[4], s[8])
	sumB, carryB := sum3(s[1], s[5], s[9])
	sumC, carryC := sum3(s[2], s[6], s[10])
	sumD, carryD := sum3(s[3], s[7], s[11])
	for i := 0; i < Width; i += 4 {
		// A group a, b, c, d, with the sums, and its products:
		// 2a+3b+c+d, a+2b+3c+d, a+b+2c+3d, 3a+b+c+2d.
		a, carry := bits.Add64(s[i], sumA, 0)
		highA, _ := bits.Add64(carryA, 0, carry)
		b, carry := bits.Add64(s[i+1], sumB, 0)
		highB, _ := bits.Add64(carryB, 0, carry)
		c, carry := bits.Add64(s[i+2], sumC, 0)
		highC, _ := bits.Add64(carryC, 0, carry)
		d, carry := bits.Add64(s[i+3], sumD, 0)
		highD, _ := bits.Add64(carryD, 0, carry)

		ab, carry := bits.Add64(a, b, 0)
		highAB, _ := bits.Add64(highA, highB, carry)
		cd, carry := bits.Add64(c, d, 0)
		highCD, _ := bits.Add64(highC, highD, carry)
		all, carry := bits.Add64(ab, cd, 0)
		highAll, _ := bits.Add64(highAB, highCD, carry)
		allB, carry := bits.Add64(all, b, 0)
		highAllB, _ := bits.Add64(highAll, highB, carry)
		allD, carry := bits.Add64(all, d, 0)
		highAllD, _ := bits.Add64(highAll, highD, carry)

		low, carry := bits.Add64(allB, ab, 0)
		high, _ := bits.Add64(highAllB, highAB, carry)
		low, carry = bits.Add64(low, constant[i], 0)
		s[i] = fold(high+carry, low)
		low, carry = bits.Add64(allB, c<<1, 0)
		high, _ = bits.Add64(highAllB, highC<<1|c>>63, carry)
		low, carry = bits.Add64(low, constant[i+1], 0)
		s[i+1] = fold(high+carry, low)
		low, carry = bits.Add64(allD, cd, 0)
		high, _ = bits.Add64(highAllD, highCD, carry)
		low, carry = bits.Add64(low, constant[i+2], 0)
		s[i+2] = fold(high+carry, low)
		low, carry = bits.Add64(allD, a<<1, 0)
		high, _ = bits.Add64(highAllD, highA<<1|a>>63, carry)
		low, carry = bits.Add64(low, constant[i+3], 0)
		s[i+3] = fold(high+carry, low)
	}
}

// sum3 returns a + b + c in two words.
func sum3(a, b, c uint64) (low, high uint64) {
	low, carry := bits.Add64(a, b, 0)
	low, again := bits.Add64(low, c, 0)
	return low, carry + again
}
