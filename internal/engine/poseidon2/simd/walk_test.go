package simd

import (
	"crypto/sha3"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// BenchmarkWalk measures the kernels against S, the rate of crypto/sha3.Sum512:
// the best of many short turns of each, as other load only slows them.
func BenchmarkWalk(b *testing.B) {
	for _, k := range kernels() {
		b.Run(k.name, func(b *testing.B) {
			w := k.newWalker(poseidon2.Reference{Header: [32]byte{1}}) // no hash is valid
			w.set(u512.From64(1))
			const steps, sums = 8, 64
			kernel, yardstick, product := time.Hour, time.Hour, time.Hour
			for b.Loop() {
				begin := time.Now()
				w.walk(steps)
				between := time.Now()
				sumAgain(sums)
				kernel = min(kernel, between.Sub(begin))
				yardstick = min(yardstick, time.Since(between))
				product = min(product, multiplyAgain(10*sums))
			}
			cycle := float64(product) / (10 * sums) / 3
			perNonce, perSum := float64(kernel)/float64(steps*k.lanes), float64(yardstick)/sums
			b.ReportMetric(perNonce, "ns/nonce")
			b.ReportMetric(perNonce/cycle, "cycles/nonce")
			b.ReportMetric(1/cycle, "GHz")
			b.ReportMetric(perSum, "ns/Sum512")
			b.ReportMetric(perSum/perNonce, "×S")
			b.ReportMetric(0, "ns/op")
		})
	}
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
// the last: three cycles on every CPU that has kernels here.
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
