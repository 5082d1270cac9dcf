package steer

import (
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// TestUnpermuted shows that the inverse is one.
func TestUnpermuted(t *testing.T) {
	want := [poseidon2.Width]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	s := poseidon2.State(want)
	s.Permute()
	if got := unpermuted(s, AllRounds); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
