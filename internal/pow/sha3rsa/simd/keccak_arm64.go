//go:build !purego

package simd

// keccakPair is [keccakLane0] of two messages: messages[i][l] is word i of
// message l. It wants the SHA3 instructions of ARMv8.2, which the caller has to
// have looked for.
//
//go:noescape
func keccakPair(messages *[8][2]uint64) (lane0 [2]uint64)

// keccakPairMixed does the same for CPUs that can start but one SHA3 instruction
// in a cycle, next to others: part of its work is done by plain vector
// instructions.
//
//go:noescape
func keccakPairMixed(messages *[8][2]uint64) (lane0 [2]uint64)
