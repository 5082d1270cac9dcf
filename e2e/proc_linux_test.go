package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// status returns what the kernel says of the process under some name, without a
// unit or an explanation.
func (p *process) status(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[0] == name+":" {
			return fields[1]
		}
	}
	t.Fatalf("there is no %s in\n%s", name, text)
	return ""
}

// number returns a number that the kernel says of the process; memory is in KiB.
func (p *process) number(t *testing.T, name string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(p.status(t, name), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
