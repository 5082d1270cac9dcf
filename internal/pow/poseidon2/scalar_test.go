package poseidon2

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

var (
	bigP = new(big.Int).SetUint64(P)
	// bigInverse is 2^−64 mod P.
	bigInverse = new(big.Int).ModInverse(new(big.Int).Lsh(big.NewInt(1), 64), bigP)
)

// two returns high·2^64 + low.
func two(high, low uint64) *big.Int {
	x := new(big.Int).SetUint64(high)
	return x.Add(x.Lsh(x, 64), new(big.Int).SetUint64(low))
}

// congruent fails unless got is a representative of want.
func congruent(t interface{ Errorf(string, ...any) }, what string, got uint64, want *big.Int, operands ...uint64) {
	difference := new(big.Int).Sub(new(big.Int).SetUint64(got), want)
	if difference.Mod(difference, bigP).Sign() != 0 {
		t.Errorf("%s of %#x = %#x, want %#x modulo P", what, operands, got, want.Mod(want, bigP))
	}
}

// checkMontgomery compares the arithmetic on any words with math/big. Where words
// must be smaller, they are made so.
func checkMontgomery(t interface{ Errorf(string, ...any) }, a, b, c uint64) {
	scaled := func(x *big.Int) *big.Int { return x.Mul(x, bigInverse) }
	congruent(t, "redc", redc(a, b), scaled(two(a, b)), a, b)

	product := new(big.Int).Mul(two(0, a), two(0, b))
	congruent(t, "montMul", montMul(a, b), scaled(new(big.Int).Set(product)), a, b)

	factor := min(b, P-1) // as large as it may be
	high, low := mul128(c, epsilon)
	product.Mul(two(0, a), two(0, factor))
	congruent(t, "montMulAdd", montMulAdd(a, factor, high, low), scaled(product.Add(product, two(high, low))), a, factor, c)

	congruent(t, "fold", fold(a>>32, b), two(a>>32, b), a>>32, b)
	congruent(t, "montAdd", montAdd(a, b), new(big.Int).Add(two(0, a), two(0, b)), a, b)
	congruent(t, "montAddTo", montAddTo(a, factor), new(big.Int).Add(two(0, a), two(0, factor)), a, factor)
	if got := montMul(a, factor); got >= P {
		t.Errorf("montMul of %#x by the canonical %#x is %#x, which is not", a, factor, got)
	}
	if got := fromMontgomery(toMontgomery(a)); got != a%P {
		t.Errorf("%#x comes back as %#x from Montgomery form", a, got)
	}
	if got := toMontgomery(fromMontgomery(a)); got != a%P {
		t.Errorf("%#x comes back as %#x from plain form", a, got)
	}
}

// mul128 returns the words of a·b.
func mul128(a, b uint64) (high, low uint64) {
	product := new(big.Int).Mul(two(0, a), two(0, b))
	return new(big.Int).Rsh(product, 64).Uint64(), new(big.Int).And(product, two(0, 1<<64-1)).Uint64()
}

// TestMontgomeryEdges takes all edges with each other, and values that make the
// product's low word, or the difference of the high ones, an edge.
func TestMontgomeryEdges(t *testing.T) {
	for _, a := range edges {
		for _, b := range edges {
			for _, c := range edges {
				checkMontgomery(t, a, b, c)
			}
			// q·P for a quotient q of our own, and what differs from it a little: with
			// these as operands the difference of the high words is 0, or ±1.
			high, low := mul128(a, P)
			for _, d := range []uint64{0, 1, 2, 1<<64 - 1} {
				congruent(t, "redc", redc(high+d, low), new(big.Int).Mul(two(high+d, low), bigInverse), high+d, low)
			}
			congruent(t, "redc", redc(high, low+b), new(big.Int).Mul(two(high, low+b), bigInverse), high, low+b)
		}
	}
}

// word draws edges as often as others.
var word = rapid.OneOf(rapid.SampledFrom(edges), rapid.Uint64())

func TestMontgomeryProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkMontgomery(t, word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c"))
	})
}

func FuzzMontgomery(f *testing.F) {
	f.Add(uint64(P), uint64(P-1), ^uint64(0))
	f.Fuzz(func(t *testing.T, a, b, c uint64) { checkMontgomery(t, a, b, c) })
}

// state draws states of any representatives, many of them edges.
var state = rapid.Custom(func(t *rapid.T) (s State) {
	for i := range s {
		s[i] = word.Draw(t, "element")
	}
	return s
})

// plain returns the state that a scalar is the form of.
func (s scalar) plain() (plain State) {
	for i, x := range s {
		plain[i] = fromMontgomery(x)
	}
	return plain
}

// checkScalar compares each step of a permutation with the plain one. The state is
// taken as it is for a Montgomery form, so that its edges are those of the steps.
func checkScalar(t interface{ Errorf(string, ...any) }, s State, constant [Width]uint64) {
	same := func(what string, got scalar, want State) {
		if got.plain() != want {
			t.Errorf("%s of %#x is %#x, want %#x", what, s, got.plain(), want)
		}
	}
	form := scalar(s)
	plainConstant := scalar(constant).plain()

	got, want := form, form.plain()
	got.sboxes()
	for i := range want {
		want[i] = sbox(want[i])
	}
	same("sboxes", got, want)

	got, want = form, form.plain()
	got.mix(&constant)
	want.externalLayer()
	for i := range want {
		want[i] = add(want[i], plainConstant[i])
	}
	same("mix", got, want)

	got, want = form, form.plain()
	var internal [InternalRounds]uint64
	for i := range internal {
		internal[i] = toMontgomery(constant[i%Width]) // canonical, as the constants are
	}
	got.internalRounds(&internal)
	for round := range internal {
		want.internalRound(0)
		want[0] = add(want[0], constant[round%Width])
	}
	same("internalRounds", got, want)

	got, want = form, form.plain()
	got.permute(&constant)
	want.Permute()
	for i := range want {
		want[i] = add(want[i], plainConstant[i])
	}
	same("permute", got, want)
}

// TestScalarEdges fills states with one edge, and with edges that follow each other.
func TestScalarEdges(t *testing.T) {
	for i := range edges {
		for step := range len(edges) {
			var s, constant State
			for j := range s {
				s[j] = edges[(i+step*j)%len(edges)]
				constant[j] = edges[(i+j)%len(edges)]
			}
			checkScalar(t, s, constant)
		}
	}
}

func TestScalarProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkScalar(t, state.Draw(t, "state"), state.Draw(t, "constant")) })
}

func TestScalarKnownAnswers(t *testing.T) {
	known := kat.ReadPoseidon2(t)
	for _, c := range known.Permutations {
		var s scalar
		for i, x := range c.In {
			s[i] = toMontgomery(x)
		}
		if s.permute(&noBlock); s.plain() != c.Out {
			t.Errorf("%s: permuted to %#x, want %#x", c.Name, s.plain(), c.Out)
		}
	}
	for _, c := range known.Hashes {
		m := NewMidstate(c.Header, c.Nonce)
		if got, want := m.Window().First(c.Nonce), c.Hash[u512.Words-1]; got != want {
			t.Errorf("%s: the top 64 bits are %#x, want %#x", c.Name, got, want)
		}
	}
}

// BenchmarkFirst measures a nonce: two permutations.
func BenchmarkFirst(b *testing.B) {
	m := NewMidstate([HeaderSize]byte{1}, u512.Uint{})
	w := m.Window()
	var nonce u512.Uint
	for b.Loop() {
		nonce[0] ^= w.First(nonce)
	}
}
