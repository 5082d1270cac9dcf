package enginetest

import (
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Rule is a proof of work: what the suite must know of it to judge its engines.
// [SHA3RSA] and [Poseidon2] are those that there are.
type Rule interface {
	// Judge returns the plain reference for a header.
	Judge(header [32]byte) Judge
	// Lowest is the lowest nonce that may be valid: 1 where the rule excludes 0.
	Lowest() u512.Uint

	// Always and Never are thresholds that every nonce meets, and that none does
	// which anybody will ever see.
	Always() u512.Uint
	Never() u512.Uint
	// OneIn returns a threshold that one nonce in 2^bits meets.
	OneIn(bits uint) u512.Uint
	// Around returns the hardest threshold that a distance meets, and the next harder
	// one.
	Around(distance u512.Uint) (met, missed u512.Uint)
	// Senseless are the thresholds that are errors.
	Senseless() []u512.Uint

	// searches and nonces are the known answers.
	searches(t testing.TB) []kat.Search
	nonces(t testing.TB) []nonce
	// shapes are the searches that an engine of this rule in particular could get
	// wrong.
	shapes() map[string]search
	// draw may change the header of a random search, and returns where, in the range
	// of a few nonces that it will start near, engines of this rule change their pace.
	draw(r *rand.Rand, header *[32]byte) (edge u512.Uint)
}

// Judge is the plain reference for one header.
type Judge interface {
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
func distance(judge Judge, rule Rule, nonce u512.Uint) u512.Uint {
	distance, _ := judge.Verify(nonce, rule.Always())
	return distance
}
