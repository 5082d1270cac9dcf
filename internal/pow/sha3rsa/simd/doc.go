// Package simd is the engine cpu-simd: as fast as the silicon allows.
//
// Like cpu-fast it takes one multiplication and one hash for each nonce, but a
// [kernel] evaluates nonces on several lanes at a time, with code for the CPU's
// widest instructions:
//
//	avx512      8 lanes  amd64 with AVX-512F/DQ, BMI2, ADX and MOVBE
//	avx2        4 lanes  amd64 with AVX2, BMI2, ADX and MOVBE
//	sha3        2 lanes  arm64 with the SHA3 instructions, if the CPU has several units for them
//	sha3-mixed  2 lanes  arm64 with the SHA3 instructions, if it has one
//	portable    1 lane   everything else, all of it with the build tag purego
//
// Start with Search in simd.go. It cuts a range into blocks, and a block into a stretch
// of consecutive nonces for each lane. A [walker] evaluates the stretches, and the
// reference rule verifies what passes the kernel's [filter]. The walkers are in portable.go,
// kernels_arm64.go and kernels_amd64.go.
//
// The files in assembly are generated, and the generators in internal/engine/_asm, a
// module of their own, say how they work:
//
//	sha3rsa/keccak    the constants of Keccak-f[1600], for all of them
//	sha3rsa/portable  Keccak in Go
//	sha3rsa/arm64     Keccak for two lanes
//	sha3rsa/amd64     Keccak for four or eight lanes with the multiplications in between;
//	                  multiply.go has the multiplication and its error bound
//	kernel            what the generators for amd64 share: kernel/stream.go interleaves streams
//
// go generate writes them anew, byte for byte the same. docs/performance.md tells
// where the time goes.
package simd
