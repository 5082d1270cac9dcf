package simd

//go:generate go -C ../../../engine/_asm run ./sha3rsa/portable -out ../../pow/sha3rsa/simd/keccak_lane0.go
//go:generate go -C ../../../engine/_asm run ./sha3rsa/arm64 -out ../../pow/sha3rsa/simd/keccak_arm64.s
//go:generate go -C ../../../engine/_asm run ./sha3rsa/amd64 -dir ../../pow/sha3rsa/simd

// roundConstants is ι: what is xored to lane 0 at the end of each round, after
// FIPS 202, section 3.2.5. The assembly reads it, too.
var roundConstants = [24]uint64{
	0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
	0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
	0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
	0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
	0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
	0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
}
