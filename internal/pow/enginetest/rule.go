package enginetest

import (
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Rule is a proof of work: what the suite must know of it to test its engines.
// [SHA3RSA] and [Poseidon2] are those that there are.
type Rule interface {
	// Reference returns the plain rule for a header, without short cuts.
	Reference(header [32]byte) Verifier
	// Lowest is the lowest nonce that may be valid: 1 where the rule excludes 0.
	Lowest() u512.Uint

	// Always is a threshold that every nonce meets, Never one that practically none does.
	Always() u512.Uint
	Never() u512.Uint
	// OneIn returns a threshold that one nonce in 2^bits meets.
	OneIn(bits uint) u512.Uint
	// Around returns the hardest threshold that a distance meets, and the next harder
	// one.
	Around(distance u512.Uint) (met, missed u512.Uint)
	// Invalid are the thresholds for which an engine must return an error.
	Invalid() []u512.Uint

	// searches and nonces are the known answers.
	searches(t testing.TB) []kat.Search
	nonces(t testing.TB) []nonce
	// shapes are searches that are difficult under this rule in particular.
	shapes() map[string]search
	// draw draws an edge for a random search: a nonce at which engines of this rule have
	// a case of their own. The search begins near it. draw may change the header.
	draw(r *rand.Rand, header *[32]byte) (edge u512.Uint)
}

// Verifier is the plain rule for one header.
type Verifier interface {
	// Verify returns a nonce's distance, and whether the nonce is valid.
	Verify(nonce, threshold u512.Uint) (distance u512.Uint, ok bool)
}

// nonce is a known answer about a nonce that may be valid.
type nonce struct {
	name            string
	header          [32]byte
	nonce, distance u512.Uint
}

// distance returns a nonce's distance.
func distance(ref Verifier, rule Rule, nonce u512.Uint) u512.Uint {
	distance, _ := ref.Verify(nonce, rule.Always())
	return distance
}
