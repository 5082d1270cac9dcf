//go:build !purego

package simd

import (
	"testing"
	"unsafe"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// TestLayout holds the block to the offsets, in words, that the generator has.
func TestLayout(t *testing.T) {
	var b block
	second := unsafe.Offsetof(b.lanes) + unsafe.Sizeof(b.lanes[0])
	for name, at := range map[string][2]uintptr{
		"base":               {0, unsafe.Offsetof(b.base)},
		"counter":            {12, unsafe.Offsetof(b.counter)},
		"target":             {13, unsafe.Offsetof(b.target)},
		"survivors":          {14, unsafe.Offsetof(b.survivors)},
		"lanes":              {16, unsafe.Offsetof(b.lanes)},
		"the first hash":     {28, unsafe.Offsetof(b.lanes) + unsafe.Offsetof(b.lanes[0].first)},
		"the first survivor": {29, unsafe.Offsetof(b.lanes) + unsafe.Offsetof(b.lanes[0].survives)},
		"the second lane":    {32, second},
		"end":                {48, unsafe.Sizeof(b)},
	} {
		if 8*at[0] != at[1] {
			t.Errorf("%s is at word %d, want %d", name, at[1]/8, at[0])
		}
	}
}

// TestAligned is for speed: pairs of elements that lie across two cache lines take twice as long.
func TestAligned(t *testing.T) {
	for _, k := range native() {
		for range 100 {
			if at := uintptr(unsafe.Pointer(k.NewWalker(poseidon2.Reference{}).(*scalars).block)); at%64 != 0 {
				t.Fatalf("the block is at %#x, which is no boundary of 64 bytes", at)
			}
		}
	}
}

// step takes a step with states that begin with s, but for element 7 of the third block, with a
// target that all nonces survive. It returns the top 64 bits of the hashes.
func step(k kernel, s poseidon2.State, counter uint32) (firsts []uint64, done int, survivors uint64) {
	w := k.NewWalker(poseidon2.Reference{}).(*scalars)
	w.target = 1<<64 - 1
	w.begin(s)
	w.counter = uint64(counter)
	done, survivors = w.walk(1)
	for i := range w.lanes {
		firsts = append(firsts, w.lanes[i].first)
	}
	return firsts, done, survivors
}
