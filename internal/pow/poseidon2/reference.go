package poseidon2

import (
	"errors"
	"math/big"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// HeaderSize is the length in bytes of a mining hash, the header that a job is for.
const HeaderSize = 32

// ErrDifficulty says that a difficulty is 0, for which there is no target.
var ErrDifficulty = errors.New("the difficulty must not be 0")

// Reference is the rule for one header and difficulty, computed just as it is
// written. Its methods may be called concurrently.
type Reference struct {
	// Header is h, the mining hash.
	Header [HeaderSize]byte
	// Target is what the hash of a valid nonce is less than.
	Target u512.Uint
}

// NewReference returns the rule, or [ErrDifficulty].
func NewReference(header [HeaderSize]byte, difficulty u512.Uint) (Reference, error) {
	if difficulty.IsZero() {
		return Reference{}, ErrDifficulty
	}
	return Reference{header, divideMax(difficulty)}, nil
}

// Hash returns hash(h, s): that of the header and the big-endian nonce.
func (r Reference) Hash(nonce u512.Uint) u512.Uint {
	b := nonce.Bytes()
	return u512.FromBytes(Hash(append(r.Header[:], b[:]...)))
}

// Verify returns a nonce's hash and whether the nonce is valid: its hash below the
// target.
func (r Reference) Verify(nonce u512.Uint) (hash u512.Uint, ok bool) {
	hash = r.Hash(nonce)
	return hash, hash.Cmp(r.Target) < 0
}

// Achieved returns the difficulty that a hash achieves: ⌊(2^512−1) / hash⌋, and
// 2^512−1 for hash 0. A nonce whose hash achieves less than D is not valid at D.
func Achieved(hash u512.Uint) u512.Uint {
	if hash.IsZero() {
		return u512.Max()
	}
	return divideMax(hash)
}

// divideMax returns ⌊(2^512−1) / d⌋ for d > 0.
func divideMax(d u512.Uint) u512.Uint {
	quotient, ok := u512.FromBig(new(big.Int).Quo(u512.Max().Big(), d.Big()))
	if !ok {
		panic("poseidon2: a quotient outgrew 512 bits")
	}
	return quotient
}
