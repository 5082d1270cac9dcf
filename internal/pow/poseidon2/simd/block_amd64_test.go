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

// step takes a step with states that begin with s, but for element 7 of the third block, with a
// target that all nonces survive. It returns the top 64 bits of the hashes.
func step(k kernel, s poseidon2.State, counter uint32) (firsts []uint64, done int, survivors uint64) {
	v := k.NewWalker(poseidon2.Reference{}).(*vectors)
	for i := range v.pair {
		v.pair[i].target = 1<<64 - 1
	}
	for i, x := range s {
		v.begin(i, x)
	}
	v.count(uint64(counter))
	done, survivors = v.walk(1)
	for i := range v.pair {
		firsts = append(firsts, v.pair[i].firsts[:k.Lanes/2]...)
	}
	return firsts, done, survivors
}
