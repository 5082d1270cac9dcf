//go:build amd64 && !purego

package simd

import (
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// maxLanes is the number of lanes of the widest kernel.
const maxLanes = 8

// block is the memory that a kernel in assembly works on: the state of its lanes, the
// constants of the job, and scratch space. The generator in
// internal/engine/_asm/sha3rsa/amd64 has the same layout; TestLayout compares the two.
//
// Its vectors must not straddle cache lines, let alone pages: with a state across two
// pages the kernel for AVX2 takes half as long again. So a block is an allocation of its
// own and holds no pointer: Go aligns such objects to 64 bytes. TestAligned checks that,
// as no other test would notice: only speed depends on it.
type block struct {
	// y holds the residues of the lanes' next nonces, not scaled.
	y [maxLanes]u512.Uint
	// message holds the same residues as messages for Keccak: message[i][l] is word i of
	// the message of lane l.
	message [8][maxLanes]uint64
	// fractions are those of the quotients by which y was reduced last.
	fractions [maxLanes]uint64

	mu         [5]uint64
	m          [4]uint64
	negN       u512.Uint // 2^512 − n
	shiftLeft  uint64    // 1 + s
	shiftRight uint64    // 63 − s
	limit      uint64    // the smallest fraction that flags a lane
	target     uint64    // T's first 8 bytes as a Keccak lane
	mask       uint64    // the bits of the distance's first 8 bytes that must be 0

	// survivors and flagged are the lanes, as bits, for which the kernel returned.
	survivors, flagged uint64

	quotient [4]uint64
	_        [4]uint64     // puts the state at a multiple of 64 bytes
	state    [25][4]uint64 // of kernels that cannot keep it in registers
}

// maxShift bounds the shift s of the jobs that kernels take, so that the slack
// (see internal/engine/_asm/sha3rsa/amd64/multiply.go) is a small part of the
// fraction. Of 2^20 headers one has so short an n.
const maxShift = 20

func newBlock(c *sha3rsa.JobContext) *block {
	s := uint64(c.Step.Shift)
	filter := newFilter(c)
	b := &block{
		mu:         c.Step.MU,
		m:          c.Step.M,
		shiftLeft:  1 + s,
		shiftRight: 63 - s,
		limit:      -(uint64(12) << (1 + s)),
		target:     filter.target ^ roundConstants[23], // which the kernels leave out
		mask:       filter.mask,
	}
	n := negative(c.Step.NegN).Rsh(c.Step.Shift)
	b.negN = negative(n)
	return b
}

// negative returns 2^512 − x.
func negative(x u512.Uint) u512.Uint { return u512.Uint{}.SubWrap(x) }

// set gives a lane the residue of its next nonce.
func (b *block) set(lane int, y u512.Uint) {
	b.y[lane] = y
	for i := range b.message {
		b.message[i][lane] = bits.ReverseBytes64(y[u512.Words-1-i])
	}
}

// reduceFlagged reduces the residues of the flagged lanes. Each is canonical, or too large
// by n, modulo 2^512. See internal/engine/_asm/sha3rsa/amd64/multiply.go.
func (b *block) reduceFlagged() {
	for lanes := b.flagged; lanes != 0; lanes &= lanes - 1 {
		lane := bits.TrailingZeros64(lanes)
		if reduced := b.y[lane].AddWrap(b.negN); reduced[u512.Words-1]>>63 == 0 {
			b.set(lane, reduced)
		}
	}
}
