package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// rig is a machine of HiveOS: the package, unpacked.
type rig struct {
	root string
	env  []string // the flight sheet
}

// newRig packs the miner and unpacks it as HiveOS does, below a folder of its own.
func newRig(t *testing.T, flightSheet ...string) rig {
	t.Helper()
	for _, tool := range []string{"bash", "jq", "curl", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("this test wants %s, as HiveOS has it: %v", tool, err)
		}
	}
	r := rig{t.TempDir(), append(os.Environ(), flightSheet...)}
	out, err := exec.Command("../deploy/hiveos/package", binary, "1.2.3", r.root).CombinedOutput()
	if err != nil {
		t.Fatalf("packing: %v\n%s", err, out)
	}
	custom := filepath.Join(r.root, "hive/miners/custom")
	must(t, os.MkdirAll(custom, 0o755))
	must(t, exec.Command("tar", "-xzf", filepath.Join(r.root, "quantus-miner-1.2.3.tar.gz"), "-C", custom).Run())

	// This is not the machine's own /hive, nor its port.
	manifest := filepath.Join(custom, "quantus-miner/h-manifest.conf")
	text, err := os.ReadFile(manifest)
	must(t, err)
	_, port, _ := strings.Cut(freeAddress(t), ":")
	replaced := strings.NewReplacer("=/hive/", "="+r.root+"/hive/", "=/var/log/", "="+r.root+"/var/log/", "PORT=9834", "PORT="+port).Replace(string(text))
	if !strings.Contains(replaced, "CUSTOM_VERSION=1.2.3\n") {
		t.Errorf("the manifest lacks the version:\n%s", text)
	}
	must(t, os.WriteFile(manifest, []byte(replaced), 0o644))
	return r
}

// bash runs a script in the miner's folder, as HiveOS does.
func (r rig) bash(script string) *exec.Cmd {
	command := exec.Command("bash", "-c", ". ./h-manifest.conf; "+script)
	command.Dir = filepath.Join(r.root, "hive/miners/custom/quantus-miner")
	command.Env = r.env
	return command
}

// stats returns what HiveOS is told.
func (r rig) stats(t *testing.T) (khs float64, stats map[string]any) {
	t.Helper()
	out, err := r.bash(`. ./h-stats.sh; printf '{"khs":%s,"stats":%s}' "$khs" "$stats"`).Output()
	must(t, err)
	var told struct {
		Khs   float64
		Stats map[string]any
	}
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return told.Khs, told.Stats
}

// TestHiveOS has a rig mine for a node, as its flight sheet has it.
func TestHiveOS(t *testing.T) {
	n := playNode(t, simulate.Trouble{})
	token, err := os.ReadFile(n.token)
	must(t, err)
	pin, err := os.ReadFile(n.pin)
	must(t, err)
	r := newRig(t,
		"CUSTOM_URL="+n.Address(), "CUSTOM_TEMPLATE="+string(pin), "CUSTOM_PASS="+string(token), "CUSTOM_USER_CONFIG=--workers 2 --engine cpu-fast")
	if out, err := r.bash(". ./h-config.sh").CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("configuring: %v\n%s", err, out)
	}
	if khs, stats := r.stats(t); khs != 0 || stats != nil {
		t.Errorf("before it runs: %g, %v", khs, stats)
	}
	running := r.bash("exec ./h-run.sh")
	running.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, running.Start())
	ended := make(chan error, 1)
	go func() { ended <- running.Wait() }()
	defer func() { _ = syscall.Kill(-running.Process.Pid, syscall.SIGKILL) }()
	n.works(t)
	n.now(simulate.Trouble{Impossible: true})
	var stats map[string]any
	eventually(t, "HiveOS is told of a rate, of both threads", func() bool {
		khs, now := r.stats(t)
		stats = now
		hs, _ := now["hs"].([]any)
		return khs > 0 && len(hs) == 2 && hs[0].(float64) > 0 && hs[1].(float64) > 0
	})
	if ar, _ := stats["ar"].([]any); stats["hs_units"] != "khs" || stats["algo"] != "poseidon2" || stats["uptime"] == nil || stats["ver"] == "" || len(ar) != 2 || ar[0].(float64) < 5 {
		t.Errorf("stats %v", stats)
	}
	must(t, syscall.Kill(-running.Process.Pid, syscall.SIGINT))
	<-ended
	log, err := os.ReadFile(filepath.Join(r.root, "var/log/miner/custom/quantus-miner.log"))
	must(t, err)
	if text := string(log); !strings.Contains(text, "FOUND") || strings.Contains(text, strings.TrimSpace(string(token))) {
		t.Errorf("the log:\n%s", text)
	}
	info, err := os.Stat(filepath.Join(r.root, "hive/miners/custom/quantus-miner/token"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}
}

// TestHiveOSPool has a rig mine for a pool, as its flight sheet has it.
func TestHiveOSPool(t *testing.T) {
	identity, err := simulate.NewPoolIdentity("127.0.0.1")
	must(t, err)
	pool, err := simulate.ListenPool("127.0.0.1:0", identity, slog.New(slog.DiscardHandler))
	must(t, err)
	pool.ShareTime = 50 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { _ = pool.Run(ctx) }()
	const user = "qzTestTestTestTestTestTestTestTestTestTestTestTest.rig"
	r := newRig(t, "CUSTOM_URL=stratum+ssl://"+pool.Address(), "CUSTOM_TEMPLATE="+user, "CUSTOM_PASS=",
		"CUSTOM_USER_CONFIG=--workers 2 --engine cpu-fast --gpu none --tls-cert-sha256 "+identity.Pin().String())
	if out, err := r.bash(". ./h-config.sh").CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("configuring: %v\n%s", err, out)
	}
	running := r.bash("exec ./h-run.sh")
	running.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, running.Start())
	ended := make(chan error, 1)
	go func() { ended <- running.Wait() }()
	defer func() { _ = syscall.Kill(-running.Process.Pid, syscall.SIGKILL) }()
	eventually(t, "HiveOS is told of shares that were accepted", func() bool {
		khs, stats := r.stats(t)
		ar, _ := stats["ar"].([]any)
		return khs > 0 && len(ar) == 2 && ar[0].(float64) > 5 && ar[1].(float64) == 0
	})
	must(t, syscall.Kill(-running.Process.Pid, syscall.SIGINT))
	<-ended
	log, err := os.ReadFile(filepath.Join(r.root, "var/log/miner/custom/quantus-miner.log"))
	must(t, err)
	if text := string(log); !strings.Contains(text, "accepted   ") || !strings.Contains(text, "(diff ") {
		t.Errorf("the log:\n%s", text)
	}
}

// TestHiveOSWithoutFlightSheet starts what was not configured.
func TestHiveOSWithoutFlightSheet(t *testing.T) {
	r := newRig(t, "CUSTOM_URL=", "CUSTOM_TEMPLATE=", "CUSTOM_PASS=")
	for script, want := range map[string]string{". ./h-config.sh": "the flight sheet needs Pool URL", "./h-run.sh": "apply a flight sheet first"} {
		out, err := r.bash(script).CombinedOutput()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}
