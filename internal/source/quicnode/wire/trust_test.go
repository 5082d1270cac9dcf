package wire

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseFingerprint(t *testing.T) {
	const digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	for _, text := range []string{
		digits,
		strings.ToUpper(digits) + "\n",
		" 00:01:02:03 " + digits[8:] + "\r\n\u00a0",
		strings.Join(strings.SplitAfter(digits, ""), " : "),
		"\ufeff" + digits,
		"sha256:" + digits,
		"SHA-256: " + digits,
		"\ufeffSHA256:" + digits + "\n",
		"SHA256 Fingerprint=" + openssl(digits) + "\n",
		"sha256 Fingerprint=" + openssl(digits) + "\n", // since OpenSSL 3
		"SHA256(cert.der)= " + digits + "\n",
		"SHA2-256(miner cert.der)= " + digits + "\n",
		digits + "  cert.der\n",
		digits + " *C:\\node\\cert.der\r\n",
		digits + "  -\n",
	} {
		if f, err := ParseFingerprint(text); f.String() != digits || err != nil {
			t.Errorf("%q: %v, %v", text, f, err)
		}
	}
	for _, text := range []string{"", ":", digits[1:], digits + "0", "0x" + digits, digits[2:] + "0g", digits[:63] + "\u0661", digits + digits, digits + "  " + digits, digits + " ab", digits + "\ncert.der\n", digits + "cert.der", "x " + digits + " cert.der"} {
		if f, err := ParseFingerprint(text); err == nil || f != (Fingerprint{}) {
			t.Errorf("%q: %v, %v", text, f, err)
		}
	}
}

// openssl writes hex digits as openssl does.
func openssl(digits string) string {
	var pairs []string
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, strings.ToUpper(digits[i:i+2]))
	}
	return strings.Join(pairs, ":")
}

// TestReadFingerprint reads files that have a fingerprint or a certificate, and others.
func TestReadFingerprint(t *testing.T) {
	identity := newCertificate(t)
	own := identity.Certificate[0]
	want := FingerprintOf(own)
	key, err := x509.MarshalPKCS8PrivateKey(identity.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := x509.MarshalECPrivateKey(identity.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	inPEM := func(kind string) string { return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: own})) }
	for name, content := range map[string]string{
		"digits":          want.String() + "\n",
		"openssl's words": "sha256 Fingerprint=" + openssl(want.String()) + "\n",
		"DER":             string(own),
		"PEM":             inPEM("CERTIFICATE"),
		"PEM with a mark": byteOrderMark + inPEM(certificate),
		"a key in front":  inPEM("PRIVATE KEY") + inPEM(certificate),
		"openssl's dump":  "subject=CN = node\n" + inPEM("CERTIFICATE"),
		"a chain":         inPEM("CERTIFICATE") + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: newCertificate(t).Certificate[0]})),
	} {
		if got, err := ReadFingerprint([]byte(content)); got != want || err != nil {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct{ content, says string }{
		"a token":      {"s3cret-token-of-the-node\n", "--auth-token-file"},
		"a key":        {inPEM("PRIVATE KEY"), "has a PRIVATE KEY"},
		"a key in DER": {string(key), "has a private key"},
		"an EC key":    {string(ecKey), "has a private key"},
		"broken PEM":   {string(pem.EncodeToMemory(&pem.Block{Type: certificate, Bytes: own[1:]})), "the certificate in it is broken"},
		"UTF-16":       {"\xff\xfe0\x000\x00", "is in UTF-16"},
		"words":        {"no fingerprint at all", "the certificate itself"},
		"nothing":      {"", "64 hex digits"},
		"broken DER":   {string(own[:len(own)-1]), "64 hex digits"},
		"SHA-1":        {"SHA1 Fingerprint=" + openssl(want.String()[:40]), "is a SHA-1"},
		"half a hash":  {want.String()[:62], "64 hex digits"},
	} {
		got, err := ReadFingerprint([]byte(c.content))
		if err == nil || got != (Fingerprint{}) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// FuzzReadFingerprint holds what is read to what is in the file.
func FuzzReadFingerprint(f *testing.F) {
	der := newCertificate(f).Certificate[0]
	f.Add(der)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: certificate, Bytes: der}))
	f.Add([]byte(byteOrderMark + "SHA256 Fingerprint=" + strings.Repeat("0A:", 32)))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := ReadFingerprint(content)
		if err != nil {
			if got != (Fingerprint{}) {
				t.Errorf("%q: %s with the error %v", content, got, err)
			}
			return
		}
		if parsed, err := ParseFingerprint(string(content)); err == nil && parsed == got {
			return
		}
		text := bytes.TrimPrefix(content, []byte(byteOrderMark))
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == certificate {
				text = block.Bytes
				break
			}
		}
		if _, err := x509.ParseCertificate(text); err != nil || FingerprintOf(text) != got {
			t.Errorf("%q was read as %s", content, got)
		}
	})
}

// FuzzParseFingerprint holds what is accepted to its digits.
func FuzzParseFingerprint(f *testing.F) {
	f.Add(strings.Repeat("0a", 32))
	f.Add(strings.Repeat("0A:", 32) + "\n")
	f.Add(strings.Repeat("é", 32))
	f.Fuzz(func(t *testing.T, text string) {
		print, err := ParseFingerprint(text)
		if err != nil {
			return
		}
		text = strings.TrimPrefix(text, byteOrderMark)
		text = text[len(programForms().label.FindString(text)):]
		rest := strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(text, ":", "")), ""))
		if rest != print.String() {
			t.Errorf("%q was read as %s", text, print)
		}
	})
}

// newCertificate returns a self-signed certificate of a name and with dates that no
// chain of trust would take.
func newCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"somebody.else"}, NotAfter: time.Unix(0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dial has a miner that knows its node by a fingerprint dial one with a
// configuration of TLS, and returns what comes of it.
func dial(t *testing.T, server *tls.Config, pin Fingerprint) error {
	t.Helper()
	transport := func() *quic.Transport {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		transport := &quic.Transport{Conn: socket}
		t.Cleanup(func() {
			transport.Close()
			socket.Close()
		})
		return transport
	}
	listener, err := transport().Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := transport().Dial(context.Background(), listener.Addr(), ClientTLS(pin), nil)
	if err != nil {
		return err
	}
	if name := connection.ConnectionState().TLS.NegotiatedProtocol; name != ALPN {
		t.Errorf("protocol %q", name)
	}
	return connection.CloseWithError(CodeDone, "")
}

func TestTrust(t *testing.T) {
	own := newCertificate(t)
	pin := FingerprintOf(own.Certificate[0])
	if err := dial(t, ServerTLS(own), pin); err != nil {
		t.Errorf("the node that is meant: %v", err)
	}

	other := newCertificate(t)
	err := dial(t, ServerTLS(other), pin)
	if refused, ok := errors.AsType[*PinError](err); !ok || refused.Want != pin || refused.Got != FingerprintOf(other.Certificate[0]) {
		t.Errorf("another node: %v", err)
	}

	// The right certificate in the hands of who has not its key.
	stolen := tls.Certificate{Certificate: own.Certificate, PrivateKey: other.PrivateKey}
	if err := dial(t, ServerTLS(stolen), pin); err == nil {
		t.Error("a node without its certificate's key is taken")
	}

	old := ServerTLS(own)
	old.NextProtos = []string{"quantus-miner/1"}
	err = dial(t, old, pin)
	if alert, ok := errors.AsType[*quic.TransportError](err); !ok || alert.ErrorCode != 0x178 {
		t.Errorf("a node of another version: %v", err)
	}
}
