package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
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
	if old, err := access.Read(path, maxFile, 0); err != nil || string(old) != line {
		if err := os.WriteFile(path, []byte(line), 0o644); err != nil { // which is public
			return Identity{}, err
		}
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

// openCertificate reads a certificate and its key, and makes both if neither is there.
func openCertificate(certificate, key string) (tls.Certificate, error) {
	_, noKey := os.Stat(key)
	_, noCertificate := os.Stat(certificate)
	if errors.Is(noKey, fs.ErrNotExist) && errors.Is(noCertificate, fs.ErrNotExist) {
		if err := makeCertificate(certificate, key); err != nil {
			return tls.Certificate{}, err
		}
	}
	keyPEM, err := access.Read(key, maxFile, access.SecretMode)
	if err != nil {
		return tls.Certificate{}, err
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

// makeCertificate makes a key, and a certificate that it signs itself. Workers look at nothing
// but its fingerprint, so it is nobody's in particular and does not end. The key comes first:
// a certificate without its key would be of no use.
func makeCertificate(certificate, key string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "quantus-miner fleet"},
		DNSNames:     []string{"localhost"},
		NotBefore:    now.AddDate(-1, 0, 0), // for who looks at it, on a machine whose clock is wrong
		NotAfter:     now.AddDate(100, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	err = makeUnlessThere(key, 0o600, func() ([]byte, error) {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
	})
	if err != nil {
		return err
	}
	return makeUnlessThere(certificate, 0o644, func() ([]byte, error) {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
	})
}

// makeUnlessThere writes a file that is not there yet. One that could not be written whole is
// removed again.
func makeUnlessThere(path string, mode fs.FileMode, content func() ([]byte, error)) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := content()
	if err == nil {
		_, err = file.Write(text)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
