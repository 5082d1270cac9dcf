package enginetest

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Poseidon2 is the proof of work of package poseidon2. Its threshold is the
// difficulty, and a nonce's distance is its hash.
type Poseidon2 struct{}

// Reference implements [Rule].
func (Poseidon2) Reference(header [32]byte) Verifier { return poseidon2Verifier(header) }

type poseidon2Verifier [32]byte

// Verify implements [Verifier].
func (v poseidon2Verifier) Verify(nonce, difficulty u512.Uint) (hash u512.Uint, ok bool) {
	r, err := poseidon2.NewReference(v, difficulty)
	if err != nil {
		panic(err)
	}
	return r.Verify(nonce)
}

// Lowest implements [Rule].
func (Poseidon2) Lowest() u512.Uint { return u512.Uint{} }

// Always implements [Rule].
func (Poseidon2) Always() u512.Uint { return u512.From64(1) }

// Never implements [Rule].
func (Poseidon2) Never() u512.Uint { return u512.Max() }

// OneIn implements [Rule].
func (Poseidon2) OneIn(bits uint) u512.Uint { return u512.From64(1).Lsh(bits) }

// Around implements [Rule]: a hash below ⌊(2^512−1)/D⌋ is one that D·(hash + 1) does
// not take beyond 2^512−1.
func (Poseidon2) Around(hash u512.Uint) (met, missed u512.Uint) {
	above := hash.AddWrap(u512.From64(1))
	met, _ = u512.FromBig(new(big.Int).Quo(u512.Max().Big(), above.Big()))
	return met, met.AddWrap(u512.From64(1))
}

// Invalid implements [Rule].
func (Poseidon2) Invalid() []u512.Uint { return []u512.Uint{{}} }

func (Poseidon2) searches(t testing.TB) []kat.Search { return kat.ReadPoseidon2(t).Searches }

func (Poseidon2) nonces(t testing.TB) (nonces []nonce) {
	for _, c := range kat.ReadPoseidon2(t).Hashes {
		nonces = append(nonces, nonce{c.Name, c.Header, c.Nonce, c.Hash})
	}
	return nonces
}

// shapes are ranges across multiples of 2^256, where the nonce's high half changes,
// and of 2^32, where more than one element of the low half does.
func (e Poseidon2) shapes() map[string]search {
	none, all := e.Never(), e.Always()
	header := [32]byte{0: 0xff, 31: 7}
	last := engine.Range{Start: fromEnd(4999), End: u512.Max()}
	shapes := map[string]search{
		"nonce 0 alone, valid":     {header, all, engine.Range{}, found(u512.Uint{}, 1)},
		"nonce 0 alone, not valid": {header, none, engine.Range{}, exhausted(1)},
		"up to the end":            {header, none, last, exhausted(5000)},
	}
	ref := e.Reference(header)
	for name, edge := range map[string]u512.Uint{
		"2^256":           u512.From64(1).Lsh(256),
		"2^511 + 2^256":   u512.From64(1).Lsh(511).AddWrap(u512.From64(1).Lsh(256)),
		"the last 2^256":  u512.Max().SubWrap(u512.Max().Rsh(256)),
		"2^32":            u512.From64(1).Lsh(32),
		"2^256 − 2^32":    u512.From64(1).Lsh(256).SubWrap(u512.From64(1).Lsh(32)),
		"2^300 + 5·2^64":  u512.From64(1).Lsh(300).AddWrap(u512.From64(5).Lsh(64)),
		"7·2^192":         u512.From64(7).Lsh(192),
		"2^64, from afar": u512.From64(1).Lsh(64),
	} {
		shapes["across "+name] = search{header, none, around(edge, 20), exhausted(41)}
		shapes["far across "+name] = search{header, none, around(edge, 3000), exhausted(6001)}
		up := engine.Range{Start: edge.SubWrap(u512.From64(9)), End: edge.SubWrap(u512.From64(1))}
		shapes["up to "+name] = search{header, none, up, exhausted(9)}
		shapes["from "+name] = search{header, all, engine.Range{Start: edge, End: u512.Max()}, found(edge, 1)}
		// With the winner behind the edge.
		beyond := around(edge, 20)
		threshold, _ := e.Around(lowest(ref, e, engine.Range{Start: edge, End: beyond.End}))
		shapes["a winner across "+name] = search{header, threshold, beyond, oracle(ref, e, beyond, threshold)}
	}
	return shapes
}

// lowest returns the lowest distance of a range.
func lowest(ref Verifier, rule Rule, r engine.Range) u512.Uint {
	best := u512.Max()
	for nonce := r.Start; nonce.Cmp(r.End) <= 0; nonce = nonce.AddWrap(u512.From64(1)) {
		if d := distance(ref, rule, nonce); d.Cmp(best) < 0 {
			best = d
		}
	}
	return best
}

// draw returns a multiple of 2^256, or of a lower power of two.
func (Poseidon2) draw(r *rand.Rand, _ *[32]byte) (edge u512.Uint) {
	for i := range edge {
		edge[i] = r.Uint64()
	}
	bits := [...]uint{32, 64, 256, 256}[r.IntN(4)]
	return edge.Rsh(bits).Lsh(bits)
}
