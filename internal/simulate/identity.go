package simulate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// Identity is what miners know a [QUICNode] by, and it them.
type Identity struct {
	Certificate tls.Certificate
	Token       string
}

// NewIdentity makes up an identity. Its certificate is signed by itself, has a name
// that nobody asks for, and has long expired: a miner that knows it by its hash does
// not mind.
func NewIdentity() (Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"node.invalid"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Identity{}, fmt.Errorf("making a certificate: %w", err)
	}
	return Identity{
		Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		Token:       rand.Text(),
	}, nil
}

// Pin returns the hash that miners know the certificate by.
func (i Identity) Pin() wire.Fingerprint {
	return wire.FingerprintOf(i.Certificate.Certificate[0])
}

// The names that nodes give to their files.
const (
	tokenFile = "miner-auth-token"
	pinFile   = "miner-tls-cert-sha256"
)

// WriteFiles writes the files of an identity to a directory, which is made if it is
// missing, for nobody but their owner to read. A miner that reads at the same time
// finds the old or the new ones, and nothing in between.
func (i Identity) WriteFiles(dir string) (token, pin string, err error) {
	token, pin = filepath.Join(dir, tokenFile), filepath.Join(dir, pinFile)
	return token, pin, writeFiles(dir, map[string]string{token: i.Token + "\n", pin: i.Pin().String() + "\n"})
}

// writeFiles writes files to a directory, which is made if it is missing, for nobody but
// their owner to read, each at one stroke.
func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making a directory for the node's files: %w", err)
	}
	for path, text := range files {
		// The mode of a file that is there already would stay what it is.
		draft := path + ".new"
		if err := os.RemoveAll(draft); err != nil {
			return fmt.Errorf("writing a file of the node's: %w", err)
		}
		if err := os.WriteFile(draft, []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing a file of the node's: %w", err)
		}
		if err := os.Rename(draft, path); err != nil {
			return fmt.Errorf("writing a file of the node's: %w", err)
		}
	}
	return nil
}
