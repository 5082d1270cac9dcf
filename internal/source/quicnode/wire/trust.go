package wire

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// ALPN is the protocol's name and version, which both sides must have in their
// configurations of TLS.
const ALPN = "quantus-miner/2"

// ServerName is the name that miners ask for, whatever the node's host is called.
const ServerName = "localhost"

// Fingerprint is the SHA-256 of a certificate in DER: what a miner knows its node by.
type Fingerprint [sha256.Size]byte

// FingerprintOf returns a certificate's fingerprint.
func FingerprintOf(der []byte) Fingerprint { return sha256.Sum256(der) }

// byteOrderMark is what some editors begin a file with. It is no part of the text.
const byteOrderMark = "\ufeff"

// forms are how programs write a fingerprint.
type forms struct {
	// label is what they put in front of it: openssl x509 "sha256 Fingerprint=",
	// openssl dgst "SHA2-256(FILE)= ", others "SHA256:".
	label *regexp.Regexp
	// named is one as sha256sum prints it, in front of the file's name. A name of hex
	// digits alone may be more digits.
	named *regexp.Regexp
	// sha1 is in front of the fingerprint that openssl prints unless told otherwise.
	sha1 *regexp.Regexp
}

var programForms = sync.OnceValue(func() forms {
	return forms{
		label: regexp.MustCompile(`(?i)^\s*sha2?-?256(\s+fingerprint|\([^()\n]*\))?\s*[:=]`),
		named: regexp.MustCompile(`^\s*([[:xdigit:]]{64})[ \t]+\*?[^\n]*[^[:xdigit:]\s:*][^\n]*\s*$`),
		sha1:  regexp.MustCompile(`(?i)^\s*sha-?1\b`),
	}
})

// ParseFingerprint reads a fingerprint as people and programs write it: 64 hex digits
// of either case, with "sha256:" or what openssl prints in front, or the file's name
// behind as sha256sum prints it, or without. White space, colons and a byte order mark do
// not count.
func ParseFingerprint(text string) (f Fingerprint, err error) {
	if bare, err := hex.DecodeString(strings.TrimSpace(text)); err == nil && len(bare) == len(f) {
		return Fingerprint(bare), nil // as nodes write it
	}
	text = strings.TrimPrefix(text, byteOrderMark)
	forms := programForms()
	text = text[len(forms.label.FindString(text)):]
	if line := forms.named.FindStringSubmatch(text); line != nil {
		text = line[1]
	}
	if forms.sha1.MatchString(text) {
		return f, errors.New("must be the 64 hex digits of a SHA-256, and is a SHA-1: openssl x509 prints the other with -fingerprint -sha256")
	}
	digits := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == ':' {
			return -1
		}
		return r
	}, text)
	if len(digits) != hex.EncodedLen(len(f)) {
		return f, fmt.Errorf("must be 64 hex digits, but for white space and colons, not %d characters", len(digits))
	}
	if _, err := hex.Decode(f[:], []byte(digits)); err != nil {
		return Fingerprint{}, errors.New("must be 64 hex digits, but for white space and colons")
	}
	return f, nil
}

// ReadFingerprint reads a file with a fingerprint, or with the certificate itself, in
// PEM or DER, of which it computes it. Of a chain in PEM the first one counts, which is
// the node's own. No error quotes the file: it may be another, which has a secret.
func ReadFingerprint(content []byte) (Fingerprint, error) {
	content = bytes.TrimPrefix(content, []byte(byteOrderMark))
	der, kind := content, ""
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if kind = block.Type; kind == certificate {
			der = block.Bytes
			break
		}
	}
	if parsed, err := x509.ParseCertificate(der); err == nil {
		return FingerprintOf(parsed.Raw), nil
	}
	switch {
	case kind == certificate:
		return Fingerprint{}, errors.New("the certificate in it is broken")
	case kind != "":
		return Fingerprint{}, fmt.Errorf("must have the node's certificate or its SHA-256, and has a %s", kind)
	case isKey(content):
		return Fingerprint{}, errors.New("must have the node's certificate or its SHA-256, and has a private key")
	case bytes.HasPrefix(content, []byte("\xff\xfe")), bytes.HasPrefix(content, []byte("\xfe\xff")):
		return Fingerprint{}, errors.New("is in UTF-16, as Windows saves text: save it as UTF-8")
	}
	f, err := ParseFingerprint(string(content))
	if err == nil {
		return f, nil
	}
	if _, isToken := ParseToken(string(content)); isToken == nil && len(bytes.Fields(content)) == 1 {
		return Fingerprint{}, fmt.Errorf("%w: this looks like the file with the token, which --auth-token-file is for", err)
	}
	return Fingerprint{}, fmt.Errorf("%w; or the certificate itself, in PEM or DER", err)
}

// certificate is the type of a block of PEM that is one (RFC 7468, section 5).
const certificate = "CERTIFICATE"

// isKey reports whether a file is a private key in DER, such as a node has beside its
// certificate.
func isKey(der []byte) bool {
	_, pkcs8 := x509.ParsePKCS8PrivateKey(der)
	_, ec := x509.ParseECPrivateKey(der)
	_, rsa := x509.ParsePKCS1PrivateKey(der)
	return pkcs8 == nil || ec == nil || rsa == nil
}

// String returns the fingerprint in 64 lower-case hex digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// PinError says that a node has another certificate than the one that it is known by.
type PinError struct{ Want, Got Fingerprint }

// Error implements the error interface.
func (e *PinError) Error() string {
	return fmt.Sprintf("the node's certificate has the fingerprint %s, and the pin is %s", e.Got, e.Want)
}

// ClientTLS returns a miner's configuration of TLS, which takes the certificate with
// that fingerprint and no other. Whose name it has, who signed it, and when it is
// valid, does not count. A handshake with another one fails with a [PinError].
func ClientTLS(pin Fingerprint) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{ALPN},
		ServerName: ServerName,
		// Of chain, name and dates. That the node has the certificate's key is verified
		// nevertheless.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if got := FingerprintOf(state.PeerCertificates[0].Raw); got != pin {
				return &PinError{Want: pin, Got: got}
			}
			return nil
		},
	}
}

// ServerTLS returns a node's configuration of TLS.
func ServerTLS(certificate tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{ALPN},
		Certificates: []tls.Certificate{certificate},
	}
}
