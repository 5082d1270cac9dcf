package console

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// say has a log say what a miner says in its life, and more than that.
func say(log *slog.Logger) {
	log.Info("serving metrics and a live page", "page", "http://127.0.0.1:9834")
	log.Info("mining for nodes", "nodes", []string{"10.0.0.5:9833"}, "pow", "poseidon2", "engine", "cpu-simd", "kernel", "avx512",
		"workers", 16, "priority", "low", "affinity", "any", "throttle", "100%", "version", "v1.1.0")
	log.Info("serving the node's API", "url", "https://127.0.0.1:9833", "pow", "sha3-rsa", "engine", "cpu-fast", "kernel", "math/bits", "workers", 1, "version", "v1.1.0")
	node := log.With("node", "10.0.0.5:9833")
	node.Info("connected to the node")
	node.Info("working for the node", "rank", 2, "of", 3)
	node.Info("waiting for the first job: the node may be syncing")
	log.Info("new job", "job", "27#3", "difficulty", "4290000000000")
	<-time.After(10 * time.Second)
	log.Info("hash rate", "hash_rate_10s", 2.31e9, "hash_rate_60s", nil, "hash_rate_15m", nil, "jobs", 1, "jobs_total", 3, "found", 1,
		"uptime", 9*time.Second, "effort", 0.4212, "time_to_block", 31*time.Minute,
		slog.Group("hash_rates", "cpu", 31e6, "gpu0", 1.37e9, "gpu1", 0.69e9), "node", "working for 10.0.0.5:9833", "state", "working")
	log.Info("new job", "job", "28#4", "difficulty", "4290000000000", "replaces", "27#3")
	log.Info("new job", "job", "29", "difficulty", "115792089237316195423570985008687907853269984665640564039457584007913129639935")
	node.Info("result sent", "job", "29", "nonce", "ddd3d62c"+strings.Repeat("0", 112)+"e6efc9e9", "after", 300*time.Microsecond, "found", 2)
	log.Info("hash rate", "hash_rate_10s", 0.0, "hash_rate_60s", 1e3, "hash_rate_15m", 12.5, "jobs", 0, "jobs_total", 4, "found", 2,
		"uptime", 26*time.Hour+9*time.Second, "effort", 12.3, "time_to_block", time.Duration(math.MaxInt64),
		"node", "not connected to a: gone; next try at 12:00:31", "state", "not_connected")
	node.Warn("connection lost", "reason", errors.New("timeout"), "mining", false, "next_try", time.Second)
	node.Warn("cannot connect to the node", "reason", errors.New("refused\n\x1b[31m"), "next_try", 1500*time.Millisecond)
	node.Error("the miner ends", "reason", errors.New("the node refuses the token"))
	log.Info("job started", "job", "3f0c", "engine", "cpu-simd", "header", strings.Repeat("a", 64), "threshold_bits", 500)
	log.Info("job completed", "job", "3f0c", "hashes", uint64(12345678), "elapsed", 95*time.Second, "hash_rate", 8.2e6, "nonce", "1f4")
	log.Info("job cancelled", "job", "3f0c", "hashes", uint64(12345678))
	log.Info("job failed", "job", "3f0c", "reason", errors.New("no valid nonce in the range"), "jobs_omitted", 7)
	log.Warn("job refused", "job", "3f0c", "reason", "the body must not exceed 8192 bytes", "remote", "127.0.0.1:1")
	log.WithGroup("x").Info("new job", "job", "29")
	log.Debug("job started", "job", "27#3", "engine", "cpu-simd", "threshold_bits", 42)
	log.Info("shut down")
}

// TestLines holds all lines to golden files: on a terminal and in a file, and with those
// of level debug.
func TestLines(t *testing.T) {
	for file, options := range map[string]Options{
		"testdata/terminal.txt": {Color: true, Clock: time.TimeOnly},
		"testdata/file.txt":     {},
		"testdata/debug.txt":    {Level: slog.LevelDebug, Clock: time.TimeOnly},
	} {
		t.Run(file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Local = time.UTC
				var out bytes.Buffer
				say(slog.New(New(&out, options)))
				golden(t, file, strings.ReplaceAll(out.String(), "\x1b", "␛"))
			})
		})
	}
}

// golden compares with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestFormats(t *testing.T) {
	for got, want := range map[string]string{
		SI(0):                          "0",
		SI(999):                        "999",
		SI(26_900):                     "26.9 k",
		SI(4.29e12):                    "4.29 T",
		SI(math.Ldexp(1, 256)):         "1.16e77",
		SI(math.Inf(1)):                "+Inf",
		Short(300 * time.Microsecond):  "0.3 ms",
		Short(42 * time.Millisecond):   "42 ms",
		Short(1040 * time.Millisecond): "1 s",
		Short(95 * time.Second):        "95 s",
		Short(31 * time.Minute):        "31:00",
		Long(0.0213):                   "about 0.021 s",
		Long(99):                       "about 99 s",
		Long(31 * 60):                  "about 31 min",
		Long(30 * 3600):                "about 30 h",
		Long(30 * 86400):               "about 30 days",
		Long(5e8):                      "about 16 years",
		Long(math.Inf(1)):              "more than 1000 years",
		Effort(0.004):                  "0 %",
		Effort(9.99):                   "999 %",
		Effort(12.3):                   "12x",
		clock(9 * time.Second):         "0:09",
		clock(3609 * time.Second):      "1:00:09",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestFleet holds what is said of a hub and of its workers to a golden file.
func TestFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := slog.New(New(&text, Options{Clock: time.TimeOnly}))
		time.Local = time.UTC
		log.Info("machines join the fleet with this command, and with copies of these files", "command", "quantus-miner work --hub hub.example:9835", "files", []string{"dir/fleet-token", "dir/fleet-cert-sha256"})
		log.Info("the fleet has a hub", "fleet", "main", "hub", "0123", "address", "hub.example:9835")
		log.Info("machine joins", "machine", "rig7", "asked_for", "rig7", "version", "v1.1.0", "threads", 16, "id", "0123")
		log.Info("machine joins", "machine", "rig7-2", "asked_for", "rig7", "version", "v1.1.0", "threads", 8, "id", "4567")
		log.Warn("machine is gone", "machine", "rig7", "reason", "it has been silent for 5s")
		log.Info("machine is back", "machine", "rig7")
		log.Warn("machine is slow", "machine", "rig7", "reason", "\x1b[31mhalf")
		log.Info("machine left", "machine", "rig7-2", "reason", "it has left")
		log.Info("hash rate", "hash_rate_10s", 2.31e9, "jobs_total", 3, "found", 12, "time_to_block", 5*time.Second, "machines", 1999, "fleet_hash_rate", 2.3e9, "machines_idle", 2, "machines_gone", 1)
		hub := log.With("hub", "hub.example:9835")
		log.Info("mining for a hub", "hub", "hub.example:9835", "name", "rig7", "pow", "poseidon2", "engine", "cpu-simd", "kernel", "avx512", "workers", 16, "version", "v1.1.0")
		hub.Warn("cannot connect to the hub", "reason", errors.New("connection refused"))
		hub.Info("connected to the hub", "name", "rig7", "hub_id", "0123")
		hub.Info("the hub has the winner", "job", "22729#3", "nonce", "0004ee450123")
		log.Info("hash rate", "hash_rate_10s", 31e6, "jobs_total", 3, "found", 1, "hub", "connected to the hub hub.example:9835, which has no job", "state", "waiting", "leases", 0)
		golden(t, "testdata/fleet.txt", text.String())
	})
}

// TestPool holds what is said of a pool to a golden file.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := slog.New(New(&text, Options{Clock: time.TimeOnly}))
		time.Local = time.UTC
		log.Info("mining for pools", "pools", []string{"stratum+ssl://pool.example:3333"}, "pow", "poseidon2", "engine", "cpu-simd", "kernel", "avx512", "workers", 16, "version", "v1.1.0")
		pool := log.With("pool", "stratum+ssl://pool.example:3333")
		pool.Warn("cannot connect to the pool", "reason", errors.New("connecting: no route to host"), "mining", true, "next_try", 1500*time.Millisecond)
		pool.Info("connected to the pool")
		pool.Info("the pool has no job")
		pool.Info("working for the pool", "rank", 1, "of", 2)
		log.Info("hash rate", "hash_rate_10s", 2.31e9, "jobs_total", 3, "found", 12, "accepted", uint64(11), "refused", uint64(1), "unacknowledged", uint64(2),
			"time_to_block", 5*time.Second, slog.Group("hash_rates", "cpu", 31e6), "pool", "working for stratum+ssl://pool.example:3333", "state", "working", "latency", 34*time.Millisecond)
		pool.Info("new job", "job", "22729-10000000000#3", "difficulty", uint64(10_000_000_000))
		share := func(attrs ...any) []any {
			return append([]any{"job", "22729-10000000000#3", "nonce", "0004ee45", "accepted", 12, "answered", uint64(13), "difficulty", uint64(10_000_000_000)}, attrs...)
		}
		pool.Info("share accepted", share("latency", 34*time.Millisecond)...)
		pool.Warn("share refused", share("latency", 34*time.Millisecond, "result", "stale", "reason", "job is over")...)
		pool.Warn("share refused", share("latency", 34*time.Millisecond, "result", "low_difficulty", "reason", "no\x1b[31m")...)
		pool.Info("share not sent", share("result", "stale", "reason", "the job was replaced")...)
		pool.Warn("share not acknowledged", share("result", "unacknowledged", "reason", "no answer for 30s")...)
		pool.Warn("connection to the pool lost", "reason", errors.New("the pool has closed the connection"), "mining", false, "next_try", time.Second)
		log.Info("hash rate", "hash_rate_10s", 0.0, "jobs_total", 3, "found", 12, "pool", "not connected to pool.example", "state", "not_connected")
		log.Info("summary", "state", "working", "hash_rate", 2.31e9, "found", 12, "accepted", uint64(11), "refused", uint64(1), "jobs_total", 3, "uptime", time.Hour)
		pool.Error("the miner ends", "reason", errors.New("the pool refuses the login: no such user"))
		golden(t, "testdata/pool.txt", text.String())
	})
}
