package poseidon2

import "math/bits"

// What is faster than the plain arithmetic works on elements in Montgomery form: x
// stands for the element x / 2^64. A product of such elements is reduced by an exact
// division by 2^64, which takes a multiplication and six other instructions, none of
// them a branch. (Montgomery, “Modular Multiplication Without Trial Division”, 1985.)
// Elements are any representatives below 2^64, in and out: nothing is made canonical
// before the end.

// epsilon is 2^64 mod P.
const epsilon = 1<<32 - 1

// redc returns (high·2^64 + low) / 2^64 modulo P.
//
// Modulo 2^64, P is 1 − 2^32, and 1/P is 1 + 2^32. With q = low/P there, the product
// q·P ends in the word low, so what is wanted is the difference of the high words.
// That of q·P is P − 1 at most: if there is a borrow, P more than the difference is
// below 2^64 again, and P − 2^64 is −epsilon.
func redc(high, low uint64) uint64 {
	multiple, _ := bits.Mul64(low+low<<32, P)
	difference, borrow := bits.Sub64(high, multiple, 0)
	return difference - -borrow>>32 // 2^64 − 1 shifted is epsilon
}

// montMul returns a·b / 2^64, which is canonical if one of them is: then the high word
// of the product is below P.
func montMul(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return redc(high, low)
}

// montMulAdd returns (a·b + high·2^64 + low) / 2^64, for a canonical b and a sum of
// at most (2^64−1)·epsilon. So there are no more than two words: the two are at most
//
//	(2^64 − 1)·(P − 1) + (2^64 − 1)·(2^32 − 1) = (2^64 − 1)².
func montMulAdd(a, b, high, low uint64) uint64 {
	productHigh, productLow := bits.Mul64(a, b)
	low, carry := bits.Add64(productLow, low, 0)
	high, _ = bits.Add64(productHigh, high, carry)
	return redc(high, low)
}

// fold returns high·2^64 + low modulo P, for high below 2^32: a sum of elements that
// was carried along in two words.
func fold(high, low uint64) uint64 {
	// high·epsilon is at most 2^64 − 2^33 + 1, so a sum that wraps has room for another
	// epsilon.
	sum, carry := bits.Add64(low, high<<32-high, 0)
	return sum + -carry>>32
}

// montAdd returns a + b.
func montAdd(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return fold(carry, sum)
}

// montAddTo returns a + b for a canonical b: a sum that wraps has room for another
// epsilon then.
func montAddTo(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return sum + -carry>>32
}

// toMontgomery returns the form of x, canonical.
func toMontgomery(x uint64) uint64 { return mul(x, epsilon) }

// fromMontgomery returns the element that x is the form of, canonical: 0 less than P − 1
// at most, and P more if that is less than 0.
func fromMontgomery(x uint64) uint64 { return redc(0, x) }
