package broker

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/host/access"
)

// dialTime is how long a connection may take to be made.
const dialTime = 2 * time.Second

// Credentials are what a worker and its hub know each other by.
type Credentials struct {
	Token       string
	Fingerprint Fingerprint
}

// PinError says that a hub has another certificate than the one that it is known by.
type PinError struct{ Want, Got Fingerprint }

// Error implements the error interface.
func (e *PinError) Error() string {
	return fmt.Sprintf("the hub's certificate has the SHA-256 %s, and not %s", e.Got, e.Want)
}

// Dialer connects to the NATS servers of a fleet. [ToHub] and [ToServers] return one.
type Dialer struct {
	urls     string
	subjects wire.Subjects
	options  func(id string) []nats.Option
}

// ToHub returns a dialer for the server in the process of a hub, at host:port. The credentials
// are asked for before each connection. A hub with another certificate is not told the token:
// the handshake fails with a [PinError].
func ToHub(address, fleet string, credentials func() (Credentials, error)) (Dialer, error) {
	subjects, err := wire.NewSubjects(fleet)
	if err != nil {
		return Dialer{}, err
	}
	return Dialer{urls: "tls://" + address, subjects: subjects, options: func(id string) []nats.Option {
		var token atomic.Pointer[string]
		return []nats.Option{
			nats.Secure(knownBy(func(got Fingerprint) error {
				known, err := credentials()
				if err != nil {
					return err
				}
				if got != known.Fingerprint {
					return &PinError{Want: known.Fingerprint, Got: got}
				}
				token.Store(&known.Token)
				return nil
			})),
			nats.TLSHandshakeFirst(),
			nats.UserInfoHandler(func() (user, password string) {
				if t := token.Load(); t != nil { // as it is after the handshake
					password = *t
				}
				return id, password
			}),
			// The hub may be reached by another address than those that it knows.
			nats.IgnoreDiscoveredServers(),
		}
	}}, nil
}

// knownBy returns a configuration of TLS for a server of whose certificate the fingerprint
// alone counts, which check looks at.
func knownBy(check func(Fingerprint) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// Of chain, name and dates. That the server has the certificate's key is verified
		// nevertheless.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return check(sha256.Sum256(state.PeerCertificates[0].Raw))
		},
	}
}

// ToServers returns a dialer for somebody's own NATS servers, which know their clients by the
// file of credentials, if there is one: see [CheckCredentials]. It is read anew before each
// connection.
func ToServers(urls []string, fleet, file string) (Dialer, error) {
	subjects, err := wire.NewSubjects(fleet)
	if err != nil {
		return Dialer{}, err
	}
	return Dialer{urls: strings.Join(urls, ","), subjects: subjects, options: func(string) []nats.Option {
		if file == "" {
			return nil
		}
		c, err := readCredentials(file)
		if err == nil && c.jwt {
			return []nats.Option{nats.UserCredentials(file)}
		}
		return []nats.Option{nats.UserInfoHandler(func() (user, password string) {
			if now, err := readCredentials(file); err == nil { // or those that it had
				c = now
			}
			return c.user, c.password
		})}
	}}, nil
}

// Dial begins to connect, as a client of that id and with further options. With
// [nats.RetryOnFailedConnect] it does not wait for the connection.
func (d Dialer) Dial(id string, options ...nats.Option) (*nats.Conn, error) {
	all := append(d.options(id), nats.Timeout(dialTime), nats.CustomInboxPrefix(d.subjects.Inbox(id)))
	return nats.Connect(d.urls, append(all, options...)...)
}

// fileCredentials are what NATS servers know a client by.
type fileCredentials struct {
	jwt            bool // and all else is for NATS to read
	user, password string
}

// CheckCredentials says what is wrong with a file of credentials: it must have what NATS's own
// tools write, a JWT with its seed, or one line user:password. No error quotes it.
func CheckCredentials(file string) error {
	_, err := readCredentials(file)
	return err
}

func readCredentials(file string) (fileCredentials, error) {
	content, err := access.Read(file, maxFile, access.SecretMode)
	if err != nil {
		return fileCredentials{}, err
	}
	if bytes.Contains(content, []byte("-----BEGIN NATS USER JWT-----")) {
		return fileCredentials{jwt: true}, nil
	}
	line, err := access.Line(content)
	if err != nil {
		return fileCredentials{}, fmt.Errorf("%s: %w", file, err)
	}
	user, password, found := strings.Cut(line, ":")
	if !found || user == "" || password == "" {
		return fileCredentials{}, fmt.Errorf("%s: %w", file, errors.New("must have what nsc or nk write, a JWT and its seed, or one line user:password"))
	}
	return fileCredentials{user: user, password: password}, nil
}
