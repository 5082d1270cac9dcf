package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/sha3rsa/keccak"
)

var rotations = keccak.Rotations()

// roundConstants is the Go variable of that name.
var roundConstants = operand.Mem{Symbol: operand.Symbol{Name: "·roundConstants"}, Base: reg.StaticBase}

// A placement says where the state's lanes are: in which register, or in which
// slot of memory, lane (x, y) is.
type placement [25]int

// straight is the placement in the order of the message.
func straight() (p placement) {
	for i := range p {
		p[i] = i
	}
	return p
}

// next returns where the lanes are after a round that works in place: row y of
// the new state takes the places of the five lanes that it is made of, in an
// order that a and b choose: lane (x, y) takes that of the source of
// (a·x + b·y, y).
//
// As (x, y) then comes to lie where the lane (a·x + (b+3)·y, a·x + b·y) was, the
// placement after k rounds is a matter of the k-th power of a 2×2 matrix modulo
// 5. One of order k makes a loop of k rounds.
func (p placement) next(a, b int) (q placement) {
	for y := range 5 {
		for x := range 5 {
			q[x+5*y] = p[keccak.Source((a*x+b*y)%5, y)]
		}
	}
	return q
}
