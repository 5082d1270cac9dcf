package u512

import (
	"cmp"
	"math"
	"math/bits"
)

// Words is the number of 64-bit words in a [Uint].
const Words = 8

// Bits is the width of a [Uint].
const Bits = 64 * Words

// Uint is an unsigned 512-bit integer: the sum of x[i]·2^(64·i), so word 0 is
// the least significant. The words are open to the kernels that work on them.
type Uint [Words]uint64

// Max returns 2^512−1, the largest Uint.
func Max() Uint {
	var x Uint
	for i := range x {
		x[i] = math.MaxUint64
	}
	return x
}

// From64 returns v as a Uint.
func From64(v uint64) Uint { return Uint{v} }

// add returns x + y mod 2^512 and the carry out of bit 511 (0 or 1).
func (x Uint) add(y Uint) (sum Uint, carry uint64) {
	for i := range x {
		sum[i], carry = bits.Add64(x[i], y[i], carry)
	}
	return sum, carry
}

// AddWrap returns x + y mod 2^512.
func (x Uint) AddWrap(y Uint) Uint {
	sum, _ := x.add(y)
	return sum
}

// AddSat returns min(x + y, 2^512−1).
func (x Uint) AddSat(y Uint) Uint {
	sum, carry := x.add(y)
	if carry != 0 {
		return Max()
	}
	return sum
}

// SubWrap returns x − y mod 2^512: the difference itself when y ≤ x.
func (x Uint) SubWrap(y Uint) Uint {
	var diff Uint
	var borrow uint64
	for i := range x {
		diff[i], borrow = bits.Sub64(x[i], y[i], borrow)
	}
	return diff
}

// Div64 returns the quotient ⌊x/d⌋. Like integer division it panics if d is 0.
func (x Uint) Div64(d uint64) Uint {
	quo, _ := x.divMod64(d)
	return quo
}

// divMod64 is schoolbook division by one word, from the top word down.
func (x Uint) divMod64(d uint64) (quo Uint, rem uint64) {
	for i := Words - 1; i >= 0; i-- {
		quo[i], rem = bits.Div64(rem, x[i], d)
	}
	return quo, rem
}

// Lsh returns x·2^s mod 2^512. Any s is legal; from 512 on the result is 0.
func (x Uint) Lsh(s uint) Uint {
	var z Uint
	words, s := s/64, s%64
	for i := words; i < Words; i++ {
		z[i] = x[i-words] << s
		// A shift by 64 or more gives 0 in Go, so s = 0 needs no case of its own.
		if i > words {
			z[i] |= x[i-words-1] >> (64 - s)
		}
	}
	return z
}

// Rsh returns ⌊x/2^s⌋. Any s is legal; from 512 on the result is 0.
func (x Uint) Rsh(s uint) Uint {
	var z Uint
	words, s := s/64, s%64
	for i := words; i < Words; i++ {
		z[i-words] = x[i] >> s
		if i+1 < Words {
			z[i-words] |= x[i+1] << (64 - s)
		}
	}
	return z
}

// Xor returns the bitwise exclusive or of x and y.
func (x Uint) Xor(y Uint) Uint {
	for i := range x {
		x[i] ^= y[i]
	}
	return x
}

// Cmp returns −1 if x < y, 0 if x = y, and +1 if x > y.
func (x Uint) Cmp(y Uint) int {
	for i := Words - 1; i > 0; i-- {
		if x[i] != y[i] {
			return cmp.Compare(x[i], y[i])
		}
	}
	return cmp.Compare(x[0], y[0])
}

// IsZero reports whether x is 0.
func (x Uint) IsZero() bool { return x == Uint{} }

// BitLen returns the number of bits needed to write x: 0 for 0, 512 for 2^512−1.
func (x Uint) BitLen() int {
	for i := Words - 1; i >= 0; i-- {
		if x[i] != 0 {
			return 64*i + bits.Len64(x[i])
		}
	}
	return 0
}

// Sat64 returns min(x, 2^64−1).
func (x Uint) Sat64() uint64 {
	if x.BitLen() > 64 {
		return math.MaxUint64
	}
	return x[0]
}
