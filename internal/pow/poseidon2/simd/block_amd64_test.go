//go:build !purego

package simd

import (
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// TestLayout holds the block to the offsets, in words, that the generator has.
func TestLayout(t *testing.T) {
	var b block
	for name, at := range map[string][2]uintptr{
		"state":     {0, unsafe.Offsetof(b.state)},
		"base":      {192, unsafe.Offsetof(b.base)},
		"counters":  {216, unsafe.Offsetof(b.counters)},
		"firsts":    {224, unsafe.Offsetof(b.firsts)},
		"target":    {234, unsafe.Offsetof(b.target)},
		"lanes":     {235, unsafe.Offsetof(b.lanes)},
		"survivors": {236, unsafe.Offsetof(b.survivors)},
		"form":      {239, unsafe.Offsetof(b.form)},
		"end":       {287, unsafe.Sizeof(b)},
	} {
		if 8*at[0] != at[1] {
			t.Errorf("%s is at word %d, want %d", name, at[1]/8, at[0])
		}
	}
}

// TestAligned is for speed: vectors that lie across two cache lines take twice as long.
func TestAligned(t *testing.T) {
	for _, k := range native() {
		for range 100 {
			b := k.NewWalker(poseidon2.Reference{}).(*vectors).block
			if at := uintptr(unsafe.Pointer(b)); at%64 != 0 {
				t.Fatalf("a block is at %#x, which is no boundary of 64 bytes", at)
			}
		}
	}
}

// permuted has a kernel permute two times and compares the result with the rule. One lane
// begins with the given state, the others with states that differ from it in element 7.
func permuted(t testing.TB, k kernel, in [poseidon2.Width]uint64, lane int) {
	t.Helper()
	counter := -uint32(lane)
	v := k.NewWalker(poseidon2.Reference{}).(*vectors)
	v.target = 1<<64 - 1
	constants := poseidon2.NewConstants()
	canonical := in
	for i := range in {
		canonical[i] %= poseidon2.P
	}
	for i, x := range externalLayer(canonical) {
		x = add(x, constants.Initial[0][i])
		if in[i] >= poseidon2.P && x < 1<<32-1 {
			x += poseidon2.P // a base may be any representative
		}
		v.begin(i, x)
	}
	for i := range v.counters {
		v.counters[i] = uint64(counter) + uint64(i)
	}
	if done, survivors := v.walk(1); done != 1 || survivors != 1<<k.Lanes-1 {
		t.Fatalf("%s: %d steps, survivors %b, want 1 and all %d", k.Name, done, survivors, k.Lanes)
	}
	for i := range k.Lanes {
		s := poseidon2.State(canonical)
		s[7] = add(s[7], uint64(bits.ReverseBytes32(counter+uint32(i))))
		s.Permute()
		s[0], s[1] = add(s[0], 1), add(s[1], 1)
		s.Permute()
		if got, want := v.firsts[i], bits.ReverseBytes64(s[0]); got != want {
			t.Fatalf("%s, lane %d: state %x on lane %d: %016x, want %016x", k.Name, i, in, lane, got, want)
		}
	}
}

// TestPermutations takes the known permutations' states.
func TestPermutations(t *testing.T) {
	for _, k := range native() {
		t.Run(k.Name, func(t *testing.T) {
			for _, c := range kat.ReadPoseidon2(t).Permutations {
				for lane := range k.Lanes {
					permuted(t, k, c.In, lane)
				}
			}
		})
	}
}

// edges are elements at which carries or borrows begin or end.
var edges = []uint64{
	0, 1, 2, 1<<32 - 2, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1<<44 - 1, 1 << 44, 1<<52 - 1, 1 << 52, 1<<63 - 1, 1 << 63,
	poseidon2.P - 1<<32, poseidon2.P - 1<<32 - 1, poseidon2.P - 2, poseidon2.P - 1,
	3 << 48, 0xdeadbeef << 32, 1<<64 - 1<<33, // whose squares have 64 low bits that are 0
}

// edge draws an element: any, or an edge, or one whose Montgomery form is. In either
// form it may also be a small multiple of 2^32 − 1, or near it: a sum of elements that
// comes to that, modulo p, is just below a multiple of 2^64.
func edge(r *rand.Rand) uint64 {
	x := edges[r.IntN(len(edges))]
	switch r.IntN(4) {
	case 0:
		return r.Uint64() % poseidon2.P
	case 1:
		x = (1+r.Uint64N(8))*(1<<32-1) + r.Uint64N(5) - 2
	}
	if r.IntN(2) == 0 {
		x = mul(x, inverse(1<<32-1))
	}
	return x
}

// TestEdges has the elements take values that random inputs never lead to: within the
// permutations, at the S-boxes, and in the result.
func TestEdges(t *testing.T) {
	for _, k := range native() {
		t.Run(k.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for i := range *cases {
				sameEdges(t, k, r, i)
			}
		})
	}
}

func FuzzEdges(f *testing.F) {
	f.Add(uint64(0), uint64(0), 0)
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64, rounds int) {
		for _, k := range native() {
			sameEdges(t, k, rand.New(rand.NewPCG(seed1, seed2)), rounds&0xff)
		}
	})
}

// TestResults has the first element of the result take the edges.
func TestResults(t *testing.T) {
	for _, k := range native() {
		t.Run(k.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			for _, want := range edges {
				for range *cases / 10 {
					s := poseidon2.State{want}
					for i := range s[1:] {
						s[1+i] = r.Uint64() % poseidon2.P
					}
					permuted(t, k, beforeBoth(s), r.IntN(k.Lanes))
				}
			}
		})
	}
}

// beforeBoth returns the state that becomes s by both permutations.
func beforeBoth(s [poseidon2.Width]uint64) [poseidon2.Width]uint64 {
	return unpermuted(beforeSecond(s, allRounds), allRounds)
}

// beforeSecond returns what the first permutation leaves so that the second comes to
// s in so many rounds.
func beforeSecond(s [poseidon2.Width]uint64, rounds int) [poseidon2.Width]uint64 {
	s = unpermuted(s, rounds)
	s[0], s[1] = add(s[0], poseidon2.P-1), add(s[1], poseidon2.P-1)
	return s
}

// allRounds is how many rounds a permutation has.
const allRounds = 2*poseidon2.ExternalRounds + poseidon2.InternalRounds

// sameEdges draws a state that is to be reached after so many rounds, or with which
// the S-boxes of the next round are to begin, and gets, by the inverse of the rounds,
// what the permutations must begin with.
func sameEdges(t testing.TB, k kernel, r *rand.Rand, rounds int) {
	t.Helper()
	rounds %= 2 * allRounds
	next := constantsOf(rounds % allRounds)
	if r.IntN(2) == 0 {
		next = nil
	}
	var s [poseidon2.Width]uint64
	for i := range s {
		s[i] = edge(r)
		if i < len(next) {
			s[i] = add(s[i], poseidon2.P-next[i])
		}
	}
	// The sums of an internal round.
	if constants := constantsOf(rounds % allRounds); len(constants) == 1 && r.IntN(2) == 0 {
		sum := sbox(add(s[0], constants[0]))
		if r.IntN(2) == 0 {
			sum = constantsOf(rounds%allRounds + 1)[0] // scalar lanes add it to the others' sum
		}
		for _, x := range s[1 : poseidon2.Width-1] {
			sum = add(sum, x)
		}
		s[poseidon2.Width-1] = add(edge(r), poseidon2.P-sum)
	}
	if rounds > allRounds {
		s, rounds = beforeSecond(s, rounds-allRounds), allRounds
	}
	permuted(t, k, unpermuted(s, rounds), r.IntN(k.Lanes))
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

// TestUnpermuted shows that the inverse is one.
func TestUnpermuted(t *testing.T) {
	want := [poseidon2.Width]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	s := poseidon2.State(want)
	s.Permute()
	if got := unpermuted(s, allRounds); got != want {
		t.Errorf("got %v, want %v", got, want)
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
