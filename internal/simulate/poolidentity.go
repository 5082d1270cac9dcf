package simulate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// PoolIdentity is what miners know a [Pool] by, if they speak TLS.
type PoolIdentity struct {
	Certificate tls.Certificate
}

// NewPoolIdentity makes up an identity for a year. Its certificate is its own CA, and is for
// this machine's loopback addresses, and for a host, which may be an IP address or a name.
func NewPoolIdentity(host string) (PoolIdentity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return PoolIdentity{}, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "stand-in pool"},
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:             time.Now().Add(-time.Hour), // as clocks differ
		NotAfter:              time.Now().AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if host != "" {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return PoolIdentity{}, fmt.Errorf("making a certificate: %w", err)
	}
	return PoolIdentity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}

// Pin returns the SHA-256 of the certificate.
func (i PoolIdentity) Pin() wire.Fingerprint {
	return wire.FingerprintOf(i.Certificate.Certificate[0])
}

// PEM returns the certificate, which is also that of the CA, in PEM.
func (i PoolIdentity) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate.Certificate[0]})
}

// WriteFiles writes the CA's certificate, and the SHA-256, to files in a directory, as
// [Identity.WriteFiles] does.
func (i PoolIdentity) WriteFiles(dir string) (ca, pin string, err error) {
	ca, pin = filepath.Join(dir, "pool-ca.pem"), filepath.Join(dir, "pool-tls-cert-sha256")
	return ca, pin, writeFiles(dir, map[string]string{ca: string(i.PEM()), pin: i.Pin().String() + "\n"})
}
