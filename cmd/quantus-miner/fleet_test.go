package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker"
	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// listenLocal listens on a port of its own.
func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// hubService returns a service without workers of its own that has a fleet, in whose directory the
// files for workers are.
func hubService(t *testing.T, dir string, log io.Writer) service {
	t.Helper()
	s := service{
		proof: pow.SHA3RSA, engine: fast.Engine{}, api: listenLocal(t), metrics: listenLocal(t),
		limits: limitFlags{MaxRunning: 4, MaxJobs: 64, MaxConnections: 64, MaxJobID: 256, MaxBody: 8 << 10, MaxHeader: 8 << 10, RequestTimeout: durationFlag(10 * time.Second)},
		log:    slog.New(slog.NewJSONHandler(log, nil)),
	}
	var err error
	s.fleet, err = hubFlags{FleetListen: &hubAddressFlag{"127.0.0.1", 0}, FleetDir: dir}.open(pow.SHA3RSA, s.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.fleet.close)
	return s
}

// workService returns a service that mines for a hub.
func workService(t *testing.T, hub service, dir, name string, log io.Writer) service {
	t.Helper()
	c := &workCmd{
		Hub: hubFlag(hub.fleet.address), Name: machineFlag(name), PoW: hub.proof,
		hubTrustFlags: hubTrustFlags{filepath.Join(dir, broker.TokenFile), filepath.Join(dir, broker.FingerprintFile)},
	}
	s := service{proof: hub.proof, engine: fast.Engine{}, workers: 1, metrics: listenLocal(t), limits: limitFlags{MaxConnections: monitorConnections}, log: slog.New(slog.NewJSONHandler(log, nil))}
	config, err := c.hub(s)
	if err != nil {
		t.Fatal(err)
	}
	s.worksFor = &config
	return s
}

// inBackground runs a service until the test, or stop, ends it.
func inBackground(t *testing.T, s service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// eventually asks again until an answer is as it should be.
func eventually(t *testing.T, url string, good func(answer string) bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := answer(http.Get(url))
		if good(got) {
			return got
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s answers at last: %s", url, got)
		}
	}
}

func has(part string) func(string) bool {
	return func(text string) bool { return strings.Contains(text, part) }
}

// TestFleet has a hub without workers of its own seal blocks by two machines, and looks at all three.
func TestFleet(t *testing.T) {
	dir := t.TempDir()
	hub := hubService(t, dir, io.Discard)
	hubPage := "http://" + hub.metrics.Addr().String()
	inBackground(t, hub)
	eventually(t, hubPage+"/readyz", has("no machine of the fleet is there"))

	one, two := workService(t, hub, dir, "rig", io.Discard), workService(t, hub, dir, "rig", io.Discard)
	page := "http://" + one.metrics.Addr().String()
	leave := inBackground(t, one)
	eventually(t, page+"/readyz", has("which has no job"))
	inBackground(t, two)
	eventually(t, hubPage+"/api/v1/machines", has(`"total":2,`))
	eventually(t, hubPage+"/readyz", has("ok"))

	node := simulate.Node{Miner: "http://" + hub.api.Addr().String(), Blocks: 5, BlockTime: 100 * time.Millisecond, Poll: 5 * time.Millisecond, BlockTimeout: time.Minute}
	if err := node.Run(t.Context()); err != nil {
		t.Error(err)
	}
	// Most leases have no winner, which is no failure.
	if own := answer(http.Get(page + "/metrics")); !strings.Contains(own, `miner_jobs_total{status="failed"} 0`) || strings.Contains(own, `miner_jobs_total{status="completed"} 0`) {
		t.Errorf("the worker counts failures: %s", own)
	}
	metrics := answer(http.Get(hubPage + "/metrics"))
	for _, line := range []string{
		`miner_fleet_workers{state="idle"} 2`,
		`miner_fleet_worker_hashes_total{worker="rig"} `,
		`miner_fleet_worker_hashes_total{worker="rig-2"} `,
		`miner_fleet_job_fanout_seconds_count 1`, // at least ten: two machines, five blocks
		`miner_fleet_offers_total{result="wrong"} 0`,
		`miner_fleet_refused_total 0`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	for _, line := range []string{`thread_id="rig"`, `miner_thread_hashes_total{engine="fleet"`} {
		if strings.Contains(metrics, line) {
			t.Errorf("the metrics have a series for each job of a machine: %s", line)
		}
	}
	status := answer(http.Get(hubPage + "/api/v1/status"))
	if !strings.Contains(status, `"devices":[],`) || !strings.Contains(status, `"fleet":{"machines":{`) {
		t.Errorf("the status: %s", status)
	}
	if machines := answer(http.Get(hubPage + "/api/v1/machines?sort=-name&limit=1")); !strings.Contains(machines, `"matching":2,"offset":0,"machines":[{"name":"rig-2"`) {
		t.Errorf("the machines: %s", machines)
	}
	leave()
	eventually(t, hubPage+"/api/v1/machines?state=gone", has(`"matching":1,`))
}

// TestStrangeWorkers has machines come that a hub does not take, or that must not take it for theirs.
func TestStrangeWorkers(t *testing.T) {
	dir := t.TempDir()
	h := hubService(t, dir, io.Discard)
	inBackground(t, h)
	for _, c := range []struct {
		name   string
		change func(t *testing.T, other string, s *service)
		want   func(error) bool
	}{
		{"another token", func(t *testing.T, other string, s *service) {
			if err := os.WriteFile(filepath.Join(other, broker.TokenFile), []byte(strings.Repeat("x", 32)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, func(err error) bool { return errors.Is(err, nats.ErrAuthorization) }},
		{"another certificate", func(t *testing.T, other string, s *service) {
			if err := os.WriteFile(filepath.Join(other, broker.FingerprintFile), []byte(strings.Repeat("00", 32)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, func(err error) bool { return errors.As(err, new(*broker.PinError)) }},
		{"another proof of work", func(t *testing.T, other string, s *service) { s.worksFor.PoW = string(pow.Poseidon2) }, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "sha3-rsa") && strings.Contains(err.Error(), "poseidon2")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := t.TempDir()
			if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{broker.TokenFile, broker.FingerprintFile} {
				if err := os.Chmod(filepath.Join(other, file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := workService(t, h, other, "stranger", io.Discard)
			c.change(t, other, &s)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := s.run(ctx); !c.want(err) {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}

// TestOwnServers has hub and worker meet on somebody's own NATS server, which lets each do what it must and
// no more, and a second hub be refused.
func TestOwnServers(t *testing.T) {
	const fleet = "cellar"
	subjects, err := wire.NewSubjects(fleet)
	if err != nil {
		t.Fatal(err)
	}
	may := func(publish, subscribe []string) *server.Permissions {
		return &server.Permissions{Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe}}
	}
	free := listenLocal(t)
	address := free.Addr().(*net.TCPAddr)
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	natsServer, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: address.Port, NoSigs: true, NoLog: true,
		Users: []*server.User{
			{Username: "hub", Password: "hubsecret", Permissions: may([]string{subjects.HubMay()}, []string{subjects.HubMay()})},
			{Username: "work", Password: "worksecret", Permissions: may(subjects.WorkerMayPublish(wire.Any), subjects.WorkerMaySubscribe(wire.Any))},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	flags := func(user, password string) fleetServersFlags {
		file := filepath.Join(dir, user)
		if err := os.WriteFile(file, []byte(user+":"+password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return fleetServersFlags{Fleet: []serverFlag{{"nats", address.String(), fleet}}, FleetCreds: file}
	}
	newHub := func() service {
		s := service{
			proof: pow.SHA3RSA, engine: fast.Engine{}, api: listenLocal(t), metrics: listenLocal(t),
			limits: limitFlags{MaxRunning: 4, MaxJobs: 64, MaxConnections: 64, MaxJobID: 256, MaxBody: 8 << 10, MaxHeader: 8 << 10, RequestTimeout: durationFlag(10 * time.Second)},
			log:    slog.New(slog.DiscardHandler),
		}
		var err error
		if s.fleet, err = (hubFlags{fleetServersFlags: flags("hub", "hubsecret")}).open(pow.SHA3RSA, s.log); err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := newHub()
	inBackground(t, first)
	page := "http://" + first.metrics.Addr().String()
	eventually(t, page+"/readyz", has("no machine of the fleet is there"))
	natsServer.Start() // later than the hub, which waits for it
	t.Cleanup(func() {
		natsServer.Shutdown()
		natsServer.WaitForShutdown()
	})

	c := &workCmd{fleetServersFlags: flags("work", "worksecret"), Name: "rig", PoW: pow.SHA3RSA}
	s := service{proof: pow.SHA3RSA, engine: fast.Engine{}, workers: 1, log: slog.New(slog.DiscardHandler)}
	config, err := c.hub(s)
	if err != nil {
		t.Fatal(err)
	}
	s.worksFor = &config
	inBackground(t, s)
	eventually(t, page+"/readyz", has("ok"))
	node := simulate.Node{Miner: "http://" + first.api.Addr().String(), Blocks: 3, BlockTime: 50 * time.Millisecond, Poll: 5 * time.Millisecond, BlockTimeout: time.Minute}
	if err := node.Run(t.Context()); err != nil {
		t.Error(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = newHub().run(ctx)
	if rival, ok := errors.AsType[*hub.RivalError](err); !ok || rival.Fleet != fleet || !strings.Contains(rival.Address, address.String()) {
		t.Errorf("a second hub ends with %v", err)
	}
}

// TestNoFleet looks for what a miner without a fleet must not have: a goroutine of NATS, or a port.
func TestNoFleet(t *testing.T) {
	s := service{
		proof: pow.SHA3RSA, engine: fast.Engine{}, workers: 1, api: listenLocal(t), metrics: listenLocal(t),
		limits: limitFlags{MaxRunning: 4, MaxJobs: 64, MaxConnections: 64, MaxJobID: 256, MaxBody: 8 << 10, MaxHeader: 8 << 10, RequestTimeout: durationFlag(10 * time.Second)},
		log:    slog.New(slog.DiscardHandler),
	}
	inBackground(t, s)
	eventually(t, "http://"+s.metrics.Addr().String()+"/readyz", has("ok"))
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, part := range []string{"nats-io", "internal/fleet/", "internal/source/fleet"} {
		if strings.Contains(string(stacks), part) {
			t.Errorf("there is a goroutine of %s:\n%s", part, stacks)
		}
	}
}

// TestFleetAddresses reads the addresses of hubs and servers, in all forms that there are.
func TestFleetAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"9835": "127.0.0.1:9835", "0": "127.0.0.1:0", "0.0.0.0": "0.0.0.0:9835", "0.0.0.0:1": "0.0.0.0:1", "[::]": "[::]:9835", "[::]:1": "[::]:1", "hub.example:0": "hub.example:0",
		"": "", ":1": "", "a:b": "", "a:65536": "", "::": "", "a b": "", "65536": "",
	} {
		var f hubAddressFlag
		if err := f.UnmarshalText([]byte(text)); (err == nil) != (want != "") || err == nil && f.String() != want {
			t.Errorf("--fleet-listen %s is %v, %v; want %q", text, f, err, want)
		}
	}
	for text, want := range map[string]string{
		"hub.example": "hub.example:9835", "10.0.0.1:1": "10.0.0.1:1", "[fe80::1%eth0]:2": "[fe80::1%eth0]:2", "[::1]": "[::1]:9835",
		"": "", "a:0": "", "::1": "", "a:b:c": "", "http://a": "",
	} {
		var f hubFlag
		if err := f.UnmarshalText([]byte(text)); (err == nil) != (want != "") || err == nil && string(f) != want {
			t.Errorf("--hub %s is %s, %v; want %q", text, f, err, want)
		}
	}
	for text, want := range map[string]string{
		"nats://a": "nats://a:4222", "tls://a:1/": "tls://a:1", "nats://[::1]:1/cellar": "nats://[::1]:1/cellar", " tls://a/main": "tls://a:4222",
		"": "", "a": "", "nats://": "", "nats://a:0": "", "nats://u:p@a": "", "nats://a?b": "", "nats://a#b": "", "nats://a/b c": "", "ws://a": "",
	} {
		var f serverFlag
		if err := f.UnmarshalText([]byte(text)); (err == nil) != (want != "") || err == nil && f.String() != want {
			t.Errorf("--fleet %s is %v, %v; want %q", text, f, err, want)
		}
	}
	for text, want := range map[string]bool{"rig7": true, "a.b-c_d": true, "": false, "-a": false, "a b": false, "ä": false, strings.Repeat("a", wire.MaxName+1): false} {
		var f machineFlag
		if err := f.UnmarshalText([]byte(text)); (err == nil) != want {
			t.Errorf("--name %s: %v", text, err)
		}
	}
}
