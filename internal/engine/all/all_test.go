package all_test

import (
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/engine/all"
)

func TestByName(t *testing.T) {
	for name, want := range map[string]string{
		"cpu-baseline": "cpu-baseline",
		"cpu-fast":     "cpu-fast",
		"auto":         "cpu-fast",
	} {
		e, err := all.ByName(name)
		if err != nil || e.Name() != want {
			t.Errorf("ByName(%q) = %v, %v, want %s", name, e, err, want)
		}
	}
	for _, name := range []string{"", "CPU-FAST", "gpu"} {
		if e, err := all.ByName(name); err == nil || !strings.Contains(err.Error(), "auto, cpu-baseline, cpu-fast") {
			t.Errorf("ByName(%q) = %v, %v, want an error that lists the engines", name, e, err)
		}
	}
}
