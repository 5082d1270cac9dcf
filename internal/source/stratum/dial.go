package stratum

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// dialTimeout is for a connection: name, TCP and TLS.
const dialTimeout = 10 * time.Second

// Fingerprint is the SHA-256 of a certificate in DER.
type Fingerprint = [sha256.Size]byte

// PinError says that a pool has another certificate than the one that it is known by.
type PinError struct{ Want, Got Fingerprint }

// Error implements the error interface.
func (e *PinError) Error() string {
	return fmt.Sprintf("the pool's certificate has the fingerprint %x, and the pin is %x", e.Got, e.Want)
}

// TLS returns how to trust a pool of that host name: by its certificate, which authorities vouch
// for (those of the system if roots is nil), or, if there is a pin, by the certificate with that
// fingerprint and no other, whoever vouches for it.
func TLS(host string, roots *x509.CertPool, pin *Fingerprint) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: roots}
	if pin == nil {
		return config
	}
	// Of chain, name and dates. That the pool has the certificate's key is verified nevertheless,
	// and here that it is the certificate: in every handshake.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if got := sha256.Sum256(state.PeerCertificates[0].Raw); got != *pin {
			return &PinError{*pin, got}
		}
		return nil
	}
	return config
}

// dial connects to a pool.
func dial(ctx context.Context, pool Pool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", pool.Address)
	if err != nil || pool.TLS == nil {
		return conn, err
	}
	secure := tls.Client(conn, pool.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, explain(err)
	}
	return secure, nil
}

// explain says what to do about an error of a handshake.
func explain(err error) error {
	advice := ""
	switch {
	case errors.As(err, new(tls.RecordHeaderError)):
		advice = "the pool does not speak TLS at this port: say stratum+tcp:// instead of stratum+ssl://, or give the port for TLS"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		advice = "no authority that this machine knows vouches for the pool: give the authority with --tls-ca, or the SHA-256 of the pool's certificate with --tls-cert-sha256"
	case errors.As(err, new(x509.HostnameError)):
		advice = "the certificate is for another name: give the name that the pool publishes"
	case errors.As(err, new(x509.CertificateInvalidError)):
		advice = "look at this machine's clock as well"
	default:
		return fmt.Errorf("TLS: %w", err)
	}
	return fmt.Errorf("TLS: %w (%s)", err, advice)
}
