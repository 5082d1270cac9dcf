// Package steer is for tests of the two permutations that a nonce takes: it has the elements take
// chosen values within them, to which random inputs never lead, at any round.
package steer

import (
	"math/bits"
	"math/rand/v2"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// Edges are elements at which carries or borrows begin or end.
var Edges = []uint64{
	0, 1, 2, 1<<32 - 2, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1<<44 - 1, 1 << 44, 1<<52 - 1, 1 << 52, 1<<63 - 1, 1 << 63,
	poseidon2.P - 1<<32, poseidon2.P - 1<<32 - 1, poseidon2.P - 2, poseidon2.P - 1,
	3 << 48, 0xdeadbeef << 32, 1<<64 - 1<<33, // whose squares have 64 low bits that are 0
}

// Edge draws an element: any, or an edge, or one whose Montgomery form is. In either
// form it may also be a small multiple of 2^32 − 1, or near it: a sum of elements that
// comes to that, modulo p, is just below a multiple of 2^64.
func Edge(r *rand.Rand) uint64 {
	x := Edges[r.IntN(len(Edges))]
	switch r.IntN(5) {
	case 0:
		return r.Uint64() % poseidon2.P
	case 1:
		return power2(r)
	case 2:
		x = (1+r.Uint64N(8))*(1<<32-1) + r.Uint64N(5) - 2
	case 3:
		x = (1+r.Uint64N(8))<<32 - 1
	}
	if r.IntN(2) == 0 {
		x = mul(x, inverse(1<<32-1))
	}
	return x
}

// power2 draws an element of which a product in the S-box is x3·2^96 + x2·2^64 + x0 with x0 < x3, all of
// them below 2^32. As 2^96 is −1, that is negative if x2 is 0, before it is corrected.
func power2(r *rand.Rand) uint64 {
	switch r.IntN(4) {
	case 0: // the square, and with the lower bit x2 is not 0
		return (1<<15+r.Uint64N(1<<15))<<48 | r.Uint64N(2)<<15
	case 1: // the square
		return (1 + r.Uint64N(1<<16-1)) << 48
	case 2: // the square of the square
		return (1 + r.Uint64N(1<<8-1)) << 24
	default: // the product of the fourth power and the third
		return (1 + r.Uint64N(3)) << 14
	}
}

// BeforeBoth returns the state that becomes s by both permutations.
func BeforeBoth(s [poseidon2.Width]uint64) [poseidon2.Width]uint64 {
	return unpermuted(beforeSecond(s, AllRounds), AllRounds)
}

// beforeSecond returns what the first permutation leaves so that the second comes to
// s in so many rounds.
func beforeSecond(s [poseidon2.Width]uint64, rounds int) [poseidon2.Width]uint64 {
	s = unpermuted(s, rounds)
	s[0], s[1] = add(s[0], poseidon2.P-1), add(s[1], poseidon2.P-1)
	return s
}

// AllRounds is how many rounds a permutation has.
const AllRounds = 2*poseidon2.ExternalRounds + poseidon2.InternalRounds

// State draws a state that is to be reached after so many rounds of both permutations, or with
// which the S-boxes of the next round are to begin, and returns, by the inverse of the rounds,
// what the permutations must begin with.
func State(r *rand.Rand, rounds int) [poseidon2.Width]uint64 {
	rounds %= 2 * AllRounds
	next := constantsOf(rounds % AllRounds)
	if r.IntN(2) == 0 {
		next = nil
	}
	var s [poseidon2.Width]uint64
	for i := range s {
		s[i] = Edge(r)
		if i < len(next) {
			s[i] = add(s[i], poseidon2.P-next[i])
		}
	}
	constants := constantsOf(rounds % AllRounds)
	if len(constants) == 1 && r.IntN(3) == 0 {
		return before(products(r, rounds%AllRounds-poseidon2.ExternalRounds), rounds)
	}
	// The sums of an internal round.
	if len(constants) == 1 && r.IntN(2) == 0 {
		sum := sbox(add(s[0], constants[0]))
		if r.IntN(2) == 0 {
			sum = constantsOf(rounds%AllRounds + 1)[0] // scalar lanes add it to the others' sum
		}
		for _, x := range s[1 : poseidon2.Width-1] {
			sum = add(sum, x)
		}
		s[poseidon2.Width-1] = add(Edge(r), poseidon2.P-sum)
	}
	return before(s, rounds)
}

// products draws a state with which an internal round begins, so that behind its S-box the product of
// an element and its constant, plus the sum of all of them, is x3·2^96 + x2·2^64 + x0 as power2
// has it: with the constants where the rule has them, or where [poseidon2.Folded] does.
func products(r *rand.Rand, round int) (s [poseidon2.Width]uint64) {
	constants := poseidon2.NewConstants()
	at := r.IntN(poseidon2.Width)
	diagonal := constants.Diagonal[at]
	high := (1+r.Uint64N(diagonal>>32-1))<<32 | r.Uint64N(2)*uint64(r.Uint32())
	low := r.Uint64N(high >> 32)
	// Of that, what is not the element times (constant + 1) is in the other elements.
	last := (at + 1) % poseidon2.Width
	for i := range s {
		if i != at && i != last {
			s[i] = r.Uint64() % poseidon2.P
			var borrow uint64
			low, borrow = bits.Sub64(low, s[i], 0)
			high -= borrow
		}
	}
	s[at], s[last] = bits.Div64(high, low, diagonal+1)
	behind := [poseidon2.Width]uint64{}
	if r.IntN(2) == 0 {
		folded := poseidon2.NewFolded()
		s[0] = add(s[0], poseidon2.P-folded.Internal[round])
		behind = constants.Terminal[0]
		for i := poseidon2.InternalRounds - 1; i >= round; i-- {
			behind = inverseInternal(behind)
			behind[0] = constants.Internal[i]
		}
	}
	behind[0] = constants.Internal[round]
	s[0] = seventhRoot(s[0])
	for i := range s {
		s[i] = add(s[i], poseidon2.P-behind[i])
	}
	return s
}

// before returns what the permutations must begin with to come to s after so many rounds.
func before(s [poseidon2.Width]uint64, rounds int) [poseidon2.Width]uint64 {
	if rounds > AllRounds {
		s, rounds = beforeSecond(s, rounds-AllRounds), AllRounds
	}
	return unpermuted(s, rounds)
}

// constantsOf returns what a round adds to the first elements, one or all.
func constantsOf(round int) []uint64 {
	c := poseidon2.NewConstants()
	switch inner := round - poseidon2.ExternalRounds; {
	case inner < 0:
		return c.Initial[round][:]
	case inner < poseidon2.InternalRounds:
		return c.Internal[inner : inner+1]
	default:
		return c.Terminal[inner-poseidon2.InternalRounds][:]
	}
}

// unpermuted returns the state that becomes s by the first layer and as many rounds.
func unpermuted(s [poseidon2.Width]uint64, rounds int) [poseidon2.Width]uint64 {
	for round := rounds - 1; round >= 0; round-- {
		constants := constantsOf(round)
		if len(constants) == 1 {
			s = inverseInternal(s)
		} else {
			s = inverseLayer(s)
		}
		for i, constant := range constants {
			s[i] = add(seventhRoot(s[i]), poseidon2.P-constant)
		}
	}
	return inverseLayer(s)
}

func mul(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return bits.Rem64(high, low, poseidon2.P)
}

func power(a, e uint64) uint64 {
	x := uint64(1)
	for ; e > 0; e >>= 1 {
		if e&1 == 1 {
			x = mul(x, a)
		}
		a = mul(a, a)
	}
	return x
}

func sbox(x uint64) uint64 { return power(x, 7) }

func inverse(a uint64) uint64 { return power(a, poseidon2.P-2) }

// seventhRoot is the inverse of the S-box: 7 times its exponent is 1 modulo p − 1.
func seventhRoot(a uint64) uint64 { return power(a, 10540996611094048183) }

// inverseLayer is the inverse of the external layer: the sums of the groups' places
// are removed, and with a circulant of its own each group is what it was.
func inverseLayer(s [poseidon2.Width]uint64) (out [poseidon2.Width]uint64) {
	fourth, thirtyFifth := inverse(4), inverse(35)
	for i := range 4 {
		sum := add(add(s[i], s[4+i]), s[8+i])
		for g := 0; g < poseidon2.Width; g += 4 {
			s[g+i] = add(s[g+i], mul(poseidon2.P-fourth, sum))
		}
	}
	circulant := [4]uint64{poseidon2.P - 4, 3, poseidon2.P - 11, 17}
	for i := range out {
		for j := range 4 {
			out[i] = add(out[i], mul(mul(circulant[(j+4-i%4)%4], thirtyFifth), s[i-i%4+j]))
		}
	}
	return out
}

// inverseInternal is the inverse of the internal layer, y = Σx + d·x: as
// x = (y − Σx)/d, the sum of all x is Σ(y/d) / (1 + Σ(1/d)).
func inverseInternal(s [poseidon2.Width]uint64) [poseidon2.Width]uint64 {
	numerator, denominator := uint64(0), uint64(1)
	var reciprocals [poseidon2.Width]uint64
	for i, d := range poseidon2.NewConstants().Diagonal {
		reciprocals[i] = inverse(d)
		numerator = add(numerator, mul(s[i], reciprocals[i]))
		denominator = add(denominator, reciprocals[i])
	}
	sum := mul(numerator, inverse(denominator))
	for i := range s {
		s[i] = mul(add(s[i], poseidon2.P-sum), reciprocals[i])
	}
	return s
}

func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return bits.Rem64(carry, sum, poseidon2.P)
}
