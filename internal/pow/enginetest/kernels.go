package enginetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Kernels tests the list of the engines of a proof of work's kernels, given the fastest.
// Their names are their backends. The list must have the portable one, and those that are
// required, separated by commas: tests run only the kernels that the CPU has, and CI wants to know.
func Kernels(t *testing.T, list func(fastest string) ([]engine.Engine, error), required string) {
	engines, err := list("")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, e := range engines {
		names = append(names, e.Backend())
		rest, err := list(e.Backend())
		if err != nil || len(rest) != len(engines)-i || rest[0].Backend() != e.Backend() {
			t.Errorf("from %s on: %v, %v", e.Backend(), rest, err)
		}
	}
	for name := range strings.SplitSeq("portable,"+required, ",") {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among the kernels that this CPU can run: %v", name, names)
		}
	}
	if engines, err := list("mmx"); err == nil {
		t.Errorf("got %v from a kernel that there is not", engines)
	}
}

// Same compares a search by an engine with the same search by another, which evaluates
// nonce by nonce. The number is that of [Run].
func Same(t testing.TB, of, by engine.Engine, block uint64, header [32]byte, threshold u512.Uint, r engine.Range) {
	t.Helper()
	want := run(t, prepare(t, by, header, threshold), r)
	search{header, threshold, r, want}.check(t, subject{Engine: of, block: block})
}
