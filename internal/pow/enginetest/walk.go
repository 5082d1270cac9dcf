package enginetest

import (
	"crypto/sha3"
	"testing"
	"time"
)

// BenchmarkWalk measures a kernel, whose walk evaluates so many nonces, against S, the
// rate of crypto/sha3.Sum512: the best of many short turns of each, as other load only
// slows them. The yardstick takes so many sums a turn, about as long as walk takes.
func BenchmarkWalk(b *testing.B, walk func(), nonces, sums int) {
	kernel, yardstick, product := time.Hour, time.Hour, time.Hour
	for b.Loop() {
		begin := time.Now()
		walk()
		between := time.Now()
		sumAgain(sums)
		kernel = min(kernel, between.Sub(begin))
		yardstick = min(yardstick, time.Since(between))
		product = min(product, multiplyAgain(10*sums))
	}
	cycle := float64(product) / float64(10*sums) / 3
	perNonce, perSum := float64(kernel)/float64(nonces), float64(yardstick)/float64(sums)
	b.ReportMetric(perNonce, "ns/nonce")
	b.ReportMetric(perNonce/cycle, "cycles/nonce")
	b.ReportMetric(1/cycle, "GHz")
	b.ReportMetric(perSum, "ns/Sum512")
	b.ReportMetric(perSum/perNonce, "×S")
	b.ReportMetric(0, "ns/op")
}

// sumAgain takes crypto/sha3's sum of 64 bytes, times times.
func sumAgain(times int) {
	var m [64]byte
	for range times {
		sum := sha3.Sum512(m[:])
		m[0] ^= sum[0]
	}
}

// multiplyAgain returns the time of so many multiplications, each of which waits for
// the last: three cycles on every CPU that has kernels.
func multiplyAgain(times int) time.Duration {
	x := uint64(times)
	begin := time.Now()
	for range times {
		x *= 0x9e3779b97f4a7c15
	}
	took := time.Since(begin)
	if x == 0 { // never, but the compiler does not know
		return time.Hour
	}
	return took
}
