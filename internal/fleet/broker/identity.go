package broker

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/quantus-network/quantus-miner/internal/host/access"
)

// The files of a hub. A worker needs the first two.
const (
	TokenFile       = "fleet-token"
	FingerprintFile = "fleet-cert-sha256"
	certificateFile = "fleet-cert.pem"
	keyFile         = "fleet-key.pem"
)

// maxFile is the largest size of any of them.
const maxFile = 16 << 10

// Fingerprint is the SHA-256 of a hub's certificate in DER: what workers know the hub by.
type Fingerprint [sha256.Size]byte

// String returns the fingerprint in 64 lower-case hex digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// Identity is what a hub and its workers know each other by.
type Identity struct {
	// Token is the secret that workers have to know.
	Token string
	// Certificate is the hub's, with its key, and Fingerprint that certificate's.
	Certificate tls.Certificate
	Fingerprint Fingerprint
}

// OpenIdentity returns the identity that is kept in a directory. What is not there yet is made:
// the directory, a token, and a certificate with its key. What is there stays as it is, but for
// the file with the fingerprint, which follows from the certificate.
func OpenIdentity(dir string) (Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Identity{}, err
	}
	var id Identity
	err := makeUnlessThere(filepath.Join(dir, TokenFile), 0o600, func() ([]byte, error) {
		return []byte(rand.Text() + rand.Text() + "\n"), nil
	})
	if err != nil {
		return Identity{}, err
	}
	if id.Token, err = ReadToken(filepath.Join(dir, TokenFile)); err != nil {
		return Identity{}, err
	}
	if id.Certificate, err = openCertificate(filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)); err != nil {
		return Identity{}, err
	}
	id.Fingerprint = sha256.Sum256(id.Certificate.Certificate[0])
	path, line := filepath.Join(dir, FingerprintFile), id.Fingerprint.String()+"\n"
	if old, err := access.Read(path, maxFile, 0); err == nil && string(old) != line { // of another certificate
		if err := os.Remove(path); err != nil {
			return Identity{}, err
		}
	}
	if err := makeUnlessThere(path, 0o644, func() ([]byte, error) { return []byte(line), nil }); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// The bounds of a token's length, in bytes: what cannot be guessed, and what fits into NATS's
// first message.
const (
	minToken = 16
	maxToken = 256
)

// ReadToken reads the file with the token of a fleet. No error quotes it.
func ReadToken(path string) (string, error) {
	token, err := access.ReadLine(path, maxFile)
	if err != nil {
		return "", err
	}
	if len(token) < minToken || len(token) > maxToken {
		return "", fmt.Errorf("%s: must be one line of %d to %d characters, as the hub's own file %s is", path, minToken, maxToken, TokenFile)
	}
	return token, nil
}

// openCertificate reads a certificate and its key, and makes both if neither is there. A certificate
// that was lost follows from the key. A key that was lost does not follow from anything.
func openCertificate(certificate, key string) (tls.Certificate, error) {
	if _, err := os.Stat(certificate); errors.Is(err, fs.ErrNotExist) {
		if err := makeUnlessThere(key, 0o600, makeKey); err != nil {
			return tls.Certificate{}, err
		}
	}
	keyPEM, err := access.Read(key, maxFile, access.SecretMode)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := makeUnlessThere(certificate, 0o644, func() ([]byte, error) { return makeCertificate(keyPEM) }); err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", key, err)
	}
	certificatePEM, err := access.Read(certificate, maxFile, 0) // which is public
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s, %s: %w; without both of them new ones are made, which every worker has to be told of", certificate, key, err)
	}
	return pair, nil
}

// makeKey makes a key.
func makeKey() ([]byte, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// makeCertificate makes the certificate of a key, which that signs itself. Workers look at nothing but its
// fingerprint, so it is nobody's in particular and does not end (RFC 5280, section 4.1.2.5). It is always
// the same, as signatures by Ed25519 are: so it does not matter who makes it.
func makeCertificate(keyPEM []byte) ([]byte, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("must be a key in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("must be a key in PKCS #8: %w", err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("must be a key of Ed25519, if its certificate is to be made")
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "quantus-miner fleet"},
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// makeUnlessThere writes a file that is not there yet. Whoever reads it meanwhile finds all of it or
// nothing, and of two that make it at the same time the first one's stays.
func makeUnlessThere(path string, mode fs.FileMode, content func() ([]byte, error)) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.Remove(file.Name()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	text, err := content()
	if err == nil {
		_, err = file.Write(text)
	}
	if err == nil && runtime.GOOS != "windows" { // which has no such modes
		err = file.Chmod(mode)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	switch err := os.Link(file.Name(), path); {
	case err == nil, errors.Is(err, fs.ErrExist):
		return nil
	default: // a file system without links
		return os.Rename(file.Name(), path)
	}
}
