//go:build !purego && (amd64 || arm64)

package simd

import (
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/steer"
)

// permuted has a kernel permute two times and compares the result with the rule. One lane
// begins with the given state, the others with states that differ from it in element 7.
func permuted(t testing.TB, k kernel, in [poseidon2.Width]uint64, lane int) {
	t.Helper()
	counter := -uint32(lane)
	canonical := poseidon2.Midstate(in)
	for i := range in {
		canonical[i] %= poseidon2.P
	}
	start := canonical.FirstLayer([poseidon2.Rate]uint64{})
	for i, x := range start {
		if in[i] >= poseidon2.P && x < 1<<32-1 {
			start[i] += poseidon2.P // a base may be any representative
		}
	}
	firsts, done, survivors := step(k, start, counter)
	if done != 1 || survivors != 1<<k.Lanes-1 {
		t.Fatalf("%s: %d steps, survivors %b, want 1 and all %d", k.Name, done, survivors, k.Lanes)
	}
	for i, got := range firsts {
		s := poseidon2.State(canonical)
		s[7] += uint64(bits.ReverseBytes32(counter + uint32(i))) // of canonical elements: below 2^64
		s.Permute()
		s[0], s[1] = s[0]+1, s[1]+1
		s.Permute()
		if want := bits.ReverseBytes64(s[0]); got != want {
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
			for _, want := range steer.Edges {
				for range *cases / 10 {
					s := poseidon2.State{want}
					for i := range s[1:] {
						s[1+i] = r.Uint64() % poseidon2.P
					}
					permuted(t, k, steer.BeforeBoth(s), r.IntN(k.Lanes))
				}
			}
		})
	}
}

// sameEdges has a kernel permute what leads to edges after so many rounds.
func sameEdges(t testing.TB, k kernel, r *rand.Rand, rounds int) {
	t.Helper()
	permuted(t, k, steer.State(r, rounds), r.IntN(k.Lanes))
}
