package access

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"
)

const (
	maxPEM           = 1 << 20
	forbiddenKeyMode = 0o007
)

// TLS returns the configuration of a server with a certificate and its key, in files
// of PEM. The certificate's may go on with the chain that leads to it; the key's must
// not be accessible to others than its owner and group. They are read again when one
// of them has changed. Until both fit together again, what was read before stays in
// force, so that they can be replaced one after the other.
//
// The configuration offers HTTP/1.1 alone. It is for a listener of [tls.NewListener]:
// the server's own ServeTLS would add HTTP/2 if its Protocols do not say otherwise.
func TLS(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	load := func() (*tls.Certificate, error) { return loadPair(certFile, keyFile, log) }
	pair, err := newReloader("certificate", log, load, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	WarnExposed(log, keyFile, forbiddenKeyMode)
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Deadlines and limits of the servers are chosen for connections that serve
		// one request after the other.
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(), nil },
	}, nil
}

// loadPair reads a certificate and its key.
func loadPair(certFile, keyFile string, log *slog.Logger) (*tls.Certificate, error) {
	cert, err := readPEM(certFile, 0) // which is public
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	key, err := readPEM(keyFile, forbiddenKeyMode)
	if err != nil {
		return nil, fmt.Errorf("TLS key: %w", err)
	}
	if encrypted(key) {
		return nil, fmt.Errorf("TLS key %s: it is encrypted, and nobody is there to give its password: "+
			"write a plain one with openssl pkey -in %s -out NEW, and chmod 600 NEW", keyFile, keyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		if n := leafAt(cert, key); n > 1 {
			return nil, fmt.Errorf("TLS certificate %s: the order is wrong: the key's own certificate is number %d in the file, "+
				"and must be the first, in front of the chain that leads to it", certFile, n)
		}
		if strings.Contains(err.Error(), "does not match public key") { // for which there is no type
			err = fmt.Errorf("the key is that of another certificate: %w", err)
		}
		return nil, fmt.Errorf("TLS certificate %s with the key %s: %w", certFile, keyFile, err)
	}
	// No error, as clients may have their reasons to accept it, and the clock may be wrong.
	switch now := time.Now(); {
	case now.After(pair.Leaf.NotAfter):
		log.Warn("the TLS certificate has expired", "file", certFile, "expired", pair.Leaf.NotAfter)
	case now.Before(pair.Leaf.NotBefore):
		log.Warn("the TLS certificate is not valid yet", "file", certFile, "from", pair.Leaf.NotBefore)
	}
	return &pair, nil
}

// readPEM reads a file of PEM. One that has the same in another form is an error, with how
// to write it in PEM.
func readPEM(file string, forbidden fs.FileMode) ([]byte, error) {
	content, err := Read(file, maxPEM, forbidden)
	if err != nil {
		return nil, err
	}
	text, err := Text(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, err := x509.ParseCertificate(content); err == nil {
		return nil, fmt.Errorf("%s: it is in DER: write it in PEM with openssl x509 -inform der -in %s -out NEW", file, file)
	}
	var der asn1.RawValue
	if rest, err := asn1.Unmarshal(content, &der); err == nil && len(rest) == 0 && forbidden != 0 {
		return nil, fmt.Errorf("%s: it is in DER: write it in PEM with openssl pkey -inform der -in %s -out NEW, and chmod 600 NEW", file, file)
	}
	if strings.Contains(text, "-----BEGIN OPENSSH PRIVATE KEY-----") {
		return nil, fmt.Errorf("%s: it is a key of OpenSSH, in a form that only OpenSSH reads: make one for the certificate with openssl genpkey", file)
	}
	return []byte(text), nil
}

// encrypted reports whether a file of PEM has a key that wants a password: in PKCS #8, or
// as OpenSSL wrote it before (RFC 1421, section 4.6.1.1).
func encrypted(key []byte) bool {
	for block, rest := pem.Decode(key); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
	}
	return false
}

// leafAt returns which certificate of a file is the key's own, from 1, or 0 for none.
func leafAt(certs, key []byte) int {
	n := 0
	for block, rest := pem.Decode(certs); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		if _, err := tls.X509KeyPair(pem.EncodeToMemory(block), key); err == nil {
			return n
		}
	}
	return 0
}
