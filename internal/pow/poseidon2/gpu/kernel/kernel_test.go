package kernel

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
)

// TestPTX holds the text in PTX to the text that it was made of: who changes that runs
// tools/gpu-kernel write.
func TestPTX(t *testing.T) {
	sum := sha256.Sum256([]byte(Source()))
	if head, _, _ := strings.Cut(PTX(), "\n"); !strings.Contains(head, hex.EncodeToString(sum[:])) {
		t.Errorf("the text has the SHA-256 %x, and the PTX begins with %s", sum, head)
	}
	for _, want := range []string{".version 7.8", ".target sm_75", ".entry " + Entry + "("} {
		if !strings.Contains(PTX(), want) {
			t.Errorf("the PTX has no %s", want)
		}
	}
}

// TestDiagonal holds the constants to what mulPlus in field.cl is proved for.
func TestDiagonal(t *testing.T) {
	for i, d := range poseidon2.NewConstants().Diagonal {
		if d>>32 >= 1<<32-12 {
			t.Errorf("element %d is multiplied by %#x, whose high word is not below 2^32 - 12", i, d)
		}
	}
}

// TestCarries has each instruction that takes a carry in follow one of its own kind: what an addition
// leaves is not what a subtraction takes, as ptxas has the borrow the other way round.
func TestCarries(t *testing.T) {
	last, chains := "", 0
	for line := range strings.Lines(PTX()) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ = strings.Cut(name, "\t")
		operation, rest, _ := strings.Cut(name, ".")
		kind := map[string]string{"add": "+", "addc": "+", "mad": "+", "madc": "+", "sub": "-", "subc": "-"}[operation]
		if kind == "" {
			continue
		}
		if strings.HasSuffix(operation, "c") {
			chains++
			if kind != last {
				t.Errorf("%q follows a carry of another kind", strings.TrimSpace(line))
			}
		}
		if strings.Contains("."+rest+".", ".cc.") {
			last = kind
		}
	}
	if chains < 1000 {
		t.Errorf("there are %d instructions that take a carry in: is this the kernel?", chains)
	}
}
