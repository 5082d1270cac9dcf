package poseidon2

import "encoding/binary"

// Rate is the number of elements that a block of a message is added to: the first
// ones of the state. The others are the sponge's capacity.
const Rate = 8

// HashSize is the length in bytes of a hash.
const HashSize = 64

// digestElements is the number of elements that make half a hash.
const digestElements = HashSize / 2 / 8

// Hash returns the hash of 64 bytes of a message.
func Hash(message []byte) (hash [HashSize]byte) {
	elements := append(toElements(message), 1)
	var s State
	for len(elements) > 0 {
		n := min(Rate, len(elements))
		for i, element := range elements[:n] {
			s[i] = add(s[i], element)
		}
		s.Permute()
		elements = elements[n:]
	}
	s.digest(hash[:HashSize/2])
	s.Permute()
	s.digest(hash[HashSize/2:])
	return hash
}

// toElements turns bytes into elements: with 1 appended and zeros up to a multiple
// of 4, each 4 bytes are an element, little-endian.
func toElements(message []byte) (elements []uint64) {
	padded := append([]byte(nil), message...)
	padded = append(padded, 1)
	for len(padded)%4 != 0 {
		padded = append(padded, 0)
	}
	for i := 0; i < len(padded); i += 4 {
		elements = append(elements, uint64(binary.LittleEndian.Uint32(padded[i:])))
	}
	return elements
}

// digest writes the first four elements, which are canonical, each in 8
// little-endian bytes.
func (s *State) digest(out []byte) {
	for i, element := range s[:digestElements] {
		binary.LittleEndian.PutUint64(out[8*i:], element)
	}
}
