package u512

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"strings"
)

// Size is the length in bytes of a [Uint] in its big-endian form.
const Size = Bits / 8

// HexDigits is the number of hex digits that can hold every [Uint].
const HexDigits = 2 * Size

// FromBytes reads b as a big-endian integer.
func FromBytes(b [Size]byte) Uint {
	var x Uint
	for i := range x {
		x[Words-1-i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return x
}

// Bytes returns the big-endian form of x: be64(x) in the consensus rule.
func (x Uint) Bytes() [Size]byte {
	var b [Size]byte
	for i := range x {
		binary.BigEndian.PutUint64(b[8*i:], x[Words-1-i])
	}
	return b
}

// FromBig returns b as a Uint, and false if b is negative or needs more than
// 512 bits.
func FromBig(b *big.Int) (Uint, bool) {
	if b.Sign() < 0 || b.BitLen() > Bits {
		return Uint{}, false
	}
	var buf [Size]byte
	b.FillBytes(buf[:])
	return FromBytes(buf), true
}

// Big returns x as a new big.Int.
func (x Uint) Big() *big.Int {
	b := x.Bytes()
	return new(big.Int).SetBytes(b[:])
}

var (
	errHex     = fmt.Errorf("must be 1 to %d hex digits without a prefix", HexDigits)
	errDecimal = errors.New("must be a decimal number below 2^512")
)

// ParseHex reads 1 to 128 hex digits of either case, without a prefix.
func ParseHex(s string) (Uint, error) {
	if len(s) == 0 || len(s) > HexDigits {
		return Uint{}, errHex
	}
	padded := strings.Repeat("0", HexDigits-len(s)) + s
	var b [Size]byte
	if _, err := hex.Decode(b[:], []byte(padded)); err != nil {
		return Uint{}, errHex
	}
	return FromBytes(b), nil
}

// Hex returns x in lower-case hex without leading zeros; 0 is "0".
func (x Uint) Hex() string {
	digits := strings.TrimLeft(x.PaddedHex(), "0")
	if digits == "" {
		return "0"
	}
	return digits
}

// PaddedHex returns x in exactly 128 lower-case hex digits.
func (x Uint) PaddedHex() string {
	b := x.Bytes()
	return hex.EncodeToString(b[:])
}

// ParseDecimal reads decimal digits, without a sign. Leading zeros are legal,
// a value of 2^512 or more is an error.
func ParseDecimal(s string) (Uint, error) {
	if s == "" {
		return Uint{}, errDecimal
	}
	var x Uint
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return Uint{}, errDecimal
		}
		carry := uint64(c - '0')
		for i := range x {
			// 10·(2^64−1) + 9 < 10·2^64: hi stays below 10, so hi + c cannot overflow.
			hi, lo := bits.Mul64(x[i], 10)
			sum, c := bits.Add64(lo, carry, 0)
			x[i], carry = sum, hi+c
		}
		if carry != 0 {
			return Uint{}, errDecimal
		}
	}
	return x, nil
}

// String returns x in decimal.
func (x Uint) String() string {
	const chunk = 1e19 // the largest power of ten below 2^64
	var chunks []uint64
	for !x.IsZero() {
		var rem uint64
		x, rem = x.divMod64(chunk)
		chunks = append(chunks, rem)
	}
	if len(chunks) == 0 {
		return "0"
	}
	var b strings.Builder
	last := len(chunks) - 1
	fmt.Fprintf(&b, "%d", chunks[last])
	for i := last - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "%019d", chunks[i])
	}
	return b.String()
}
