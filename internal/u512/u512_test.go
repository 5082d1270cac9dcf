package u512

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// modulus is 2^512.
var modulus = new(big.Int).Lsh(big.NewInt(1), Bits)

// uints draws words that are often all zeros or all ones: where carries run.
func uints() *rapid.Generator[Uint] {
	word := rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, 1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1}), rapid.Uint64())
	return rapid.Custom(func(t *rapid.T) Uint {
		var x Uint
		for i := range x {
			x[i] = word.Draw(t, "word")
		}
		return x.Rsh(uint(rapid.IntRange(0, Bits).Draw(t, "leading zeros")))
	})
}

// same fails unless got is the number want, which must be in range.
func same(t interface{ Fatalf(string, ...any) }, what string, got Uint, want *big.Int) {
	if got.Big().Cmp(want) != 0 {
		t.Fatalf("%s = %x, want %x", what, got.Big(), want)
	}
}

// checkArithmetic compares every operation with math/big.
func checkArithmetic(t interface{ Fatalf(string, ...any) }, x, y Uint, d uint64, s uint) {
	bx, by := x.Big(), y.Big()
	sum := new(big.Int).Add(bx, by)
	saturated := sum
	if sum.Cmp(modulus) >= 0 {
		saturated = Max().Big()
	}
	same(t, "AddWrap", x.AddWrap(y), new(big.Int).Mod(sum, modulus))
	same(t, "AddSat", x.AddSat(y), saturated)
	same(t, "SubWrap", x.SubWrap(y), new(big.Int).Mod(new(big.Int).Sub(bx, by), modulus))
	same(t, "Xor", x.Xor(y), new(big.Int).Xor(bx, by))
	same(t, "Lsh", x.Lsh(s), new(big.Int).Mod(new(big.Int).Lsh(bx, s), modulus))
	same(t, "Rsh", x.Rsh(s), new(big.Int).Rsh(bx, s))
	if d != 0 {
		same(t, "Div64", x.Div64(d), new(big.Int).Quo(bx, new(big.Int).SetUint64(d)))
	}
	if got, want := x.Cmp(y), bx.Cmp(by); got != want {
		t.Fatalf("%x.Cmp(%x) = %d, want %d", bx, by, got, want)
	}
	if got, want := x.BitLen(), bx.BitLen(); got != want {
		t.Fatalf("%x.BitLen() = %d, want %d", bx, got, want)
	}
	if got, want := x.IsZero(), bx.Sign() == 0; got != want {
		t.Fatalf("%x.IsZero() = %t", bx, got)
	}
	want64 := ^uint64(0)
	if bx.IsUint64() {
		want64 = bx.Uint64()
	}
	if got := x.Sat64(); got != want64 {
		t.Fatalf("%x.Sat64() = %d, want %d", bx, got, want64)
	}
}

// checkText takes x through every written form and back.
func checkText(t interface{ Fatalf(string, ...any) }, x Uint) {
	bx := x.Big()
	if got := FromBytes(x.Bytes()); got != x {
		t.Fatalf("FromBytes(Bytes(%x)) = %x", bx, got.Big())
	}
	if got, ok := FromBig(bx); !ok || got != x {
		t.Fatalf("FromBig(%x) = %x, %t", bx, got.Big(), ok)
	}
	if got, want := x.String(), bx.String(); got != want {
		t.Fatalf("String() = %s, want %s", got, want)
	}
	if got, want := x.Hex(), bx.Text(16); got != want {
		t.Fatalf("Hex() = %s, want %s", got, want)
	}
	for _, s := range []string{x.Hex(), x.PaddedHex(), strings.ToUpper(x.PaddedHex())} {
		if got, err := ParseHex(s); err != nil || got != x {
			t.Fatalf("ParseHex(%q) = %x, %v", s, got.Big(), err)
		}
	}
	for _, s := range []string{x.String(), "000" + x.String()} {
		if got, err := ParseDecimal(s); err != nil || got != x {
			t.Fatalf("ParseDecimal(%q) = %x, %v", s, got.Big(), err)
		}
	}
}

func TestAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := uints().Draw(t, "x"), uints().Draw(t, "y")
		checkArithmetic(t, x, y, rapid.Uint64().Draw(t, "d"), uint(rapid.IntRange(0, Bits+70).Draw(t, "s")))
		checkText(t, x)
	})
}

func FuzzAgainstBig(f *testing.F) {
	max := Max().Bytes()
	f.Add(max[:], max[:], ^uint64(0), uint16(64))
	f.Add([]byte{}, []byte{1}, uint64(1), uint16(0))
	f.Fuzz(func(t *testing.T, xs, ys []byte, d uint64, s uint16) {
		var x, y [Size]byte
		copy(x[:], xs)
		copy(y[:], ys)
		checkArithmetic(t, FromBytes(x), FromBytes(y), d, uint(s))
		checkText(t, FromBytes(x))
	})
}

func TestZeroValue(t *testing.T) {
	var x Uint
	if x.String() != "0" || x.Hex() != "0" || x.PaddedHex() != strings.Repeat("0", HexDigits) || x != From64(0) {
		t.Errorf("the zero value reads %s, %s, %s", x.String(), x.Hex(), x.PaddedHex())
	}
}

func TestParseErrors(t *testing.T) {
	for _, s := range []string{"", "g", "0x1", "-1", " 1", "1_0", "é", strings.Repeat("0", HexDigits+1)} {
		if x, err := ParseHex(s); err == nil {
			t.Errorf("ParseHex(%q) = %s, want an error", s, x.Hex())
		}
	}
	for _, s := range []string{"", "a", "-1", "+1", " 1", "1.0", "1e3", "1_0", "٣", modulus.String(), modulus.String() + "0"} {
		if x, err := ParseDecimal(s); err == nil {
			t.Errorf("ParseDecimal(%q) = %s, want an error", s, x)
		}
	}
	for _, b := range []*big.Int{big.NewInt(-1), modulus} {
		if x, ok := FromBig(b); ok {
			t.Errorf("FromBig(%s) = %s, want false", b, x)
		}
	}
}

// FuzzParse holds the parsers to math/big's: they accept the digits it accepts
// (without its signs, prefixes and underscores), and give the same number.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "0", "ff", "0x1", modulus.String(), Max().String(), Max().Hex()} {
		f.Add(s)
	}
	only := func(s, digits string) bool { return s != "" && strings.Trim(s, digits) == "" }
	f.Fuzz(func(t *testing.T, s string) {
		check := func(x Uint, err error, legal bool, base int) {
			if (err == nil) != legal {
				t.Fatalf("base %d, %q: error %v, legal %t", base, s, err, legal)
			}
			if legal {
				want, _ := new(big.Int).SetString(s, base)
				same(t, s, x, want)
			}
		}
		x, err := ParseHex(s)
		check(x, err, only(s, "0123456789abcdefABCDEF") && len(s) <= HexDigits, 16)

		legal := only(s, "0123456789")
		if legal {
			n, _ := new(big.Int).SetString(s, 10)
			legal = n.Cmp(modulus) < 0
		}
		x, err = ParseDecimal(s)
		check(x, err, legal, 10)
	})
}

func TestArithmeticAllocatesNothing(t *testing.T) {
	x, y := Max(), From64(3)
	if n := testing.AllocsPerRun(100, func() {
		x = x.AddWrap(y).AddSat(y).SubWrap(y).Xor(y).Lsh(3).Rsh(1).Div64(7)
		_ = x.Cmp(y) + x.BitLen()
		x = FromBytes(x.Bytes())
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAddSat(b *testing.B) {
	x, y := Max().Rsh(1), From64(3)
	for b.Loop() {
		x = x.AddSat(y)
	}
}
