package poseidon2

import (
	"bytes"
	"errors"
	"math/big"
	"math/bits"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestConstants(t *testing.T) {
	known := kat.ReadPoseidon2(t)
	c := NewConstants()
	want := Constants{Internal: [InternalRounds]uint64(known.Internal), Diagonal: [Width]uint64(known.Diagonal)}
	for i := range ExternalRounds {
		want.Initial[i], want.Terminal[i] = [Width]uint64(known.Initial[i]), [Width]uint64(known.Terminal[i])
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

func TestKnownAnswers(t *testing.T) {
	known := kat.ReadPoseidon2(t)
	for _, c := range known.Permutations {
		s := State(c.In)
		if s.Permute(); s != c.Out {
			t.Errorf("%s: permuted to %#x, want %#x", c.Name, s, c.Out)
		}
	}
	for _, c := range known.Messages {
		if got := Hash(c.Message); !bytes.Equal(got[:], c.Hash) {
			t.Errorf("the hash of %x is %x, want %x", c.Message, got, c.Hash)
		}
	}
	for _, c := range known.Hashes {
		if got := (Reference{Header: c.Header}).Hash(c.Nonce); got != c.Hash {
			t.Errorf("%s: %s, want %s", c.Name, got.PaddedHex(), c.Hash.PaddedHex())
		}
		m := NewMidstate(c.Header, c.Nonce)
		if c.Midstate != nil && m != Midstate(*c.Midstate) {
			t.Errorf("%s: midstate %#x, want %#x", c.Name, m, *c.Midstate)
		}
		if got, want := m.first(c.Nonce), c.Hash[u512.Words-1]; got != want {
			t.Errorf("%s: the top 64 bits are %#x, want %#x", c.Name, got, want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range kat.ReadPoseidon2(t).Verdicts {
		r, err := NewReference(c.Header, c.Difficulty)
		switch {
		case c.Target == nil:
			if !errors.Is(err, ErrDifficulty) {
				t.Errorf("%s: error %v, want that of difficulty 0", c.Name, err)
			}
			continue
		case c.Difficulty.IsZero():
			r = Reference{c.Header, *c.Target}
		case err != nil || r.Target != *c.Target:
			t.Errorf("%s: target %s, %v, want %s", c.Name, r.Target.PaddedHex(), err, c.Target.PaddedHex())
		}
		if hash, ok := r.Verify(c.Nonce); hash != c.Hash || ok != c.Valid {
			t.Errorf("%s: %s, %t, want %s, %t", c.Name, hash.PaddedHex(), ok, c.Hash.PaddedHex(), c.Valid)
		}
		if got := Achieved(c.Hash); c.Achieved != nil && got != *c.Achieved {
			t.Errorf("%s: achieves difficulty %s, want %s", c.Name, got, c.Achieved)
		}
	}
	if got := Achieved(u512.Uint{}); got != u512.Max() {
		t.Errorf("hash 0 achieves difficulty %s, want 2^512−1", got)
	}
}

// TestSearches looks at the ends of the known searches alone: the engines search.
func TestSearches(t *testing.T) {
	for _, c := range kat.ReadPoseidon2(t).Searches {
		r, err := NewReference(c.Header, c.Threshold)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if !c.Found {
			continue
		}
		if hash, ok := r.Verify(c.Nonce); hash != c.Distance || !ok {
			t.Errorf("%s: %s, %t, want %s, true", c.Name, hash.PaddedHex(), ok, c.Distance.PaddedHex())
		}
		size := c.Nonce.SubWrap(c.Start)
		for i := range min(20, size[0]) {
			if _, ok := r.Verify(c.Start.AddWrap(u512.From64(i))); ok {
				t.Errorf("%s: nonce %d of the range is valid", c.Name, i)
			}
		}
	}
}

// first returns the top 64 bits of the hash of a nonce that shares the midstate, by
// plain arithmetic.
func (m *Midstate) first(nonce u512.Uint) uint64 {
	s := State(*m)
	for i, x := range Low(nonce) {
		s[i] = add(s[i], x)
	}
	s.Permute()
	// The fourth block has the byte that ends the message, and the element that ends
	// the elements.
	s[0], s[1] = add(s[0], 1), add(s[1], 1)
	s.Permute()
	return bits.ReverseBytes64(s[0])
}

// edges are where carries, and sums that cross p or 2^64, go wrong.
var edges = []uint64{
	0, 1, 2, 1<<32 - 2, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1 << 63, P - 1<<32, P - 2, P - 1,
	P, P + 1, 1<<64 - 1<<31, 1<<64 - 2, 1<<64 - 1,
}

func TestPlainArithmetic(t *testing.T) {
	p := new(big.Int).SetUint64(P)
	for _, a := range edges {
		for _, b := range edges {
			bigA, bigB := new(big.Int).SetUint64(a), new(big.Int).SetUint64(b)
			if got, want := add(a, b), new(big.Int).Add(bigA, bigB); got != want.Mod(want, p).Uint64() {
				t.Errorf("%#x + %#x = %#x, want %#x", a, b, got, want)
			}
			if got, want := mul(a, b), new(big.Int).Mul(bigA, bigB); got != want.Mod(want, p).Uint64() {
				t.Errorf("%#x · %#x = %#x, want %#x", a, b, got, want)
			}
		}
		if got, want := sbox(a), new(big.Int).Exp(new(big.Int).SetUint64(a), big.NewInt(7), p); got != want.Uint64() {
			t.Errorf("%#x^7 = %#x, want %#x", a, got, want)
		}
	}
}

func BenchmarkReference(b *testing.B) {
	r := Reference{Header: [HeaderSize]byte{1}}
	nonce := u512.From64(1)
	for b.Loop() {
		nonce = r.Hash(nonce)
	}
}
