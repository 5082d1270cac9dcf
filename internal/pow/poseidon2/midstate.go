package poseidon2

import (
	"math/bits"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Midstate is the sponge's state after the first two blocks, the header and the
// nonce's high 32 bytes, canonical. The 2^256 nonces that differ in their low 32
// bytes alone share it, and two permutations are left for each.
type Midstate State

// NewMidstate absorbs a header and the high half of a nonce. It does so in Montgomery form:
// each search begins with it.
func NewMidstate(header [HeaderSize]byte, nonce u512.Uint) (m Midstate) {
	var s, high scalar
	for i, x := range toElements(header[:])[:Rate] { // without the padding
		s[i] = x * epsilon
	}
	for i, x := range elements(nonce[u512.Words/2:]) {
		high[i] = x * epsilon
	}
	s.permute((*[Width]uint64)(&high))
	s.permute(&noBlock)
	for i, x := range s {
		m[i] = fromMontgomery(x)
	}
	return m
}

// elements turns half a nonce, in ascending words, into a block: its big-endian bytes,
// four to an element, which are little-endian. All elements of a block are below 2^32, so
// epsilon times as much is below P: it is their Montgomery form.
func elements(half []uint64) (block [Rate]uint64) {
	for i, word := range half {
		last := Rate - 1 - 2*i
		block[last] = uint64(bits.ReverseBytes32(uint32(word)))
		block[last-1] = uint64(bits.ReverseBytes32(uint32(word >> 32)))
	}
	return block
}

// Low returns the third block, the low 32 bytes of a nonce, as elements below 2^32.
// Of nonces that follow each other only the last element differs, up to a multiple
// of 2^32.
func Low(nonce u512.Uint) [Rate]uint64 { return elements(nonce[:u512.Words/2]) }

// FirstLayer returns what the third permutation begins with: the state behind its first external
// layer, with the first round's constants, canonical. As the layer is linear, what changes with
// a block's elements can be added to it.
func (m *Midstate) FirstLayer(block [Rate]uint64) State {
	s := State(*m)
	for i, x := range block {
		s[i] = add(s[i], x)
	}
	s.externalLayer()
	for i, constant := range constants.Initial[0] {
		s[i] = add(s[i], constant)
	}
	return s
}

// Window is a midstate, prepared for the evaluation of many nonces that share it. It
// is read-only after [Midstate.Window].
type Window struct{ state scalar }

// Window prepares a midstate.
func (m *Midstate) Window() *Window {
	w := new(Window)
	for i, x := range m {
		w.state[i] = toMontgomery(x)
	}
	return w
}

// blocks of a message, in Montgomery form.
var (
	// lastBlock has the byte that ends the message and the element that ends the
	// elements.
	lastBlock = [Width]uint64{epsilon, epsilon}
	noBlock   [Width]uint64
)

// First returns the top 64 bits of the hash of a nonce that shares the midstate. The
// nonce is valid if they are less than those of the target, and not if they are more.
func (w *Window) First(nonce u512.Uint) uint64 {
	s := w.state
	for i, x := range Low(nonce) {
		s[i] = montAddTo(x*epsilon, s[i]) // s[i] is canonical
	}
	s.permute(&lastBlock)
	s.permute(&noBlock)
	return bits.ReverseBytes64(fromMontgomery(s[0]))
}
