//go:build !purego

package simd

import (
	"testing"

	"golang.org/x/sys/cpu"
	"pgregory.net/rapid"
)

// interleave lays two messages side by side.
func interleave(m0, m1 [8]uint64) (messages [8][2]uint64) {
	for i := range messages {
		messages[i] = [2]uint64{m0[i], m1[i]}
	}
	return messages
}

// testPair calls test for every kernel, with a function that hashes a pair by
// it and by the standard library.
func testPair(t *testing.T, test func(t *testing.T, check func(t rapid.TB, m0, m1 [8]uint64))) {
	if !cpu.ARM64.HasSHA3 {
		return // TestRequired is what fails where it should have
	}
	for _, kernel := range pairs {
		t.Run(kernel.name, func(t *testing.T) {
			test(t, func(t rapid.TB, m0, m1 [8]uint64) {
				messages := interleave(m0, m1)
				got := kernel.hash(&messages)
				want := [2]uint64{sum512Lane0(&m0), sum512Lane0(&m1)}
				if got != want {
					t.Fatalf("%#x hashes to %#x, want %#x", messages, got, want)
				}
				if messages != interleave(m0, m1) {
					t.Fatal("the messages were written to")
				}
			})
		})
	}
}

// TestPairEdges puts each edge message into both places, next to another.
func TestPairEdges(t *testing.T) {
	testPair(t, func(t *testing.T, check func(t rapid.TB, m0, m1 [8]uint64)) {
		messages := edgeMessages()
		for i, m := range messages {
			check(t, m, m)
			check(t, m, messages[(i+1)%len(messages)])
		}
	})
}

func TestPairProperty(t *testing.T) {
	testPair(t, func(t *testing.T, check func(t rapid.TB, m0, m1 [8]uint64)) {
		rapid.Check(t, func(t *rapid.T) {
			check(t, message.Draw(t, "message 0"), message.Draw(t, "message 1"))
		})
	})
}

// BenchmarkPair reports times for two hashes; [BenchmarkHash] has those of one.
func BenchmarkPair(b *testing.B) {
	if !cpu.ARM64.HasSHA3 {
		return
	}
	for _, kernel := range pairs {
		b.Run(kernel.name, func(b *testing.B) {
			var messages [8][2]uint64
			for b.Loop() {
				lane0 := kernel.hash(&messages)
				messages[0][0] ^= lane0[0]
				messages[0][1] ^= lane0[1]
			}
		})
	}
}
