// Package u512 implements unsigned integers of exactly 512 bits.
//
// Nonces, thresholds, distances and residues of the Quantus proof of work all
// live in 0 … 2^512−1. [Uint] is a plain array of eight 64-bit words: it is
// compared with ==, copied by assignment, usable as a map key, and its zero
// value is the number 0. Arithmetic allocates nothing.
//
// What happens at 2^512 is part of an operation's name: [Uint.AddWrap] and
// [Uint.SubWrap] work modulo 2^512, [Uint.AddSat] stops at 2^512−1.
//
// Start with [Uint]; arithmetic is in uint.go, text and bytes are in text.go.
package u512
