package enginetest

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// oracle searches r the obvious way: every nonce by itself, by the reference.
// It is for short ranges.
func oracle(ref Verifier, rule Rule, r engine.Range, threshold u512.Uint) result {
	var evaluated uint64
	for nonce := r.Start; nonce.Cmp(r.End) <= 0; nonce = nonce.AddWrap(u512.From64(1)) {
		if nonce.Cmp(rule.Lowest()) >= 0 {
			evaluated++
			if _, ok := ref.Verify(nonce, threshold); ok {
				return found(nonce, evaluated)
			}
		}
		if nonce == u512.Max() {
			break
		}
	}
	return exhausted(evaluated)
}

// maxSize bounds the ranges that are drawn: it is what the oracle takes 2 ms for.
const maxSize = 24

// draw makes a search from random choices: ranges of 1 to maxSize nonces, from
// 0, up to 2^512−1, across an edge of the rule's, across carries between
// words, anywhere; thresholds of every difficulty that such a range can meet,
// and those that exactly one nonce of it meets or misses by one.
func draw(r *rand.Rand, rule Rule) (s search) {
	for i := range 4 {
		binary.BigEndian.PutUint64(s.header[8*i:], r.Uint64())
	}
	edge := rule.draw(r, &s.header)
	size := u512.From64(1 + r.Uint64N(maxSize))
	if r.IntN(4) == 0 {
		size = u512.From64(1)
	}
	span := size.SubWrap(u512.From64(1))
	switch r.IntN(6) {
	case 0: // from 0
	case 1: // up to the end
		s.r.Start = u512.Max().SubWrap(span)
	case 2: // across or near the edge
		s.r.Start = edge.SubWrap(u512.From64(r.Uint64N(2 * maxSize)))
	case 3: // across a power of two
		s.r.Start = u512.From64(1).Lsh(uint(5 + r.IntN(507))).SubWrap(u512.From64(r.Uint64N(maxSize)))
	case 4: // small
		s.r.Start = u512.From64(r.Uint64N(1000))
	default: // anywhere
		for i := range s.r.Start {
			s.r.Start[i] = r.Uint64()
		}
		s.r.Start = s.r.Start.Rsh(uint(r.IntN(u512.Bits)))
	}
	s.r.End = s.r.Start.AddSat(span)

	ref := rule.Reference(s.header)
	one := s.r.Start.AddSat(u512.From64(r.Uint64N(maxSize))) // of the range, or a little above
	switch r.IntN(8) {
	case 0:
		s.threshold = rule.Never()
	case 1:
		s.threshold, _ = rule.Around(distance(ref, rule, one))
	case 2:
		_, s.threshold = rule.Around(distance(ref, rule, one))
	default:
		s.threshold = rule.OneIn(uint(r.IntN(8)))
	}
	s.want = oracle(ref, rule, s.r, s.threshold)
	return s
}

// randomSearches is the number of random searches that every engine is compared
// with the oracle on. They are the same for all engines, so where all agree with
// the oracle, they agree with each other.
const randomSearches = 10_000

// randomized runs the random searches, which are the same each time. [Fuzz] looks for
// others.
func randomized(t *testing.T, e subject) {
	const parts = 8
	for part := range uint64(parts) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(2026, part))
			winners := 0
			for range randomSearches / parts {
				s := draw(r, e)
				s.check(t, e)
				if s.want.Status == engine.Found {
					winners++
				}
				if t.Failed() {
					return
				}
			}
			if winners == 0 || winners == randomSearches/parts {
				t.Errorf("%d of the searches found something: too few or too many to show anything", winners)
			}
		})
	}
}

// Fuzz compares searches of the fuzzer's choosing with the oracle.
func Fuzz(f *testing.F, rule Rule, of engine.Engine, block uint64) {
	e := subject{rule, of, block}
	f.Add(uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64) {
		draw(rand.New(rand.NewPCG(seed1, seed2)), e).check(t, e)
	})
}
