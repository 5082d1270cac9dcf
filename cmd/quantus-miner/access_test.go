package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// newCertificate returns a certificate for this machine that has the given serial
// number, and both it and its key in PEM.
func newCertificate(serial int64) (parsed *x509.Certificate, cert, key []byte, err error) {
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:     []string{"certified.example"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, secret.Public(), secret)
	if err != nil {
		return nil, nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		return nil, nil, nil, err
	}
	parsed, err = x509.ParseCertificate(der)
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return parsed, cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), err
}

// writeCertificate writes a certificate for this machine, and its key, that has the
// given serial number.
func writeCertificate(t *testing.T, cert, key string, serial int64) *x509.Certificate {
	t.Helper()
	parsed, certificate, private, err := newCertificate(serial)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{cert: certificate, key: private} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return parsed
}

// TestAccess serves with credentials and TLS. A node whose URL has the credentials
// mines; without them, with wrong ones, or on behalf of a web page, nobody does. The
// metrics are guarded as well, but not the miner's health. A new certificate is taken
// up while all this goes on.
func TestAccess(t *testing.T) {
	dir := t.TempDir()
	flags := accessFlags{filepath.Join(dir, "users"), filepath.Join(dir, "cert"), filepath.Join(dir, "key")}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(flags.AuthFile, append([]byte("node:"), hash...), 0o600); err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(writeCertificate(t, flags.TLSCert, flags.TLSKey, 1))

	log := slog.New(slog.DiscardHandler)
	s := service{proof: pow.SHA3RSA, engine: fast.Engine{}, workers: 2, log: log}
	s.limits.MaxConnections = 10
	if s.guard, s.tls, err = flags.open(log); err != nil {
		t.Fatal(err)
	}
	s.hosts = hostsFlags{}.hosts(s.tls, log)
	for _, listener := range []*net.Listener{&s.api, &s.metrics} {
		if *listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	during(t, func(ctx context.Context) {
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
	})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}

	url, monitor := s.url(s.api), s.url(s.metrics)
	if !strings.HasPrefix(url, "https://127.0.0.1:") {
		t.Errorf("the URL is %s", url)
	}
	page := http.Header{"Sec-Fetch-Site": {"cross-site"}}
	certified, other := http.Header{"Host": {"certified.example"}}, http.Header{"Host": {"evil.example"}}
	for _, c := range []struct {
		url, user, password string
		header              http.Header
		want                int
	}{
		{url + "/result/x", "node", "secret", certified, http.StatusNotFound},
		{url + "/result/x", "node", "secret", other, http.StatusMisdirectedRequest},
		{url + "/result/x", "", "", other, http.StatusMisdirectedRequest},
		{monitor + "/metrics", "node", "secret", certified, http.StatusOK},
		{monitor + "/metrics", "node", "secret", other, http.StatusMisdirectedRequest},
		{monitor + "/healthz", "", "", other, http.StatusMisdirectedRequest},
		{url + "/result/x", "", "", nil, http.StatusUnauthorized},
		{url + "/result/x", "node", "wrong", nil, http.StatusUnauthorized},
		{url + "/result/x", "node", "secret", nil, http.StatusNotFound},
		{url + "/result/x", "node", "secret", page, http.StatusForbidden},
		{url + "/other", "", "", nil, http.StatusUnauthorized},
		{monitor + "/metrics", "", "", nil, http.StatusUnauthorized},
		{monitor + "/api/v1/status", "", "", nil, http.StatusUnauthorized},
		{monitor + "/api/v1/status", "node", "secret", nil, http.StatusOK},
		{monitor + "/", "", "", nil, http.StatusUnauthorized},
		{monitor + "/events", "", "", nil, http.StatusUnauthorized},
		{monitor + "/metrics", "node", "secret", nil, http.StatusOK},
		{monitor + "/metrics", "node", "secret", page, http.StatusForbidden},
		{monitor + "/healthz", "", "", nil, http.StatusOK},
		{monitor + "/readyz", "", "", nil, http.StatusOK},
	} {
		request, err := http.NewRequest("GET", c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.header != nil {
			request.Header, request.Host = c.header.Clone(), c.header.Get("Host")
		}
		if c.user != "" {
			request.SetBasicAuth(c.user, c.password)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%s as %q: %d %s, want %d", c.url, c.user, response.StatusCode, body, c.want)
		}
		if strings.HasPrefix(c.url, url) && !strings.HasPrefix(string(body), `{"status":"`) {
			t.Errorf("%s: the node could not decode %s", c.url, body)
		}
	}

	trusted.AddCert(writeCertificate(t, flags.TLSCert, flags.TLSKey, 2))
	for serial := int64(1); serial != 2; {
		conn, err := tls.Dial("tcp", s.api.Addr().String(), &tls.Config{RootCAs: trusted})
		if err != nil {
			t.Fatal(err)
		}
		serial = conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
		_ = conn.Close()
	}
}

// TestNodeWithCredentials has a node mine whose URL has a user and a password, and one
// whose URL has none.
func TestNodeWithCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("a-token-of-the-node\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s := service{proof: pow.SHA3RSA, engine: fast.Engine{}, workers: 2, log: log}
	var err error
	if s.guard, _, err = (accessFlags{AuthFile: file}).open(log); err != nil {
		t.Fatal(err)
	}
	if s.api, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	during(t, func(ctx context.Context) {
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
	})
	node := simulate.Node{Blocks: 3, BlockTime: 20 * time.Millisecond, Poll: time.Millisecond, BlockTimeout: time.Minute}
	node.Miner = "http://node:a-token-of-the-node@" + s.api.Addr().String()
	if err := node.Run(t.Context()); err != nil {
		t.Error(err)
	}
	node.Miner = "http://" + s.api.Addr().String()
	if err := node.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "credentials are needed") {
		t.Errorf("without credentials: %v", err)
	}
}

// TestOtherHosts asks both ports of the real server for hosts that are the miner's and
// for one that is not, as a page does whose name was made to stand for the miner's
// address. A node that dials one of the names is served.
func TestOtherHosts(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	name := hostFlag("Miner.Example")
	s := service{proof: pow.SHA3RSA, engine: fast.Engine{}, workers: 1, log: log, hosts: hostsFlags{AllowHost: []nameFlag{"rig7"}}.hosts(nil, log, &name, nil)}
	s.limits.MaxConnections = 10
	for _, listener := range []*net.Listener{&s.api, &s.metrics} {
		var err error
		if *listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	during(t, func(ctx context.Context) {
		if err := s.run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	for _, c := range []struct {
		url  string
		code int // for a host that is the miner's
	}{
		{s.url(s.api) + "/result/x", http.StatusNotFound},
		{s.url(s.metrics) + "/metrics", http.StatusOK},
		{s.url(s.metrics) + "/api/v1/status", http.StatusOK},
		{s.url(s.metrics) + "/", http.StatusOK},
		{s.url(s.metrics) + "/healthz", http.StatusOK},
		{s.url(s.metrics) + "/readyz", http.StatusOK},
		{s.url(s.metrics) + "/none", http.StatusNotFound},
	} {
		for _, host := range []string{"", "localhost:1", "miner.example", "rig7:9833", "evil.example", "evil.example:9833"} {
			request, err := http.NewRequest("GET", c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = host
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			want := c.code
			if strings.HasPrefix(host, "evil") {
				want = http.StatusMisdirectedRequest
			}
			if response.StatusCode != want {
				t.Errorf("%s for host %q: %d, want %d", c.url, host, response.StatusCode, want)
			}
		}
	}
}
