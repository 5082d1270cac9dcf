package all

import (
	"encoding/hex"
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// The known answer of the self-test: of these nonces, winner is the lowest that
// is valid. Like those in package kat, an independent implementation computed it.
const (
	testHeader    = "a7d823f7be00dde052cf693eeee26287d9fc3b42247a7654f3dedd262b32f6fd"
	testThreshold = "2032467924200790702255533364627674472167979573065294038023995136694985570673976736645006256776016385873343687738046191766915105076482351037864420246794"
	testStart     = "100000000000000000000000000000000000000000000000000000000000000000000000000003039"
	testEnd       = "100000000000000000000000000000000000000000000000000000000000000000000000000003420"
	testWinner    = "100000000000000000000000000000000000000000000000000000000000000000000000000003309"
)

// selfTest returns an error if the engine does not find the known winner: in
// the whole range, and in parts of it that have the winner on each lane of a
// kernel in turn. It takes a few milliseconds, cpu-baseline 0.1 s.
func selfTest(e engine.Engine) error {
	var header [32]byte
	if _, err := hex.Decode(header[:], []byte(testHeader)); err != nil {
		return fmt.Errorf("reading the self-test's header: %w", err)
	}
	threshold, err := u512.ParseDecimal(testThreshold)
	if err != nil {
		return fmt.Errorf("reading the self-test's threshold: %w", err)
	}
	nonces := map[string]u512.Uint{}
	for _, text := range []string{testStart, testEnd, testWinner} {
		if nonces[text], err = u512.ParseHex(text); err != nil {
			return fmt.Errorf("reading the self-test's nonces: %w", err)
		}
	}
	job, err := e.Prepare(header, threshold)
	if err != nil {
		return fmt.Errorf("preparing the self-test: %w", err)
	}
	winner := nonces[testWinner]
	ranges := []engine.Range{{Start: nonces[testStart], End: nonces[testEnd]}}
	// Kernels have at most 8 lanes, and in ranges so short a lane has 16 nonces.
	for lane := range uint64(8) {
		start := winner.SubWrap(u512.From64(16*lane + 7))
		ranges = append(ranges, engine.Range{Start: start, End: start.AddWrap(u512.From64(8*16 - 1))})
	}
	for _, r := range ranges {
		want := engine.Outcome{Status: engine.Found, Nonce: winner}
		if got := job.Search(r, new(engine.Progress)); got != want {
			return fmt.Errorf("self-test: of the nonces %s to %s it must find %s, but its search ended with status %d, nonce %s",
				r.Start.Hex(), r.End.Hex(), winner.Hex(), got.Status, got.Nonce.Hex())
		}
	}
	return nil
}
