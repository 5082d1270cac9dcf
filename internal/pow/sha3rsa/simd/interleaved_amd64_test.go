//go:build !purego

package simd

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// TestLayout holds the block to the offsets, in words, that the generator has.
func TestLayout(t *testing.T) {
	var b block
	for name, at := range map[string][2]uintptr{
		"message":    {64, unsafe.Offsetof(b.message)},
		"fractions":  {128, unsafe.Offsetof(b.fractions)},
		"mu":         {136, unsafe.Offsetof(b.mu)},
		"m":          {141, unsafe.Offsetof(b.m)},
		"negN":       {145, unsafe.Offsetof(b.negN)},
		"shiftLeft":  {153, unsafe.Offsetof(b.shiftLeft)},
		"shiftRight": {154, unsafe.Offsetof(b.shiftRight)},
		"limit":      {155, unsafe.Offsetof(b.limit)},
		"target":     {156, unsafe.Offsetof(b.target)},
		"mask":       {157, unsafe.Offsetof(b.mask)},
		"survivors":  {158, unsafe.Offsetof(b.survivors)},
		"flagged":    {159, unsafe.Offsetof(b.flagged)},
		"quotient":   {160, unsafe.Offsetof(b.quotient)},
		"state":      {168, unsafe.Offsetof(b.state)},
	} {
		if 8*at[0] != at[1] {
			t.Errorf("%s is at word %d, want %d", name, at[1]/8, at[0])
		}
	}
}

// TestAligned holds blocks, and the vectors in them, to the borders of cache lines.
func TestAligned(t *testing.T) {
	ctx := sha3rsa.NewJobContext([32]byte{1}, u512.Uint{})
	for range 100 {
		w := newInterleaved(ctx, walkAVX2).(*interleaved)
		for name, at := range map[string]unsafe.Pointer{
			"message":   unsafe.Pointer(&w.message),
			"fractions": unsafe.Pointer(&w.fractions),
			"state":     unsafe.Pointer(&w.state),
		} {
			if uintptr(at)%64 != 0 {
				t.Fatalf("%s is at %p, want a multiple of 64", name, at)
			}
		}
	}
}

// TestHash has the kernels hash any messages, and look for the hash of each
// lane in turn, all 64 bits of it.
func TestHash(t *testing.T) {
	for _, k := range native() {
		t.Run(k.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			ctx := sha3rsa.NewJobContext([32]byte{1}, u512.Uint{})
			edges := edgeMessages()
			for i := range *cases {
				var messages [maxLanes][8]uint64
				for lane := range k.Lanes {
					for j := range messages[lane] {
						messages[lane][j] = r.Uint64()
					}
					if r.IntN(2) == 0 {
						messages[lane] = edges[(i+lane)%len(edges)]
					}
				}
				for lane := range k.Lanes {
					w := k.NewWalker(ctx).(*interleaved)
					var want uint64
					for l := range k.Lanes {
						for j, word := range messages[l] {
							w.message[j][l] = word
						}
						if messages[l] == messages[lane] {
							want |= 1 << l
						}
					}
					w.target = sum512Lane0(&messages[lane]) ^ roundConstants[23]
					if done, survivors := w.walk(1); done != 1 || survivors != want {
						t.Fatalf("lane %d of %x: survivors %b, want %b", lane, messages, survivors, want)
					}
				}
			}
		})
	}
}

// TestFlagged checks that the rare correction is needed, not only executed: of the
// products just above a multiple of n, some are flagged and too large by n.
func TestFlagged(t *testing.T) {
	for _, k := range native() {
		t.Run(k.Name, func(t *testing.T) {
			corrected := 0
			r := rand.New(rand.NewPCG(5, 6))
			for range *cases {
				ctx := arbitrary(r)
				w, ok := k.NewWalker(ctx).(*interleaved)
				if !ok {
					continue
				}
				for lane := range k.Lanes {
					w.set(lane, start(t, r, ctx))
				}
				w.kernel(w.block, 1)
				before := w.y
				w.reduceFlagged()
				for lane := range k.Lanes {
					if before[lane] != w.y[lane] {
						corrected++
						if w.flagged>>lane&1 == 0 {
							t.Fatalf("lane %d was corrected and not flagged", lane)
						}
					}
				}
			}
			if corrected == 0 {
				t.Error("nothing was corrected")
			}
			t.Logf("%d corrected", corrected)
		})
	}
}
