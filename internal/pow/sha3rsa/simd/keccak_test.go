package simd

import (
	"crypto/sha3"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// sum512Lane0 is what all kernels have to return, by the standard library.
func sum512Lane0(message *[8]uint64) uint64 {
	var b [64]byte
	for i, word := range message {
		binary.LittleEndian.PutUint64(b[8*i:], word)
	}
	sum := sha3.Sum512(b[:])
	return binary.LittleEndian.Uint64(sum[:])
}

// edgeMessages has the messages of equal bits, and every message with a single
// one or a single zero.
func edgeMessages() [][8]uint64 {
	var zeros, ones [8]uint64
	for i := range ones {
		ones[i] = 1<<64 - 1
	}
	messages := [][8]uint64{zeros, ones}
	for bit := range 512 {
		one, zero := zeros, ones
		one[bit/64] ^= 1 << (bit % 64)
		zero[bit/64] ^= 1 << (bit % 64)
		messages = append(messages, one, zero)
	}
	return messages
}

// message draws eight words, many of them of equal bits.
var message = rapid.Custom(func(t *rapid.T) (m [8]uint64) {
	word := rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, 1 << 63, 1<<64 - 1}), rapid.Uint64())
	for i := range m {
		m[i] = word.Draw(t, "word")
	}
	return m
})

func TestKeccakLane0(t *testing.T) {
	for _, m := range edgeMessages() {
		if got, want := keccakLane0(&m), sum512Lane0(&m); got != want {
			t.Errorf("keccakLane0(%#x) = %#x, want %#x", m, got, want)
		}
	}
}

// TestKeccakLane0KnownAnswer takes the standard library's word for nothing: the
// answer is that of Python's hashlib.
func TestKeccakLane0KnownAnswer(t *testing.T) {
	var m [8]uint64
	for i := range m {
		m[i] = 0x0101010101010101*uint64(8*i) + 0x0706050403020100 // bytes 0, 1, … 63
	}
	const want = 0xf471eefb1e6029cb
	if got := keccakLane0(&m); got != want {
		t.Errorf("keccakLane0 of the bytes 0 to 63 is %#x, want %#x", got, uint64(want))
	}
}

func TestKeccakLane0Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := message.Draw(t, "message")
		if got, want := keccakLane0(&m), sum512Lane0(&m); got != want {
			t.Fatalf("keccakLane0(%#x) = %#x, want %#x", m, got, want)
		}
	})
}

// BenchmarkHash compares what a hash costs with the standard library. Each hash
// depends on the one before.
func BenchmarkHash(b *testing.B) {
	b.Run("Sum512", func(b *testing.B) {
		var m [64]byte
		for b.Loop() {
			sum := sha3.Sum512(m[:])
			m[0] ^= sum[0]
		}
	})
	b.Run("portable", func(b *testing.B) {
		var m [8]uint64
		for b.Loop() {
			m[0] ^= keccakLane0(&m)
		}
	})
}
