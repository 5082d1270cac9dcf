package pow

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// A known is a known answer: of the nonces from start to end, winner is the lowest valid
// one. An independent implementation computed it, like those in package kat.
type known struct{ header, threshold, start, end, winner string }

// A test is the self-test of a proof of work's engines: all known answers, and the first
// one again in parts of its range, so that the winner is on each lane of a kernel once.
type test struct {
	known []known
	// stretch is how many consecutive nonces are on the same lane of a kernel in a range of so
	// many for each lane.
	stretch uint64
}

// laned is an engine that evaluates nonces on so many lanes at a time.
type laned interface{ Lanes() int }

// lanesOf returns how many lanes an engine has.
func lanesOf(e engine.Engine) uint64 {
	if l, ok := e.(laned); ok {
		return uint64(l.Lanes())
	}
	return 1
}

// tests take a millisecond at most, cpu-baseline 40.
var tests = map[Proof]test{
	SHA3RSA: {
		// The first one's exponents are short, of which the start of a search and the judgement
		// of its winner take one each.
		known: []known{{
			header:    "0000000000000000000000000000000000000000000000000000000000000000",
			threshold: "13093562431584567480052758787310396608866568184172259157933165472384535185618698219533080369303616628603546736510240284036869026183541572213314110357503",
			start:     "1",
			end:       "4e20",
			winner:    "173",
		}, { // n has 510 bits, and not 512, so numbers are shifted
			header:    "a7d823f7be00dde052cf693eeee26287d9fc3b42247a7654f3dedd262b32f6fd",
			threshold: "2032467924200790702255533364627674472167979573065294038023995136694985570673976736645006256776016385873343687738046191766915105076482351037864420246794",
			start:     "100000000000000000000000000000000000000000000000000000000000000000000000000003039",
			end:       "100000000000000000000000000000000000000000000000000000000000000000000000000003420",
			winner:    "100000000000000000000000000000000000000000000000000000000000000000000000000003309",
		}},
		stretch: 16,
	},
	Poseidon2: {
		known: []known{{
			header:    "f182b7c3117619f4e66f23ee2038d279626449f90c71cb936e9ca48ddd2e2909",
			threshold: "1000",
			start:     "0",
			end:       "493df",
			winner:    "1b8",
		}, { // across a multiple of 2^256, where the nonce's high half changes
			header:    "ae4606654a4205ef8e73f0c9b40d458be715d52441c58126b50e381e9394573c",
			threshold: "3",
			start:     "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe",
			end:       "100000000000000000000000000000000000000000000000000000000000493dd",
			winner:    "10000000000000000000000000000000000000000000000000000000000000002",
		}},
		stretch: 1,
	},
}

// ErrUnavailable says that an engine could not be tested, as it is not available.
var ErrUnavailable = errors.New("the engine is not available")

// SelfTest returns an error if an engine does not pass the test of its proof of work.
func SelfTest(proof Proof, e engine.Engine) error {
	test := tests[proof]
	for i, known := range test.known {
		var header [32]byte
		if _, err := hex.Decode(header[:], []byte(known.header)); err != nil {
			return fmt.Errorf("reading the self-test's header: %w", err)
		}
		threshold, err := u512.ParseDecimal(known.threshold)
		if err != nil {
			return fmt.Errorf("reading the self-test's threshold: %w", err)
		}
		nonces := map[string]u512.Uint{}
		for _, text := range []string{known.start, known.end, known.winner} {
			if nonces[text], err = u512.ParseHex(text); err != nil {
				return fmt.Errorf("reading the self-test's nonces: %w", err)
			}
		}
		job, err := e.Prepare(header, threshold)
		if err != nil {
			return fmt.Errorf("preparing the self-test: %w", err)
		}
		winner := nonces[known.winner]
		ranges := []engine.Range{{Start: nonces[known.start], End: nonces[known.end]}}
		if i == 0 {
			lanes := lanesOf(e)
			for lane := range lanes {
				// In the middle of the lane's stretch.
				start := winner.SubWrap(u512.From64(test.stretch*lane + (test.stretch-1)/2))
				ranges = append(ranges, engine.Range{Start: start, End: start.AddWrap(u512.From64(lanes*test.stretch - 1))})
			}
		}
		for _, r := range ranges {
			want := engine.Outcome{Status: engine.Found, Nonce: winner}
			got := job.Search(r, new(engine.Progress))
			if got.Status == engine.Unavailable {
				return fmt.Errorf("self-test: %w", ErrUnavailable)
			}
			if got != want {
				return fmt.Errorf("self-test: of the nonces %s to %s it must find %s, but its search ended with status %d, nonce %s",
					r.Start.Hex(), r.End.Hex(), winner.Hex(), got.Status, got.Nonce.Hex())
			}
		}
	}
	return nil
}
