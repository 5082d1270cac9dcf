package cpuname

import (
	"os"
	"strings"
	"testing"
)

func TestNameIn(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"amd64":   {"processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9454P\nstepping\t: 1\n\nprocessor\t: 1\nmodel name\t: another\n", " AMD EPYC 9454P"},
		"arm64":   {"processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\n", ""},
		"a colon": {"model name : Intel: of sorts\n", " Intel: of sorts"},
		"nothing": {"", ""},
		"endless": {strings.Repeat("x", 1<<20) + "\nmodel name : too late\n", ""},
	} {
		if got := nameIn(strings.NewReader(c.text)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestRead compares the name with what the kernel says of this machine.
func TestRead(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	name := Read()
	if name == "" || strings.Contains(string(text), "model name") && !strings.Contains(strings.Join(strings.Fields(string(text)), " "), "model name : "+name) {
		t.Errorf("%q is not in /proc/cpuinfo", name)
	}
}
