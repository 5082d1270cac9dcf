package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// TestClockJumps runs miners on a machine whose clock is set again and again, by an
// hour ahead or back.
func TestClockJumps(t *testing.T) {
	restless := buildRestless(t)
	t.Run("serve", func(t *testing.T) { serveRestless(t, restless) })
	t.Run("connect", func(t *testing.T) { connectRestless(t, restless) })
}

// serveRestless has nodes call such a miner: no job is abandoned, forgotten or kept for
// the clock, and no time that it tells is of that clock, but those in the log.
func serveRestless(t *testing.T, restless string) {
	command := minerCommand("--abandon-after", "2s")
	command.Path = restless
	m := serve(t, command)
	c := m.dial(t)
	asked, forgotten := newJob(endless, "asked-about", 0), newJob(endless, "forgotten", 0)
	must(t, c.submit(asked))
	must(t, c.submit(forgotten))
	began := time.Now()
	var abandoned entry
	var easy []*job // which end at every time that there is
	eventually(t, "a job is abandoned", func() (ok bool) {
		easy = append(easy, newJob(solved, fmt.Sprint("easy-", len(easy)), 0))
		must(t, c.submit(easy[len(easy)-1]))
		for _, j := range slices.Concat(easy, []*job{asked}) {
			must(t, c.poll(j))
		}
		abandoned, ok = m.log.find(func(e entry) bool { return strings.HasPrefix(e.Msg, "job abandoned") })
		return ok
	})
	if took := time.Since(began); abandoned.Job != forgotten.id || took < 2*time.Second {
		t.Errorf("%s was abandoned after %s, want %s after two seconds", abandoned.Job, took, forgotten.id)
	}
	must(t, c.poll(asked))
	if asked.status != "running" || asked.elapsed < 2 || asked.elapsed > time.Since(began).Seconds()+1 {
		t.Errorf("the job that is asked about is %s for %g s", asked.status, asked.elapsed)
	}
	must(t, c.cancel(asked))
	eventually(t, "the clock has jumped while a node was served", func() bool {
		m.serveNode(t)
		return m.log.spread() > time.Hour-time.Minute
	})
}

// connectRestless has such a miner connect to a node. A clock that is ahead looks as if
// the machine had slept, so it connects anew, at once, and goes on.
func connectRestless(t *testing.T, restless string) {
	n := playNode(t, simulate.Trouble{})
	command := connectCommand([]*node{n})
	command.Path = restless
	p := start(t, command, func(entry) {})
	p.logs(t, "the clock has jumped", func(e entry) bool { return e.Msg == "connection lost" && e.Reason == "this miner was suspended" })
	n.works(t)
}

// buildRestless builds the miner with a clock as in TestClockJumps: one in which the
// library reads the kernel's, and then adds an hour half of the time.
func buildRestless(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, err)
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	must(t, err)
	const read = "sec, nsec, mono := runtimeNow()\n"
	if n := strings.Count(string(text), read); n != 1 {
		t.Fatalf("%s reads the clock %d times", source, n)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "time.go")
	must(t, os.WriteFile(changed, []byte(strings.Replace(string(text), read, read+"\tsec += 3600 * (mono / 370e6 % 2)\n", 1)), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))

	restless := filepath.Join(dir, "quantus-miner")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", restless, "./cmd/quantus-miner")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the miner: %v\n%s", err, out)
	}
	return restless
}
