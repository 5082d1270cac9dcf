package poseidon2

import (
	"math/rand/v2"
	"testing"
)

// TestFolded has a permutation with its constants moved be the permutation.
func TestFolded(t *testing.T) {
	f := NewFolded()
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var s State
		for i := range s {
			s[i] = random.Uint64()
		}
		want := s
		want.Permute()

		s.externalLayer()
		for i := range s {
			s[i] = add(s[i], constants.Initial[0][i])
		}
		rounds := func(rows [][Width]uint64) {
			for _, row := range rows {
				for i := range s {
					s[i] = add(sbox(s[i]), row[i])
				}
				s.externalLayer()
			}
		}
		rounds(f.External[:ExternalRounds])
		for _, constant := range f.Internal {
			s[0] = add(sbox(s[0]), constant)
			sum := uint64(0)
			for _, x := range s {
				sum = add(sum, x)
			}
			for i := range s {
				s[i] = add(sum, mul(constants.Diagonal[i], s[i]))
			}
		}
		rounds(f.External[ExternalRounds:])
		if s != want {
			t.Fatalf("got %x, want %x", s, want)
		}
	}
}

func TestUnmix(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		var s State
		for i := range s {
			s[i] = random.Uint64() % P
		}
		mixed := s
		mixed.externalLayer()
		if got := Unmix(mixed); got != s {
			t.Fatalf("%x is mixed to %x, of which is unmixed %x", s, mixed, got)
		}
	}
}
