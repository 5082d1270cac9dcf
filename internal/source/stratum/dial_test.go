package stratum

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// listen plays a pool that speaks TLS up to some version, or none if that is 0, until the test
// ends. It returns its address and its certificate, which is its own authority.
func listen(t *testing.T, version uint16) (address string, der []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"pool.test"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if version > 0 {
		certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10, MaxVersion: version})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("{\"hello\":\"world\"}\n"))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String(), der
}

// TestDial has pools that are to be trusted, and others.
func TestDial(t *testing.T) {
	modern, der := listen(t, tls.VersionTLS13)
	older, olderDER := listen(t, tls.VersionTLS12)
	ancient, ancientDER := listen(t, tls.VersionTLS11)
	plain, _ := listen(t, 0)
	pin := func(der []byte) *Fingerprint { f := sha256.Sum256(der); return &f }
	roots := x509.NewCertPool()
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(certificate)
	for name, row := range map[string]struct {
		address string
		config  *tls.Config
		want    string // in the error, or nothing
	}{
		"plain":                  {plain, nil, ""},
		"an authority":           {modern, TLS("pool.test", roots, nil), ""},
		"another name":           {modern, TLS("pool.other", roots, nil), "give the name that the pool publishes"},
		"no authority":           {modern, TLS("pool.test", x509.NewCertPool(), nil), "give the authority with --tls-ca"},
		"a pin":                  {modern, TLS("pool.other", nil, pin(der)), ""},
		"a pin, with TLS 1.2":    {older, TLS("127.0.0.1", nil, pin(olderDER)), ""},
		"another pin":            {modern, TLS("pool.test", roots, pin(olderDER)), "and the pin is"},
		"TLS 1.1":                {ancient, TLS("127.0.0.1", nil, pin(ancientDER)), "TLS: "},
		"no TLS where it should": {plain, TLS("127.0.0.1", nil, pin(der)), "say stratum+tcp:// instead of stratum+ssl://"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := dial(t.Context(), Pool{Address: row.address, TLS: row.config})
			if row.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.Close()
			} else if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %s", err, row.want)
			}
			if _, isPin := errors.AsType[*PinError](err); isPin != fatal(err) || isPin != (name == "another pin") {
				t.Errorf("%v is fatal: %t", err, fatal(err))
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dial(ctx, Pool{Address: modern, TLS: TLS("pool.test", roots, nil)}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
