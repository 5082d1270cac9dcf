package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/fast"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/simd"
	"github.com/quantus-network/quantus-miner/internal/simulate"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// playNode returns a node, and a command that knows it by its files.
func playNode(t testing.TB) (*simulate.QUICNode, simulate.Identity, *connectCmd) {
	t.Helper()
	identity, err := simulate.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	node, err := simulate.ListenQUIC("127.0.0.1:0", identity, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.SwitchOff)
	node.BlockTime, node.BlockTimeout = 50*time.Millisecond, time.Minute
	token, pin, err := identity.WriteFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return node, identity, &connectCmd{
		Node: []nodeFlag{nodeFlag(node.Address())},
		trustFlags: trustFlags{
			AuthTokenFile:     []string{token},
			TLSCertSHA256File: []string{pin},
		},
	}
}

// connectWith returns a service with an engine that connects as a command has it.
func connectWith(t *testing.T, c *connectCmd, e engine.Engine, log io.Writer) service {
	t.Helper()
	nodes, err := c.nodes()
	if err != nil {
		t.Fatal(err)
	}
	return service{proof: pow.Poseidon2, engine: e, workers: 2, nodes: nodes, log: slog.New(slog.NewJSONHandler(log, nil))}
}

// TestConnect has a node of today's network seal some blocks with a miner that
// connects to it, and is looked at meanwhile.
func TestConnect(t *testing.T) {
	node, identity, c := playNode(t)
	var log bytes.Buffer
	s := connectWith(t, c, fast.Engine{}, &log)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.metrics, s.limits.MaxConnections, s.reportEvery = listener, monitorConnections, time.Second
	page := "http://" + listener.Addr().String()

	var stopped sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	stopped.Go(func() {
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
	})
	for got := ""; !strings.Contains(got, "waiting for the first job"); got = answer(http.Get(page + "/readyz")) {
		if strings.Contains(got, "ok") {
			t.Fatalf("ready: %s", got)
		}
	}
	node.Blocks = 5
	ready := ""
	node.Report = func(simulate.Block) { ready = answer(http.Get(page + "/readyz")) }
	if err := node.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(ready, "ok") {
		t.Errorf("between two blocks it is ready: %s", ready)
	}
	node.Close()
	for got := ""; !strings.Contains(got, "not connected to "+node.Address()); got = answer(http.Get(page + "/readyz")) {
		if strings.Contains(got, "refused") && !strings.Contains(got, "next try") {
			t.Fatal(got)
		}
	}
	metrics := answer(http.Get(page + "/metrics"))
	for _, line := range []string{
		`miner_node_state{state="working"} 0`,
		`miner_node_state{state="not_connected"} 1`,
		`miner_node_info{fallback="false",node="` + node.Address() + `"} 1`,
		"miner_node_connections_total 1",
		"miner_node_results_total ",
		"miner_result_send_seconds_count ",
		"miner_job_start_seconds_count ",
	} {
		if !strings.Contains(metrics, line) || strings.Contains(metrics, line+"0\n") {
			t.Errorf("the metrics lack %s:\n%s", line, metrics)
		}
	}
	if strings.Contains(metrics, "miner_http_requests_total") {
		t.Error("there are metrics of an API")
	}
	now := answer(http.Get(page + "/api/v1/status"))
	for _, field := range []string{`"state":"not_connected"`, `"address":"` + node.Address() + `"`, `"pow":"poseidon2"`, `"next_try":"2`, `"winners":[{"time":"`} {
		if !strings.Contains(now, field) {
			t.Errorf("the status lacks %s: %s", field, now)
		}
	}
	stop()
	stopped.Wait()
	for _, line := range []string{`"msg":"connected to the node"`, `"msg":"new job"`, `"msg":"result sent"`, `"msg":"connection lost"`} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log lacks %s:\n%s", line, &log)
		}
	}
	if told := log.String() + metrics; strings.Contains(told, identity.Token) {
		t.Error("the token is told")
	}
}

// TestConnectCommand runs the command line: until the node has its blocks, and with a
// token that is not the node's.
func TestConnectCommand(t *testing.T) {
	node, identity, c := playNode(t)
	node.Blocks = 3
	args := []string{
		"connect", "--node", node.Address(), "--tls-cert-sha256-file", c.TLSCertSHA256File[0],
		"--workers", "1", "--metrics-port", "0", "--log-format", "json",
	}
	var out, log bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	var g sync.WaitGroup
	g.Go(func() {
		if code := run(ctx, append(args, "--auth-token-file", c.AuthTokenFile[0]), streams{out: &out, err: &log}); code != exitOK {
			t.Errorf("exit code %d:\n%s", code, &log)
		}
	})
	if err := node.Run(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	g.Wait()
	for _, line := range []string{
		`"msg":"mining for nodes","nodes":["` + node.Address() + `"],"pow":"poseidon2"`,
		`"throttle":"100%"`,
		`,"difficulty":"`, // a number that no reader of JSON rounds
		`"msg":"result sent"`,
		`"msg":"shut down"`,
	} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log lacks %s:\n%s", line, &log)
		}
	}

	code := run(t.Context(), append(args, "--auth-token", "a wrong token"), streams{out: &out, err: &log})
	if told := log.String(); code != exitNo || !strings.Contains(told, "the node refuses the token\ngive the token in this node's own file") {
		t.Errorf("exit code %d:\n%s", code, told)
	}
	if told := log.String() + out.String(); strings.Contains(told, identity.Token) || strings.Contains(told, "a wrong token") {
		t.Error("a token is told")
	}
	if out.Len() > 0 {
		t.Errorf("standard output has %s", &out)
	}
}

// TestConnectReports looks at what each report of the hash rate says of the node.
func TestConnectReports(t *testing.T) {
	_, _, c := playNode(t)
	c.Node[0] = "127.0.0.1:1" // where nobody listens
	r, w := io.Pipe()
	s := connectWith(t, c, fast.Engine{}, w)
	s.reportEvery = time.Millisecond
	during(t, func(ctx context.Context) {
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
		w.Close()
	})
	var line struct{ Msg, Node string }
	for lines := json.NewDecoder(r); !strings.HasPrefix(line.Node, "not connected to 127.0.0.1:1: connecting: "); {
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
	}
	if line.Msg != "hash rate" || !strings.Contains(line.Node, "; next try at ") {
		t.Errorf("%+v", line)
	}
	go io.Copy(io.Discard, r)
}

// TestConnectGivesUp has nodes that nobody but the operator can help with, and looks at
// what he is told.
func TestConnectGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		trouble simulate.Trouble
		want    error
		advice  string
	}{
		"token":   {simulate.Trouble{Token: "another token"}, quicnode.ErrTokenRefused, "--auth-token-file"},
		"version": {simulate.Trouble{ALPN: "quantus-miner/3"}, quicnode.ErrVersion, "update whichever is older"},
	} {
		t.Run(name, func(t *testing.T) {
			node, _, command := playNode(t)
			node.Change(func(now *simulate.Trouble) { *now = c.trouble })
			err := connectWith(t, command, fast.Engine{}, io.Discard).run(t.Context())
			if told := advise(err); !errors.Is(err, c.want) || !errors.Is(told, c.want) || !strings.Contains(told.Error(), c.advice) {
				t.Errorf("%v", told)
			}
		})
	}
	t.Run("certificate", func(t *testing.T) {
		_, identity, command := playNode(t)
		command.TLSCertSHA256File, command.TLSCertSHA256 = nil, []pinFlag{{1, 2, 3}}
		err := connectWith(t, command, fast.Engine{}, io.Discard).run(t.Context())
		told := advise(err).Error()
		for _, text := range []string{"0102030000", identity.Pin().String(), "--tls-cert-sha256-file"} {
			if !strings.Contains(told, text) {
				t.Errorf("%s lacks %s", told, text)
			}
		}
	})
	t.Run("swapped", func(t *testing.T) { // whose pin is a secret
		_, identity, command := playNode(t)
		const token = "5ec5e70000000000000000000000000000000000000000000000000000000000"
		var pin pinFlag
		if err := pin.UnmarshalText([]byte(token)); err != nil {
			t.Fatal(err)
		}
		command.AuthTokenFile, command.AuthToken = nil, []string{identity.Pin().String()}
		command.TLSCertSHA256File, command.TLSCertSHA256 = nil, []pinFlag{pin}
		var log bytes.Buffer
		told := advise(connectWith(t, command, fast.Engine{}, &log).run(t.Context()))
		if !errors.Is(told, quicnode.ErrSwapped) || !strings.Contains(told.Error(), "--auth-token-file") {
			t.Errorf("%v", told)
		}
		// So it is when doctor looks.
		findings := fmt.Sprint((&doctorCmd{Node: command.Node, trustFlags: command.trustFlags}).nodes(t.Context()))
		if !strings.Contains(findings, quicnode.ErrSwapped.Error()) {
			t.Errorf("doctor finds %s", findings)
		}
		if strings.Contains(told.Error()+log.String()+findings, "5ec5e7") {
			t.Errorf("the token is told: %v\n%s\n%s", told, &log, findings)
		}
	})
	if err := advise(mining.ErrNoEngine); !strings.Contains(err.Error(), "see the log") {
		t.Errorf("%v", err)
	}
	if err := advise(io.EOF); err != io.EOF {
		t.Errorf("%v", err)
	}
}

// TestConnectFiles has a node seal a block with a miner that knows it by files as people
// have them.
func TestConnectFiles(t *testing.T) {
	const mark = "\ufeff"
	openssl := func(i simulate.Identity) string {
		var pairs []string
		for _, b := range i.Pin() {
			pairs = append(pairs, fmt.Sprintf("%02X", b))
		}
		return "SHA256 Fingerprint=" + strings.Join(pairs, ":") + "\n"
	}
	inPEM := func(i simulate.Identity) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate.Certificate[0]}))
	}
	for name, files := range map[string]func(simulate.Identity) (token, pin string){
		"marks":             func(i simulate.Identity) (string, string) { return mark + i.Token + "\r\n", mark + i.Pin().String() },
		"openssl":           func(i simulate.Identity) (string, string) { return i.Token, openssl(i) },
		"marked openssl":    func(i simulate.Identity) (string, string) { return i.Token, mark + strings.ToLower(openssl(i)) },
		"sha256:":           func(i simulate.Identity) (string, string) { return i.Token, "sha256:" + i.Pin().String() },
		"certificate, DER":  func(i simulate.Identity) (string, string) { return i.Token, string(i.Certificate.Certificate[0]) },
		"certificate, PEM":  func(i simulate.Identity) (string, string) { return i.Token, inPEM(i) },
		"certificate, mark": func(i simulate.Identity) (string, string) { return i.Token, mark + inPEM(i) },
		"spaces around both": func(i simulate.Identity) (string, string) {
			return " " + i.Token + "\n\n", "\n " + i.Pin().String() + " \n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			node, identity, c := playNode(t)
			token, pin := files(identity)
			for path, content := range map[string]string{c.AuthTokenFile[0]: token, c.TLSCertSHA256File[0]: pin} {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := connectWith(t, c, fast.Engine{}, io.Discard)
			during(t, func(ctx context.Context) {
				if err := s.run(ctx); err != nil {
					t.Error(err)
				}
			})
			node.Blocks = 1
			if err := node.Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCredentials reads files, of which some are not what they should be.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pin := file("pin", strings.Repeat("AA:", 32)+"\n", 0o644)
	first, second := file("first", "first\n", 0o600), file("second", " second ", 0o600)
	c := trustFlags{AuthTokenFile: []string{first, second}, TLSCertSHA256File: []string{pin}}
	for i, want := range []string{"first", "second"} {
		got, err := c.credentials(i)
		if err != nil || got.Token != want || got.Pin.String() != strings.Repeat("aa", 32) {
			t.Errorf("node %d: %q, %s, %v", i, got.Token, got.Pin, err)
		}
	}
	file("second", "renewed", 0o600)
	if got, err := c.credentials(1); got.Token != "renewed" || err != nil {
		t.Errorf("%q, %v", got.Token, err)
	}
	for _, wrong := range []struct {
		c    trustFlags
		want string
	}{
		{trustFlags{AuthTokenFile: []string{filepath.Join(dir, "none")}}, "--auth-token-file: "},
		{trustFlags{AuthTokenFile: []string{dir}}, "must be a regular file"},
		{trustFlags{AuthTokenFile: []string{file("empty", "\n", 0o600)}}, filepath.Join(dir, "empty") + ": the token must not be empty"},
		{trustFlags{AuthTokenFile: []string{file("long", strings.Repeat("secret", 1000), 0o600)}}, "must not be larger than 4096 bytes"},
		{trustFlags{AuthToken: []string{"a"}, TLSCertSHA256File: []string{first}}, first + ": must be 64 hex digits"},
		{trustFlags{AuthToken: []string{"a"}, TLSCertSHA256File: []string{"none"}}, "--tls-cert-sha256-file: "},
		{trustFlags{AuthToken: []string{"secret\x00"}}, "--auth-token: the token must not have control characters: character 7 is U+0000"},
		{trustFlags{AuthTokenFile: []string{file("wide", "\xff\xfes\x00", 0o600)}}, filepath.Join(dir, "wide") + ": is in UTF-16"},
	} {
		got, err := wrong.c.credentials(0)
		if got != (quicnode.Credentials{}) || err == nil || !strings.Contains(err.Error(), wrong.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %s", err, wrong.want)
		}
	}
}

func TestNodeFlag(t *testing.T) {
	for text, want := range map[string]nodeFlag{
		"127.0.0.1":           "127.0.0.1:9833",
		"node.example:1":      "node.example:1",
		"[::1]":               "[::1]:9833",
		"[2001:db8::1]:65535": "[2001:db8::1]:65535",
		"[fe80::1%eth0]:9833": "[fe80::1%eth0]:9833",
	} {
		var f nodeFlag
		if err := f.UnmarshalText([]byte(text)); f != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", text, f, err, want)
		}
	}
	for _, text := range []string{"", ":9833", "a:", "a:0", "a:65536", "a:http", "::1", "2001:db8::1:9833", "[::1", "[]:1", "a b:1", "http://a:1", "a:1:2"} {
		var f nodeFlag
		if err := f.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s: %s", text, f)
		}
	}
}

func TestWithoutTokens(t *testing.T) {
	for _, c := range []struct {
		text string
		args []string
		want string
	}{
		{`got "-secret"`, []string{"connect", "--auth-token", "-secret"}, `got "…"`},
		{`got "sec\"ret" and sec"ret`, []string{"--auth-token=sec\"ret"}, `got "…" and …`},
		{"a token", []string{"--auth-token", "a"}, "a token"},
		{"a token", []string{"--auth-token"}, "a token"},
		{"a port", []string{"--port", "port"}, "a port"},
		{"got topsecret", []string{"pool", "-p", "topsecret"}, "got …"},
		{"got topsecret", []string{"pool", "--password=topsecret"}, "got …"},
		{"got stratum+tcp://qza.rig:topsecret@a:1", []string{"pool", "-o", "stratum+tcp://qza.rig:topsecret@a:1"}, "got stratum+tcp://…@a:1"},
	} {
		if got := withoutTokens(c.text, c.args); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

// TestShares has a pool, which repeats its job after each result, count the shares of a
// miner. All winners arrive that were found, and the pool fails if one comes twice.
func TestShares(t *testing.T) {
	node, _, c := playNode(t)
	node.Share = u512.From64(60_000) // of which one worker finds far less than the 50 a second that are sent
	s := connectWith(t, c, fast.Engine{}, io.Discard)
	miner := s.newMiner()
	link := quicnode.New(miner, s.nodes, s.log)
	during(t, miner.Run)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := link.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	pool := make(chan error, 1)
	over, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	go func() { pool <- node.Run(over) }()
	for node.Tally().Seals < 20 && over.Err() == nil {
		<-time.After(10 * time.Millisecond)
	}
	stop()
	running.Wait() // by then all is written
	for node.Tally().Miners > 0 && over.Err() == nil {
		<-time.After(10 * time.Millisecond)
	}
	end()
	if err := <-pool; !errors.Is(err, context.Canceled) {
		t.Errorf("the pool: %v", err)
	}
	found, tally := miner.Current().Winners, node.Tally()
	if tally.Seals < 20 || tally.Seals+tally.Late != found || tally.Jobs != 1 {
		t.Errorf("%d winners were found: %+v", found, tally)
	}
}

// BenchmarkShares compares the hash rate of a miner of one worker for a pool, at a
// difficulty at which it finds 35 winners a second, with its own while there is nothing
// to be found. "arrived" is how many of the winners that the hashes promise the pool has
// got. An operation is a pair of half seconds:
//
//	go test ./cmd/quantus-miner -run '^$' -bench Shares -benchtime 50x
func BenchmarkShares(b *testing.B) {
	asServe(b)
	engines, err := simd.Engines("")
	if err != nil {
		b.Fatal(err)
	}
	node, _, c := playNode(b)
	nodes, err := c.nodes()
	if err != nil {
		b.Fatal(err)
	}
	start := func() *mining.Miner {
		m := service{proof: pow.Poseidon2, engine: engines[0], workers: 1, log: slog.New(slog.DiscardHandler)}.newMiner()
		during(b, m.Run)
		return m
	}
	plain, pooled := start(), start()
	submitEndless(b, plain)
	rateOver(plain)
	node.Share = u512.From64(uint64(rateOver(plain) / 35))
	link := quicnode.New(pooled, nodes, slog.New(slog.DiscardHandler))
	during(b, func(ctx context.Context) {
		if err := link.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	during(b, func(ctx context.Context) {
		if err := node.Run(ctx); !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
	})
	pooled.Pause()
	began := time.Now()
	compare(b, turns(plain, pooled))
	took := time.Since(began)
	o, tally := pooled.Current(), node.Tally()
	b.ReportMetric(float64(tally.Seals)/(float64(o.Evaluated)/float64(node.Share.Sat64())), "arrived")
	b.ReportMetric(float64(tally.Seals)/(took.Seconds()/2), "shares/s")
	b.ReportMetric(0, "ns/op") // which says nothing here
}

// submitEndless submits a job in which nothing is to be found.
func submitEndless(b *testing.B, m *mining.Miner) {
	if _, err := m.Submit(mining.Request{ID: "plain", Threshold: u512.Max(), Anywhere: true}); err != nil {
		b.Fatal(err)
	}
}

// rateOver returns the hash rate of a miner over the next half second.
func rateOver(m *mining.Miner) float64 {
	before := m.Current()
	<-time.After(500 * time.Millisecond)
	after := m.Current()
	return float64(after.Evaluated-before.Evaluated) / after.Time.Sub(before.Time).Seconds()
}

// turns returns a function that has one of two miners mine, and returns its hash rate.
func turns(without, with *mining.Miner) func(bool) float64 {
	return func(second bool) float64 {
		m := without
		if second {
			m = with
		}
		without.Pause()
		with.Pause()
		<-time.After(5 * time.Millisecond)
		m.Resume()
		<-time.After(100 * time.Millisecond) // until the leases are as long as they will be
		return rateOver(m)
	}
}

// BenchmarkConnect has a node seal blocks with a miner on all CPUs that connects to it,
// and reports how long it takes from the receipt of a job to its first nonces, from
// finding a winner to its frame being written, and how much longer than its search a
// block takes for the node, with the way there and back; an operation is a block:
//
//	go test ./cmd/quantus-miner -run '^$' -bench Connect -benchtime 1000x
//
// Node and miner take turns on the same CPUs, as they do on one machine.
func BenchmarkConnect(b *testing.B) {
	workers := asServe(b)
	node, _, c := playNode(b)
	node.BlockTime = 20 * time.Millisecond
	nodes, err := c.nodes()
	if err != nil {
		b.Fatal(err)
	}
	engines, err := simd.Engines("")
	if err != nil {
		b.Fatal(err)
	}
	miner := service{proof: pow.Poseidon2, engine: engines[0], workers: workers, nodes: nodes, log: slog.New(slog.DiscardHandler)}.newMiner()
	link := quicnode.New(miner, nodes, slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	var started, sent, beside []time.Duration
	note := func(times *[]time.Duration) func(time.Duration) {
		return func(after time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			*times = append(*times, after)
		}
	}
	noteSent := note(&sent)
	link.FirstNonce, link.Sent = note(&started), func(_ string, _ u512.Uint, after time.Duration) { noteSent(after) }
	during(b, miner.Run)
	during(b, func(ctx context.Context) {
		if err := link.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	node.Blocks = b.N + 1 // the first waits for the miner to connect
	var last time.Time
	node.Report = func(block simulate.Block) {
		if !last.IsZero() {
			beside = append(beside, time.Since(last)-block.Elapsed)
		}
		last = time.Now()
	}
	if err := node.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, r := range []struct {
		what  string
		times []time.Duration
	}{{"start", started}, {"send", sent}, {"beside", beside}} {
		slices.Sort(r.times)
		b.ReportMetric(quantile(r.times, 0.5), r.what+"-p50-ms")
		b.ReportMetric(quantile(r.times, 0.99), r.what+"-p99-ms")
	}
	b.ReportMetric(0, "ns/op") // which says nothing here
}
