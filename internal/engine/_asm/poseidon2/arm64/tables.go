package main

import (
	"bytes"
	"fmt"
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// The layout of the table of constants, in words, in the order in which a permutation takes them.
const (
	width = poseidon2.Width
	// The external rounds in front of the internal ones have width words each.
	rowsBefore = poseidon2.ExternalRounds
	// Then come the diagonal, and a word for each internal round.
	diagonalAt = rowsBefore * width
	internalAt = diagonalAt + width
	// There follow all other external rounds but one, and the two layers between the permutations.
	rowsAfter = internalAt + poseidon2.InternalRounds
)

// The most that the layers make of elements below 2^64, in multiples of that.
const (
	mostOfLayer   = 2*(2+3+1+1) + 2*(2+3+1+1)
	mostOfBetween = mostOfLayer * mostOfLayer
)

// table returns the constants.
//
// What a round adds to its elements is linear up to the S-boxes of the round before. So those of
// external rounds are added where the layer before ends, and those of internal rounds to the S-box
// before. See [poseidon2.Folded].
func table() (words []uint64) {
	rule, folded := poseidon2.NewConstants(), poseidon2.NewFolded()
	row := func(round int) {
		for _, constant := range poseidon2.Mix(folded.External[round]) {
			words = append(words, ending(montgomery(constant), mostOfLayer))
		}
	}
	for round := range poseidon2.ExternalRounds {
		row(round)
	}
	for _, factor := range rule.Diagonal {
		words = append(words, factorOf(factor))
	}
	for _, constant := range folded.Internal {
		words = append(words, montgomery(montgomery(constant))) // times 2^64, as products are
	}
	for round := range poseidon2.ExternalRounds - 1 {
		row(poseidon2.ExternalRounds + round)
	}
	// The fourth block is added between the layers, and the first round's constants behind them.
	block := poseidon2.Midstate{1, 1}
	for _, constant := range block.FirstLayer([poseidon2.Rate]uint64{}) {
		words = append(words, ending(montgomery(constant), mostOfBetween))
	}
	return words
}

// factorOf returns an element of the diagonal in Montgomery form. An element times that, and the
// sum of all, as products are, must be small enough to be reduced, see internalRound.
func factorOf(element uint64) uint64 {
	factor := montgomery(element)
	high, _ := bits.Mul64(factor, poseidon2.P-1)
	if high > mostHigh-width*epsilon-1 {
		panic(fmt.Sprintf("%#x is too large a factor", factor))
	}
	return factor
}

// montgomery returns the form of an element, canonical.
func montgomery(x uint64) uint64 {
	high, low := bits.Mul64(x, epsilon)
	return bits.Rem64(high, low, poseidon2.P)
}

// data writes words as a read-only symbol.
func data(text *bytes.Buffer, name string, words []uint64) {
	for i, word := range words {
		fmt.Fprintf(text, "DATA %s<>+%d(SB)/8, $%#016x\n", name, 8*i, word)
	}
	fmt.Fprintf(text, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", name, 8*len(words))
}
