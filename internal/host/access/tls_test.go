package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pipenet"
)

// pair is a certificate with its key, in PEM.
type pair struct {
	cert, key string
	parsed    *x509.Certificate
}

// newPair makes a certificate for a name, and for more, that holds for an hour.
func newPair(t testing.TB, name string, from time.Time, more ...string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     append([]string{name}, more...),
		NotBefore:    from,
		NotAfter:     from.Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})),
		parsed,
	}
}

// put puts a pair into files of a directory.
func (p pair) put(t testing.TB, dir string) (certFile, keyFile string) {
	t.Helper()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put(t, certFile, p.cert)
	put(t, keyFile, p.key)
	return certFile, keyFile
}

// trusts returns a client that trusts in one certificate.
func (p pair) trusts() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(p.parsed)
	return &tls.Config{RootCAs: roots, ServerName: p.parsed.DNSNames[0], NextProtos: []string{"h2", "http/1.1"}}
}

// shake has a client and a server shake hands, and returns what the client knows then.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		err := tls.Server(a, server).HandshakeContext(ctx)
		if err != nil {
			_ = a.Close()
		}
		served <- err
	}()
	conn := tls.Client(b, client)
	err := conn.HandshakeContext(ctx)
	if err != nil {
		_ = b.Close()
	}
	return conn.ConnectionState(), errors.Join(err, <-served)
}

func TestTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, "miner", time.Now())
		certFile, keyFile := p.put(t, t.TempDir())
		var j journal
		config, err := TLS(certFile, keyFile, j.log())
		if err != nil {
			t.Fatal(err)
		}
		if text := j.text.String(); text != "" {
			t.Errorf("the log has %s", text)
		}
		state, err := shake(t, config, p.trusts())
		if err != nil || state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%s, %q, %v", tls.VersionName(state.Version), state.NegotiatedProtocol, err)
		}
		for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true} {
			client := p.trusts()
			client.MinVersion, client.MaxVersion = tls.VersionTLS10, version
			if _, err := shake(t, config, client); (err == nil) != ok {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
		}
		if _, err := shake(t, config, newPair(t, "miner", time.Now()).trusts()); err == nil {
			t.Error("a client that trusts in another certificate was content")
		}
	})
}

func TestTLSReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		old, renewed := newPair(t, "miner", time.Now()), newPair(t, "miner", time.Now())
		certFile, keyFile := old.put(t, dir)
		var j journal
		config, err := TLS(certFile, keyFile, j.log())
		if err != nil {
			t.Fatal(err)
		}
		expect := func(after time.Duration, p pair, failures int) {
			t.Helper()
			<-time.After(after)
			state, err := shake(t, config, p.trusts())
			if err != nil || !state.PeerCertificates[0].Equal(p.parsed) {
				t.Errorf("the wrong certificate: %v", err)
			}
			if lines := j.lines(slog.LevelError); len(lines) != failures {
				t.Errorf("want %d errors: %s", failures, lines)
			}
		}
		expect(0, old, 0)
		put(t, certFile, renewed.cert)
		expect(0, old, 0)
		expect(lookInterval, old, 1) // its key is missing
		expect(lookInterval, old, 0)
		put(t, keyFile, renewed.key)
		expect(lookInterval, renewed, 0)

		put(t, keyFile, old.key) // the other way round
		expect(lookInterval, renewed, 1)
		put(t, certFile, "no certificate")
		expect(lookInterval, renewed, 1)
		expect(lookInterval, renewed, 0)
		put(t, certFile, old.cert)
		expect(lookInterval, old, 0)

		renewed.put(t, dir) // both at once
		expect(lookInterval, renewed, 0)
	})
}

// encryptedKey returns a file with a key that nobody could read, which is not needed.
func encryptedKey(kind string, headers map[string]string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: []byte("ciphertext")}))
}

// inDER returns what is in a file of PEM as it is.
func inDER(t *testing.T, text string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("not in PEM")
	}
	return string(block.Bytes)
}

// TestTLSMark reads files that editors have put a byte order mark in front of.
func TestTLSMark(t *testing.T) {
	p := newPair(t, "miner", time.Now())
	p.cert, p.key = "\ufeff"+p.cert, "\ufeff"+p.key
	certFile, keyFile := p.put(t, t.TempDir())
	if _, err := TLS(certFile, keyFile, new(journal).log()); err != nil {
		t.Error(err)
	}
}

func TestTLSErrors(t *testing.T) {
	p, other := newPair(t, "miner", time.Now()), newPair(t, "miner", time.Now())
	for _, c := range []struct {
		name      string
		cert, key string // - for none
		says      string // with the files for C and K
	}{
		{"no certificate", "-", p.key, "TLS certificate: stat C: "},
		{"no key", p.cert, "-", "TLS key: stat K: "},
		{"another key", p.cert, other.key, "TLS certificate C with the key K: the key is that of another certificate: tls: private key does not match public key"},
		{"the wrong way round", p.key, p.cert, "TLS certificate C with the key K: tls: "},
		{"the leaf behind its chain", other.cert + p.cert, p.key, "TLS certificate C: the order is wrong: the key's own certificate is number 2 in the file"},
		{"encrypted", p.cert, encryptedKey("ENCRYPTED PRIVATE KEY", nil), "TLS key K: it is encrypted"},
		{"encrypted, of old", p.cert, encryptedKey("EC PRIVATE KEY", map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}), "TLS key K: it is encrypted"},
		{"a certificate in DER", inDER(t, p.cert), p.key, "TLS certificate: C: it is in DER: write it in PEM with openssl x509 "},
		{"a key in DER", p.cert, inDER(t, p.key), "TLS key: K: it is in DER: write it in PEM with openssl pkey "},
		{"a key of OpenSSH", p.cert, encryptedKey("OPENSSH PRIVATE KEY", nil), "TLS key: K: it is a key of OpenSSH"},
		{"UTF-16", "\xff\xfe-\x00", p.key, "TLS certificate: C: is in UTF-16"},
		{"empty", "", "", "TLS certificate C with the key K: tls: failed to find any PEM data in certificate input"},
		{"too large", p.cert + strings.Repeat("\n", maxPEM), p.key, "TLS certificate: C: must not be larger than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
			if c.cert != "-" {
				put(t, certFile, c.cert)
			}
			if c.key != "-" {
				put(t, keyFile, c.key)
			}
			want := strings.NewReplacer(" C:", " "+certFile+":", " K:", " "+keyFile+":", " C ", " "+certFile+" ", " K ", " "+keyFile+" ").Replace(c.says)
			if _, err := TLS(certFile, keyFile, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got the error %v, want %s", err, want)
			}
		})
	}
}

// TestValidity loads certificates that do not hold now.
func TestValidity(t *testing.T) {
	for _, c := range []struct {
		name string
		from time.Duration // from now on
		says string
	}{
		{"now", -time.Minute, ""},
		{"expired", -2 * time.Hour, "the TLS certificate has expired"},
		{"to come", time.Hour, "the TLS certificate is not valid yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			certFile, keyFile := newPair(t, "miner", time.Now().Add(c.from)).put(t, t.TempDir())
			var j journal
			if _, err := TLS(certFile, keyFile, j.log()); err != nil {
				t.Fatal(err)
			}
			if text := j.text.String(); !strings.Contains(text, c.says) || (c.says == "") != (text == "") ||
				text != "" && !(strings.Contains(text, "level=WARN") && strings.Contains(text, certFile)) {
				t.Errorf("the log has %q", text)
			}
		})
	}
}

// TestServer asks a server that has all of this for something, as the node does.
func TestServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, "miner", time.Now())
		certFile, keyFile := p.put(t, t.TempDir())
		config, err := TLS(certFile, keyFile, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		g := newGuarded(t, standardFile(t))
		refuse := func(w http.ResponseWriter, _ *http.Request, code int, message string) { http.Error(w, message, code) }
		ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		listener := pipenet.Listen()
		server := &http.Server{Handler: RefusePages(g.Wrap(ok, refuse), refuse)}
		served := make(chan error, 1)
		go func() { served <- server.Serve(tls.NewListener(listener, config)) }()
		transport := &http.Transport{
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return listener.Dial() },
			TLSClientConfig:   p.trusts(),
			ForceAttemptHTTP2: true,
		}
		client := &http.Client{Transport: transport}
		for _, c := range []struct {
			user string // with a password, in the URL
			site string
			code int
		}{
			{"", "", 401},
			{"alice:correct%20horse%3A%20battery@", "", 204},
			{"alice:correct%20horse%3A%20battery@", "same-origin", 403},
			{"bob:w%C3%B6rd%2C%20%E2%98%83@", "", 204},
			{"bob:guess@", "", 401},
			{"any:" + theToken + "@", "", 204},
		} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+c.user+"miner/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.site != "" {
				r.Header.Set("Sec-Fetch-Site", c.site)
			}
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != c.code || response.ProtoMajor != 1 {
				t.Errorf("%+v: %s %s", c, response.Proto, response.Status)
			}
		}
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
