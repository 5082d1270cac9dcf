// Package keccak is what all generators have to know of Keccak-f[1600], after
// FIPS 202, section 3. Lane (x, y) has index x+5y.
package keccak

// Rounds is the number of rounds.
const Rounds = 24

// MessageLanes is the number of lanes that a message of 64 bytes fills.
const MessageLanes = 8

// Padding is the lane after the message: the suffix 01 of SHA-3, the first bit
// of the padding, and its last, which falls into the same lane as the rate of
// SHA3-512 is 72 bytes. All lanes behind it are 0.
const Padding = 0x8000000000000006

// Rotations returns ρ: by how much θ's result is rotated to the left, by lane.
func Rotations() (r [25]int) {
	x, y := 1, 0
	for t := range 24 {
		r[x+5*y] = (t + 1) * (t + 2) / 2 % 64
		x, y = y, (2*x+3*y)%5
	}
	return r
}

// Source returns the lane that π moves to lane (x, y). The five sources of a row
// come from five rows and five columns: the one for column x from row x.
func Source(x, y int) int {
	return (x+3*y)%5 + 5*x
}
