// Package poseidon2 is the consensus rule of the Quantus proof of work, Poseidon2
// generation, and nothing else: it knows no jobs, ranges or threads.
//
// For a header h (32 bytes) the hash of a nonce s is the hash of 64 bytes of
// h ‖ be64(s), read as a big-endian integer of 512 bits. With a difficulty D > 0,
// the nonce is valid when
//
//	hash(h, s) < ⌊(2^512 − 1) / D⌋
//
// Any nonce may be, 0 included. The hash is a sponge over the Poseidon2
// permutation of 12 elements of the Goldilocks field, the integers modulo
// p = 2^64 − 2^32 + 1. (Grassi, Khovratovich, Schofnegger, “Poseidon2: A Faster
// Version of the Poseidon Hash Function”, 2023.)
//
// The rule is written down twice. [Reference] (reference.go, on hash.go and
// permutation.go) is the plain one, without short cuts: read it first. Everything
// faster is compared with it. [Midstate] (midstate.go) is what 2^256 consecutive
// nonces share: of the five permutations that a hash takes, it leaves two for the
// top 64 bits, which nearly always show that a nonce is not valid. [Window] takes
// them, as fast as plain Go can (scalar.go, montgomery.go):
//
//	m := NewMidstate(header, nonce) // of all nonces with this high half
//	w := m.Window()
//	if w.First(nonce) <= target[7] { … } // have the Reference verify it
package poseidon2
