package enginetest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// SHA3RSA is the proof of work of package sha3rsa. Its threshold is the largest distance
// of a valid nonce.
type SHA3RSA struct{}

// Reference implements [Rule].
func (SHA3RSA) Reference(header [32]byte) Verifier { return sha3rsa.NewReference(header) }

// Lowest implements [Rule].
func (SHA3RSA) Lowest() u512.Uint { return u512.From64(1) }

// Always implements [Rule].
func (SHA3RSA) Always() u512.Uint { return u512.Max() }

// Never implements [Rule].
func (SHA3RSA) Never() u512.Uint { return u512.Uint{} }

// OneIn implements [Rule].
func (SHA3RSA) OneIn(bits uint) u512.Uint { return u512.Max().Rsh(bits) }

// Around implements [Rule].
func (SHA3RSA) Around(distance u512.Uint) (met, missed u512.Uint) {
	return distance, distance.SubWrap(u512.From64(1))
}

// Invalid implements [Rule].
func (SHA3RSA) Invalid() []u512.Uint { return nil }

func (SHA3RSA) searches(t testing.TB) []kat.Search { return kat.Searches(t) }

func (SHA3RSA) nonces(t testing.TB) (nonces []nonce) {
	for _, c := range kat.Headers(t) {
		for _, n := range c.Nonces {
			nonces = append(nonces, nonce{c.Name + ": " + n.Label, c.Header, n.Nonce, n.Distance})
		}
	}
	return nonces
}

// shapes are ranges with nonce 0, and with the saturated exponent, which all nonces
// share from some nonce on.
func (e SHA3RSA) shapes() map[string]search {
	none, all := e.Never(), e.Always()
	h100 := [32]byte{31: 100} // saturates at 2^512−1−100
	large := [32]byte{0: 0xff, 31: 7}
	return map[string]search{
		"nonce 0 alone":                   {large, all, engine.Range{}, exhausted(0)},
		"up to the first saturated":       {h100, none, engine.Range{Start: fromEnd(120), End: fromEnd(100)}, exhausted(21)},
		"across it":                       {h100, none, engine.Range{Start: fromEnd(120), End: fromEnd(10)}, exhausted(111)},
		"across it to the end":            {h100, none, engine.Range{Start: fromEnd(120), End: fromEnd(0)}, exhausted(121)},
		"saturated throughout":            {h100, none, engine.Range{Start: fromEnd(90), End: fromEnd(80)}, exhausted(11)},
		"saturated throughout, valid":     {h100, all, engine.Range{Start: fromEnd(90), End: fromEnd(80)}, found(fromEnd(90), 1)},
		"saturated tail longer than 2^64": {large, none, engine.Range{Start: u512.Max().SubWrap(u512.From64(1).Lsh(200)), End: u512.Max()}, exhausted(math.MaxUint64)},
		"never saturated, to the end":     {[32]byte{}, none, engine.Range{Start: fromEnd(5), End: fromEnd(0)}, exhausted(6)},
	}
}

// draw returns the first saturated nonce. It gives every fourth header a small int(h), so
// that few nonces are saturated.
func (SHA3RSA) draw(r *rand.Rand, header *[32]byte) (edge u512.Uint) {
	if r.IntN(4) == 0 {
		*header = [32]byte{31: byte(r.IntN(2 * maxSize))}
	}
	ref := sha3rsa.Reference{Header: *header}
	_, edge = ref.Distinct(u512.Uint{}, u512.Max())
	return edge
}
