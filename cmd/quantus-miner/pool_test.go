package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/fast"
	"github.com/quantus-network/quantus-miner/internal/simulate"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
)

// testUser has the form of an address and a rig, and is nobody's.
const testUser = "qzTestTestTestTestTestTestTestTestTestTestTestTest.rig1"

// playPool returns a pool, and a command that mines for it by TLS, or by TCP.
func playPool(t testing.TB, scheme string) (*simulate.Pool, *poolCmd) {
	t.Helper()
	identity, err := simulate.NewPoolIdentity("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := simulate.ListenPool("127.0.0.1:0", identity, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	pool.ShareTime = 20 * time.Millisecond
	ca, _, err := identity.WriteFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &poolCmd{loginFlags: loginFlags{User: []userFlag{testUser}}, KeepAlive: intervalFlag(30 * time.Second)}
	c.URL = []poolFlag{urlOf(t, pool, scheme)}
	if scheme == poolTLS {
		c.TLSCA = ca
	}
	return pool, c
}

// urlOf returns the URL of a pool.
func urlOf(t testing.TB, pool *simulate.Pool, scheme string) (f poolFlag) {
	t.Helper()
	if err := f.UnmarshalText([]byte(scheme + "://" + pool.Address())); err != nil {
		t.Fatal(err)
	}
	return f
}

// poolWith returns a service that mines as a command has it.
func poolWith(t *testing.T, c *poolCmd, log io.Writer) service {
	t.Helper()
	pools, err := c.pools()
	if err != nil {
		t.Fatal(err)
	}
	return service{proof: pow.Poseidon2, engine: fast.Engine{}, workers: 2, pools: pools, keepAlive: time.Duration(c.KeepAlive), log: slog.New(slog.NewJSONHandler(log, nil))}
}

// TestPool has a pool accept some shares, by TLS and by TCP, and looks at the miner meanwhile.
func TestPool(t *testing.T) {
	for _, scheme := range []string{poolTLS, poolTCP} {
		t.Run(scheme, func(t *testing.T) {
			pool, c := playPool(t, scheme)
			var log bytes.Buffer
			s := poolWith(t, c, &log)
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s.metrics, s.limits.MaxConnections, s.reportEvery = listener, monitorConnections, 20*time.Millisecond
			page := "http://" + listener.Addr().String()
			var stopped sync.WaitGroup
			ctx, stop := context.WithCancel(t.Context())
			stopped.Go(func() {
				if err := s.run(ctx); err != nil {
					t.Error(err)
				}
			})
			var ready, status string
			pool.Shares = 60
			pool.Report = func(simulate.Share) {
				ready = answer(http.Get(page + "/readyz"))
				if now := answer(http.Get(page + "/api/v1/status")); strings.Contains(now, `"state":"working","reason":"","started"`) {
					status = now
				}
			}
			if err := pool.Run(t.Context()); err != nil {
				t.Error(err)
			}
			if !strings.HasPrefix(ready, "ok") {
				t.Errorf("between two shares it is ready: %s", ready)
			}
			for _, field := range []string{`"node":null,"pool":{"url":"` + c.URL[0].String() + `"`, `"answer":"accepted"`, `"shares":{"accepted":`, `"latency_seconds":0.`} {
				if !strings.Contains(status, field) {
					t.Errorf("the status lacks %s: %s", field, status)
				}
			}
			metrics := answer(http.Get(page + "/metrics"))
			for _, line := range []string{
				`miner_pool_shares_total{result="accepted"} `,
				`miner_pool_latency_seconds_count `,
				`miner_pool_info{fallback="false",pool="` + c.URL[0].String() + `"} 1`,
				"miner_pool_jobs_total ",
				"miner_job_start_seconds_count ",
			} {
				if !strings.Contains(metrics, line) || strings.Contains(metrics, line+"0\n") {
					t.Errorf("the metrics lack %s", line)
				}
			}
			if strings.Contains(metrics, "miner_node_") || strings.Contains(metrics, "miner_http_requests_total") {
				t.Error("there are metrics of a node, or of an API")
			}
			stop()
			stopped.Wait()
			for _, text := range []string{`"msg":"connected to the pool","pool":"` + c.URL[0].String(), `"msg":"share accepted"`, `"state":"working","accepted":`} {
				if !strings.Contains(log.String(), text) {
					t.Errorf("the log lacks %s:\n%s", text, &log)
				}
			}
			for _, text := range []string{"share refused", "shares are refused", "ERROR"} {
				if strings.Contains(log.String(), text) {
					t.Errorf("the log has %s:\n%s", text, &log)
				}
			}
		})
	}
}

// awaited is a log that says when some text is in it.
type awaited struct {
	bytes.Buffer
	text  string
	found func()
}

func (l *awaited) Write(p []byte) (int, error) {
	n, err := l.Buffer.Write(p)
	if strings.Contains(l.String(), l.text) {
		l.found()
	}
	return n, err
}

// TestPoolTrust has pools that are not trusted, for all that can be wrong with a certificate.
func TestPoolTrust(t *testing.T) {
	pool, c := playPool(t, poolTLS)
	ctx, stop := context.WithCancel(t.Context())
	var g sync.WaitGroup
	defer g.Wait()
	defer stop()
	g.Go(func() { _ = pool.Run(ctx) })
	// It runs until its log has some text, or it ends by itself.
	try := func(c *poolCmd, text string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		log := &awaited{text: text, found: cancel}
		err := poolWith(t, c, log).run(ctx)
		return log.String(), err
	}
	other := *c
	other.TLSCA = ""
	advice := "give the authority with --tls-ca, or the SHA-256"
	if log, err := try(&other, advice); err != nil || !strings.Contains(log, advice) || strings.Contains(log, "connected to") {
		t.Errorf("without its authority: %v\n%s", err, log)
	}
	other.TLSCertSHA256 = []pinFlag{{1}}
	log, err := try(&other, "connected to")
	if pin, ok := errors.AsType[*stratum.PinError](err); !ok || pin.Want[0] != 1 || !strings.Contains(adviseOnPool(err).Error(), "another one answers") {
		t.Errorf("with another pin: %v\n%s", err, log)
	}
	plain := *c
	plain.TLSCA, plain.URL = "", []poolFlag{urlOf(t, pool, poolTCP)}
	connected := "connected to the pool"
	if log, err := try(&plain, connected); err != nil || !strings.Contains(log, connected) { // as it takes both
		t.Errorf("without TLS: %v\n%s", err, log)
	}
}

// TestPoolFiles has the password in a file, with what else may be wrong.
func TestPoolFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]loginFlags{
		"x":             {User: []userFlag{"qza.b"}},
		"itself":        {User: []userFlag{"qza.b"}, Password: []string{"other", "itself"}},
		"from the file": {User: []userFlag{"qza.b"}, PasswordFile: []string{file}},
	} {
		if login, err := c.login(1); err != nil || login != (stratum.Login{User: "qza.b", Password: want}) {
			t.Errorf("the login is %+v, %v, want %s", login, err, want)
		}
	}
	for user, want := range map[userFlag]string{"qza.rig": "", "5Gabc.rig": "does not begin", "qza": "no name", "qza.": "no name"} {
		if warning := user.warning(); (warning == "") != (want == "") || !strings.Contains(warning, want) {
			t.Errorf("%s: %s", user, warning)
		}
	}
}

var poolTrouble = flag.Duration("pool-trouble", 3*time.Second, "how long TestPoolTrouble has a pool be in trouble")

// TestPoolTrouble has a pool be in all kinds of trouble: it says if the miner does anything wrong.
// Nothing may be left of it. The module e2e does so with the real binary.
func TestPoolTrouble(t *testing.T) {
	before := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, before)
	pool, c := playPool(t, poolTLS)
	// A login that is refused ends a miner that knows one pool. This one is known by two names.
	c.URL = append(c.URL, urlOf(t, pool, poolTCP))
	pool.ShareTime, pool.Grace = 50*time.Millisecond, 10*time.Second
	var log bytes.Buffer
	s := poolWith(t, c, &log)
	ctx, stop := context.WithTimeout(t.Context(), *poolTrouble)
	defer stop()
	mining, end := context.WithCancel(t.Context())
	var g sync.WaitGroup
	ended := make(chan error, 1)
	g.Go(func() { ended <- s.run(mining) })
	g.Go(func() { pool.InjectFaults(ctx, 700*time.Millisecond) })
	err := pool.Run(ctx)
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the pool: %v", err)
	}
	end()
	g.Wait()
	pool.Close()
	if err := <-ended; err != nil {
		t.Errorf("the miner: %v", err)
	}
	tally := pool.Tally()
	t.Logf("%+v", tally)
	if tally.Accepted == 0 {
		t.Error("no share was accepted")
	}
	if t.Failed() {
		t.Log(log.String())
	}
}

// FuzzPoolURL takes URLs of all kinds: those that are taken are a host and a port, and no error
// quotes one.
func FuzzPoolURL(f *testing.F) {
	for _, seed := range []string{
		"stratum+ssl://pool.example:3333", "stratum+tcp://127.0.0.1:1/", "STRATUM+SSL://[::1]:65535", "stratum+ssl://[fe80::1%25eth0]:1", "strAtum+ssl://[::%25\xc7]:1", "stratum+tcp://user:secret@a:1",
		"stratum+ssl://a:1/x?y#z", "stratum+ssl://a", "stratum+ssl://:1", "stratum+ssl://a:1:2", "ssl://a:1", "http://a", "://", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var pool poolFlag
		if err := pool.UnmarshalText([]byte(text)); err != nil {
			if len(text) > 20 && strings.Contains(err.Error(), text) {
				t.Errorf("the error quotes %q: %v", text, err)
			}
			return
		}
		host, port, err := net.SplitHostPort(pool.address())
		if err != nil || host != pool.host || port != pool.port || host == "" {
			t.Fatalf("%q is %+v: %v", text, pool, err)
		}
		var again poolFlag
		if err := again.UnmarshalText([]byte(pool.String())); err != nil || again != pool {
			t.Errorf("%q is %s, which is %+v, %v", text, pool, again, err)
		}
	})
}
