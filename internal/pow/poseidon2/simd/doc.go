// Package simd is the engine cpu-simd for Poseidon2: as fast as the silicon allows.
//
// Like cpu-fast it shares the midstate among nonces and takes two permutations for
// each, but a [kernel] evaluates nonces on several lanes at a time, with code for the
// CPU's widest instructions:
//
//	avx512      2 × (8 + 2) lanes  amd64 with AVX-512F/BW/DQ/IFMA and BMI2
//	avx512wide  2 × 8 lanes        the same
//	avxifma     2 × (4 + 1) lanes  amd64 with AVX-IFMA, AVX2 and BMI2
//	avx2        2 × (4 + 2) lanes  amd64 with AVX2 and BMI2
//	umulh       2 lanes            arm64
//	portable    1 lane             everything else, all of it with the build tag purego
//
// The lanes behind the + are in general registers, as are those of umulh. Which kernel is taken is
// measured.
//
// Start with Search in simd.go. It cuts a range into blocks, a [walker] evaluates them,
// and the reference rule verifies what survives. The walkers are in portable.go,
// kernels_amd64.go and kernels_arm64.go.
//
// The files in assembly are generated, and the generator says how they work: it is
// poseidon2/amd64 in internal/engine/_asm, a module of its own. There walk.go has the
// frame of them all, avx512.go, avxifma.go and avx2.go the parts of each, scalar.go those of the
// lanes in general registers, field512.go and field2.go the arithmetic, and why nothing
// in it overflows. That for arm64 is in poseidon2/arm64, and its permutation.go and field.go say the
// same. go generate writes all files anew, byte for byte the same.
// docs/performance.md tells where the time goes.
package simd

//go:generate go -C ../../../engine/_asm run ./poseidon2/amd64 -dir ../../pow/poseidon2/simd
//go:generate go -C ../../../engine/_asm run ./poseidon2/arm64 -out ../../pow/poseidon2/simd/umulh_arm64.s
