package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
)

// poolFlag is a pool's URL.
type poolFlag struct {
	secure     bool
	host, port string
}

// The schemes of pools.
const (
	poolTLS = "stratum+ssl"
	poolTCP = "stratum+tcp"
)

// otherSchemes are what people write for one of them.
var otherSchemes = map[string]string{
	"stratum+tls": poolTLS, "stratums": poolTLS, "ssl": poolTLS, "tls": poolTLS, "https": poolTLS,
	"stratum": poolTCP, "stratum1+tcp": poolTCP, "tcp": poolTCP, "http": poolTCP,
}

// UnmarshalText implements [encoding.TextUnmarshaler]. No error quotes the text: there may be a
// password in it.
func (f *poolFlag) UnmarshalText(text []byte) error {
	const form = "stratum+ssl://HOST:PORT, or stratum+tcp://HOST:PORT without encryption"
	scheme, rest, found := strings.Cut(string(text), "://")
	switch scheme = strings.ToLower(scheme); {
	case !found:
		return errors.New("must begin with a scheme: " + form)
	case scheme == poolTLS, scheme == poolTCP:
	case otherSchemes[scheme] != "":
		return fmt.Errorf("must be %s: instead of %s:// say %s://", form, scheme, otherSchemes[scheme])
	default:
		return fmt.Errorf("must be %s: pools of this network speak nothing else", form)
	}
	if strings.Contains(rest, "@") {
		return errors.New("must not have a user or a password in it, which would be in the log: give them with --user and --password-file")
	}
	parsed, err := url.Parse(scheme + "://" + rest)
	switch {
	case err != nil:
		return errors.New("must be " + form)
	case strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.Fragment != "":
		return errors.New("must end with the port: a pool has no path; who is to be paid is given with --user ADDRESS.RIG")
	case parsed.Port() == "":
		return errors.New("must end with a port, such as :3333: the pool's own page says which")
	}
	var name hostFlag
	port, err := strconv.ParseUint(parsed.Port(), 10, 16)
	if err != nil || port == 0 || name.UnmarshalText([]byte(parsed.Hostname())) != nil {
		return errors.New("must be " + form + ", with a host name or an IP address and a port from 1 to 65535")
	}
	*f = poolFlag{scheme == poolTLS, string(name), parsed.Port()}
	return nil
}

// address returns the pool's host:port.
func (f poolFlag) address() string { return net.JoinHostPort(f.host, f.port) }

// String returns the flag as it is given.
func (f poolFlag) String() string {
	u := url.URL{Scheme: poolTCP, Host: f.address()}
	if f.secure {
		u.Scheme = poolTLS
	}
	return u.String()
}

// MarshalText implements [encoding.TextMarshaler], for the log.
func (f poolFlag) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// loginFlags say what pools know the miner by: each is given once for all pools, or once for
// each.
type loginFlags struct {
	User         []userFlag `short:"u" env:"MINER_POOL_USER" placeholder:"ADDRESS.RIG" help:"Address that the pool is to pay to, a dot, and a name for this machine; 128 bytes at most."`
	PasswordFile []string   `env:"MINER_POOL_PASSWORD_FILE" placeholder:"FILE" help:"File with the password, on one line. Mode 0640 or stricter. Most pools want none, or options in its place."`
	Password     []string   `short:"p" env:"MINER_POOL_PASSWORD" sep:"none" secret:"" placeholder:"PASSWORD" help:"The password itself, x by default, which others on this machine can see then."`
}

// maxLogin is the length of the longest login, in bytes.
const maxLogin = 128

// userFlag is what a pool knows a miner by.
type userFlag string

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *userFlag) UnmarshalText(text []byte) error {
	user := string(text)
	switch {
	case user == "":
		return errors.New("must be ADDRESS.RIG: the address that the pool is to pay to, a dot, and a name for this machine")
	case len(user) > maxLogin:
		return fmt.Errorf("must have at most %d bytes, and has %d: the address, a dot, and a short name for this machine", maxLogin, len(user))
	case strings.ContainsFunc(user, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return errors.New("must be ADDRESS.RIG, without spaces or control characters")
	}
	*f = userFlag(user)
	return nil
}

// warning says what may be wrong with it.
func (f userFlag) warning() string {
	address, rig, found := strings.Cut(string(f), ".")
	switch {
	case !strings.HasPrefix(address, "qz"):
		return "--user does not begin with an address of this network, qz…: the pool may refuse it, or pay nobody"
	case !found || rig == "":
		return "--user has no name for this machine, as ADDRESS.RIG: the pool shows all machines as one"
	}
	return ""
}

// checkFor says what is wrong with the flags for so many pools.
func (c loginFlags) checkFor(pools int) error {
	if len(c.User) == 0 {
		return errors.New("--user: is needed: ADDRESS.RIG, the address that the pool is to pay to, a dot, and a name for this machine")
	}
	if len(c.PasswordFile) > 0 && len(c.Password) > 0 {
		return errors.New("--password-file, --password: only one of them may be given")
	}
	for _, given := range []struct {
		flag string
		n    int
	}{{"--user", len(c.User)}, {"--password-file", len(c.PasswordFile)}, {"--password", len(c.Password)}} {
		if err := onceOrForEach(given.flag, given.n, pools); err != nil {
			return err
		}
	}
	for _, password := range c.Password { // not as they are parsed: the parser quotes what is wrong
		if _, err := access.Line([]byte(password)); err != nil {
			return fmt.Errorf("--password: %w", err)
		}
	}
	return nil
}

// onceOrForEach says what is wrong with the number of times that a flag was given.
func onceOrForEach(flag string, n, pools int) error {
	if n > 1 && n != pools {
		return fmt.Errorf("%s: must be given once, or once for each --url: there are %d, and %d pools", flag, n, pools)
	}
	return nil
}

// login returns what the pool with that index knows the miner by. A file is read anew each time.
// No error quotes a password.
func (c loginFlags) login(i int) (login stratum.Login, err error) {
	login = stratum.Login{User: string(c.User[min(i, len(c.User)-1)]), Password: "x"}
	switch {
	case len(c.Password) > 0:
		if login.Password, err = access.Line([]byte(c.Password[min(i, len(c.Password)-1)])); err != nil {
			return stratum.Login{}, fmt.Errorf("--password: %w", err)
		}
	case len(c.PasswordFile) > 0:
		if login.Password, err = access.ReadLine(c.PasswordFile[min(i, len(c.PasswordFile)-1)], maxCredential); err != nil {
			return stratum.Login{}, fmt.Errorf("--password-file: %w", err)
		}
	}
	return login, nil
}

// poolTrustFlags say how the miner knows pools.
type poolTrustFlags struct {
	TLSCA         string    `name:"tls-ca" group:"Trust:" env:"MINER_TLS_CA" placeholder:"FILE" help:"File with the authorities to trust, in PEM, in place of this system's."`
	TLSCertSHA256 []pinFlag `name:"tls-cert-sha256" group:"Trust:" env:"MINER_TLS_CERT_SHA256" placeholder:"HEX" help:"SHA-256 of the pool's certificate, in place of all authorities, 64 hex digits; once for all pools, or once for each."`
}

// checkFor says what is wrong with the flags for these pools.
func (c poolTrustFlags) checkFor(pools []poolFlag) error {
	secure := false
	for _, pool := range pools {
		secure = secure || pool.secure
	}
	switch {
	case c.TLSCA != "" && len(c.TLSCertSHA256) > 0:
		return errors.New("--tls-ca, --tls-cert-sha256: only one of them may be given")
	case !secure && c.TLSCA != "":
		return errors.New("--tls-ca: needs a pool with TLS: --url stratum+ssl://HOST:PORT")
	case !secure && len(c.TLSCertSHA256) > 0:
		return errors.New("--tls-cert-sha256: needs a pool with TLS: --url stratum+ssl://HOST:PORT")
	}
	return onceOrForEach("--tls-cert-sha256", len(c.TLSCertSHA256), len(pools))
}

// roots returns the authorities to trust, nil for those of the system.
func (c poolTrustFlags) roots() (*x509.CertPool, error) {
	if c.TLSCA == "" {
		return nil, nil
	}
	text, err := access.Read(c.TLSCA, maxAuthorities, 0) // which is public
	if err != nil {
		return nil, fmt.Errorf("--tls-ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--tls-ca: %s: must have certificates in PEM, and has none", c.TLSCA)
	}
	return roots, nil
}

// maxAuthorities is the largest size of a file with authorities: those of a system have 0.2 MB.
const maxAuthorities = 4 << 20

// pin returns the fingerprint of the certificate of the pool with that index, nil for none.
func (c poolTrustFlags) pin(i int) *stratum.Fingerprint {
	if len(c.TLSCertSHA256) == 0 {
		return nil
	}
	pin := stratum.Fingerprint(c.TLSCertSHA256[min(i, len(c.TLSCertSHA256)-1)])
	return &pin
}
