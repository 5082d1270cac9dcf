package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// TestDoctor looks at a node that is there, and at one that has another certificate than
// was thought. Neither is shown the token.
func TestDoctor(t *testing.T) {
	node, _, known := playNode(t)
	for _, c := range []struct {
		pin  []pinFlag
		want string
	}{
		{nil, "ok     node "},
		{[]pinFlag{pinFlag(wire.Fingerprint{1})}, "wrong  node "},
	} {
		doctor := doctorCmd{Node: known.Node, trustFlags: trustFlags{AuthTokenFile: known.AuthTokenFile, TLSCertSHA256: c.pin}}
		if c.pin == nil {
			doctor.TLSCertSHA256File = known.TLSCertSHA256File
		}
		var out bytes.Buffer
		err := doctor.Run(t.Context(), streams{out: &out})
		lines := strings.Split(out.String(), "\n")
		last := lines[len(lines)-2]
		if c.pin != nil {
			last = lines[len(lines)-3] // in front of the advice
		}
		if (err == nil) != (c.pin == nil) || !strings.HasPrefix(last, c.want) {
			t.Errorf("%v:\n%s", err, &out)
		}
	}
	if tally := node.Tally(); tally.Admitted != 0 {
		t.Errorf("the node was shown the token %d times", tally.Admitted)
	}
}
