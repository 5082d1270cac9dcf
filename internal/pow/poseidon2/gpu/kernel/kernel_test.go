package kernel

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
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
