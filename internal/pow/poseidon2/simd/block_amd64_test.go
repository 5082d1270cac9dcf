//go:build !purego

package simd

import (
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/steer"
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
		"other":     {287, unsafe.Offsetof(b.other)},
		"end":       {312, unsafe.Sizeof(b)},
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
			p := k.NewWalker(poseidon2.Reference{}).(*vectors).pair
			for i := range p {
				if at := uintptr(unsafe.Pointer(&p[i])); at%64 != 0 {
					t.Fatalf("block %d is at %#x, which is no boundary of 64 bytes", i, at)
				}
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
	for i := range v.pair {
		v.pair[i].target = 1<<64 - 1
	}
	canonical := poseidon2.Midstate(in)
	for i := range in {
		canonical[i] %= poseidon2.P
	}
	for i, x := range canonical.FirstLayer([poseidon2.Rate]uint64{}) {
		if in[i] >= poseidon2.P && x < 1<<32-1 {
			x += poseidon2.P // a base may be any representative
		}
		v.begin(i, x)
	}
	v.count(uint64(counter))
	if done, survivors := v.walk(1); done != 1 || survivors != 1<<k.Lanes-1 {
		t.Fatalf("%s: %d steps, survivors %b, want 1 and all %d", k.Name, done, survivors, k.Lanes)
	}
	half := k.Lanes / 2
	for i := range k.Lanes {
		s := poseidon2.State(canonical)
		s[7] += uint64(bits.ReverseBytes32(counter + uint32(i))) // of canonical elements: below 2^64
		s.Permute()
		s[0], s[1] = s[0]+1, s[1]+1
		s.Permute()
		if got, want := v.pair[i/half].firsts[i%half], bits.ReverseBytes64(s[0]); got != want {
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
