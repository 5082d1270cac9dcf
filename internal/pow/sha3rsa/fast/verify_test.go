package fast

import (
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// TestVerifySharesNothing overwrites all that Search works with. Verify must still be
// right: it is how a wrong search is detected.
func TestVerifySharesNothing(t *testing.T) {
	header, nonce := [32]byte{1}, u512.From64(1)
	want := sha3rsa.NewReference(header).Distance(nonce)
	ctx := sha3rsa.NewJobContext(header, want)
	ctx.M.SetInt64(3)
	ctx.N.SetInt64(35)
	ctx.Target = u512.From64(7)
	if distance, ok := (job{ctx}).Verify(nonce); !ok || distance != want {
		t.Errorf("Verify: %s, %t, want %s, true", distance.Hex(), ok, want.Hex())
	}
}
