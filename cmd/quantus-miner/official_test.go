package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// officialUnit is the unit of systemd that users of the official miner have.
const officialUnit = `[Unit]
Description=Quantus Miner
After=network-online.target
Wants=network-online.target

[Service]
Type=simple
User=quantus
EnvironmentFile=/etc/default/quantus-miner
ExecStart=/usr/local/bin/quantus-miner serve
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
`

// officialEnvironment is their /etc/default/quantus-miner.
const officialEnvironment = `# Node to mine for
MINER_NODE_ADDR=127.0.0.1:9833
MINER_AUTH_TOKEN_FILE=/etc/quantus/miner-auth-token
MINER_TLS_CERT_SHA256_FILE=/etc/quantus/miner-tls-cert-sha256

MINER_CPU_WORKERS=1
MINER_GPU_DEVICES=0
MINER_CPU_BATCH_SIZE=10000
MINER_GPU_BATCH_SIZE=1000000
MINER_GPU_THROTTLE_MS=0
MINER_ALLOW_INTEGRATED=false
MINER_METRICS_PORT=9900
MINER_VERBOSE=true
`

// TestOfficialFlags has a miner told by flags what a unit of the official miner's older
// users says, and looks at what its log has at each level.
func TestOfficialFlags(t *testing.T) {
	node, _, c := playNode(t)
	node.Blocks = 2
	var log bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	var g sync.WaitGroup
	g.Go(func() {
		defer stop()
		args := []string{
			"serve", "--node-addr", node.Address(), "--auth-token-file", c.AuthTokenFile[0], "--tls-cert-sha256-file", c.TLSCertSHA256File[0],
			"--cpu-workers", "1", "--gpu-devices", "2", "--allow-integrated", "--log-level", "warn", "--no-color",
		}
		if code := run(ctx, args, streams{out: &log, err: &log}); code != exitOK {
			t.Errorf("exit code %d", code)
		}
	})
	if err := node.Run(ctx); err != nil {
		t.Error(err)
	}
	stop()
	g.Wait()
	if got := log.String(); strings.Contains(got, `"level":"INFO"`) {
		t.Error(got)
	}
}

// TestOfficial has command lines of the official miner said in our words.
func TestOfficial(t *testing.T) {
	for _, c := range []struct{ node, args, want string }{
		{"", "", ""},
		{"", "serve", "serve"},
		{"", "serve --port 1", "serve --port 1"},
		{"", "serve --cpu-workers 1", "serve --cpu-workers 1"},
		{"", "serve --node x", "serve --node x"},
		{"", "serve --node-addr x", "connect --node-addr x"},
		{"", "--auth-token=x", "connect --auth-token=x"},
		{"", "--config f serve --tls-cert-sha256 x", "--config f connect --tls-cert-sha256 x"},
		{"", "--config=f --tls-cert-sha256-file x", "--config=f connect --tls-cert-sha256-file x"},
		{"", "--config", "--config"},
		{"", "serve --node-addr x --help", "serve --node-addr x --help"},
		{"", "search --node-addr x", "search --node-addr x"},
		{"", "benchmark -d 1", "bench --pow poseidon2 -d 1"},
		{"", "bench -d 1", "bench -d 1"},
		{"x", "", "connect"},
		{"x", "serve -v", "connect -v"},
		{"x", "serve --port 1", "serve --port 1"},
		{"x", "serve -p 1", "serve -p 1"},
		{"x", "serve -p 1 --node-addr y", "connect -p 1 --node-addr y"},
		{"x", "version", "version"},
		{"x", "serve -h", "serve -h"},
	} {
		t.Setenv(nodeVariable, c.node)
		l, err := newLine(t.Context(), strings.Fields(c.args), streams{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(l.official(strings.Fields(c.args)), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.args, got, c.want)
		}
	}
}

// TestOfficialUnit has the binary start as systemd would by the official miner's unit, and
// mine for a node.
func TestOfficialUnit(t *testing.T) {
	unit := settings(t, officialUnit)
	start := strings.Fields(unit["ExecStart"])
	if unit["EnvironmentFile"] != "/etc/default/quantus-miner" || start[0] != "/usr/local/bin/quantus-miner" {
		t.Fatalf("%+v", unit)
	}
	node, _, c := playNode(t)
	node.Blocks = 3
	// But for what is another here: where the node is, its files, a port that may be taken.
	environment := settings(t, officialEnvironment)
	environment["MINER_NODE_ADDR"], environment["MINER_METRICS_PORT"] = node.Address(), "0"
	environment["MINER_AUTH_TOKEN_FILE"], environment["MINER_TLS_CERT_SHA256_FILE"] = c.AuthTokenFile[0], c.TLSCertSHA256File[0]

	path, err := exec.LookPath("quantus-miner")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), path, start[1:]...)
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	var log bytes.Buffer
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, ended := context.WithCancel(t.Context())
	var g sync.WaitGroup
	g.Go(func() {
		defer ended()
		if err := command.Wait(); err != nil {
			t.Errorf("the miner: %v", err)
		}
	})
	if err := node.Run(ctx); err != nil {
		t.Error(err)
	}
	_ = command.Process.Signal(os.Interrupt) // fails if it has ended
	g.Wait()
	for _, line := range []string{
		`"msg":"mining for nodes","nodes":["` + node.Address() + `"],"pow":"poseidon2"`,
		`"workers":1,`,
		`"msg":"serving metrics and a live page"`,
		`"msg":"serve does what connect does, because of the variable MINER_NODE_ADDR"`,
		`"msg":"some flags of the official miner are not needed here, and ignored: --cpu-batch-size, --gpu-batch-size, --gpu-throttle-ms"`,
		`"level":"DEBUG"`,
	} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log lacks %s:\n%s", line, &log)
		}
	}
}

// settings reads the lines NAME=VALUE of a unit, or of a file of variables, as systemd does.
func settings(t *testing.T, text string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("what is %q?", line)
		}
		found[name] = value
	}
	return found
}

// TestWhichNetwork types the program's name alone, at a terminal and elsewhere.
func TestWhichNetwork(t *testing.T) {
	t.Setenv("MINER_PORT", "0")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, c := range []struct {
		args     []string
		terminal bool
		node     string
		want     bool
	}{
		{nil, true, "", true},
		{nil, false, "", false},
		{[]string{"serve"}, true, "", false},
		{nil, true, "10.0.0.5", false}, // which connects, and lacks its token
	} {
		t.Setenv(nodeVariable, c.node)
		var log bytes.Buffer
		run(ctx, c.args, streams{out: &log, err: &log, terminal: c.terminal})
		first, _, _ := strings.Cut(log.String(), "\n")
		told := strings.Contains(first, "the SHA3 network of 2025") && strings.Contains(first, "today's network type: quantus-miner connect --node")
		if told != c.want {
			t.Errorf("%v at a terminal (%t): %s", c.args, c.terminal, &log)
		}
	}
}
