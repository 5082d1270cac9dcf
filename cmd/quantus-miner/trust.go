package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// The largest sizes of a file with a token, and of one with a fingerprint or with a
// certificate and its chain.
const (
	maxCredential = 4 << 10
	maxPin        = 64 << 10
)

// The names that nodes give to the two files that a miner needs.
const (
	tokenFile = "miner-auth-token"
	pinFile   = "miner-tls-cert-sha256"
)

// trustFlags say what the nodes and the miner know each other by: each is given once for all
// nodes, or once for each.
type trustFlags struct {
	AuthTokenFile     []string  `group:"Trust:" env:"MINER_AUTH_TOKEN_FILE" placeholder:"FILE" help:"File with the token that the node knows its miners by, on one line: its own file miner-auth-token. Mode 0640 or stricter."`
	AuthToken         []string  `group:"Trust:" env:"MINER_AUTH_TOKEN" sep:"none" secret:"" placeholder:"TOKEN" help:"The token itself, 1 to 512 bytes, which others on this machine can see then; rather use --auth-token-file."`
	TLSCertSHA256File []string  `name:"tls-cert-sha256-file" group:"Trust:" env:"MINER_TLS_CERT_SHA256_FILE" placeholder:"FILE" help:"File with the SHA-256 of the node's certificate: its own file miner-tls-cert-sha256. The certificate itself does, too, in PEM or DER."`
	TLSCertSHA256     []pinFlag `name:"tls-cert-sha256" group:"Trust:" env:"MINER_TLS_CERT_SHA256" placeholder:"HEX" help:"The SHA-256 itself: 64 hex digits, as openssl prints them, too, or behind sha256:."`
}

// checkFor says what is wrong with the flags for so many nodes.
func (c trustFlags) checkFor(nodes int) error {
	for _, secret := range []struct {
		file, itself    string
		files, themself int
	}{
		{"--auth-token-file", "--auth-token", len(c.AuthTokenFile), len(c.AuthToken)},
		{"--tls-cert-sha256-file", "--tls-cert-sha256", len(c.TLSCertSHA256File), len(c.TLSCertSHA256)},
	} {
		switch n := secret.files + secret.themself; {
		case n == 0:
			return fmt.Errorf("%s: is needed, or %s", secret.file, secret.itself)
		case secret.files > 0 && secret.themself > 0:
			return fmt.Errorf("%s, %s: only one of them may be given", secret.file, secret.itself)
		case n != 1 && n != nodes:
			return fmt.Errorf("%s, %s: must be given once, or once for each --node: there are %d, and %d nodes", secret.file, secret.itself, n, nodes)
		}
	}
	// Not as they are parsed: the parser quotes what is wrong.
	for _, token := range c.AuthToken {
		if _, err := parseToken(token); err != nil {
			return fmt.Errorf("--auth-token: %w", err)
		}
	}
	return nil
}

// parseToken reads a token as it is given, or as it is in a file. No error quotes it.
func parseToken(text string) (string, error) {
	line, err := access.Line([]byte(text))
	if err != nil {
		return "", fmt.Errorf("the token %w", err)
	}
	return wire.ParseToken(line)
}

// credentials returns what the node with that index and we know each other by. Files
// are read anew each time. No error quotes a token, nor a file that may be one.
func (c trustFlags) credentials(i int) (known quicnode.Credentials, err error) {
	if known.Token, err = c.token(i); err != nil {
		return quicnode.Credentials{}, err
	}
	if len(c.TLSCertSHA256) > 0 {
		known.Pin = wire.Fingerprint(c.TLSCertSHA256[min(i, len(c.TLSCertSHA256)-1)])
	} else if known.Pin, err = c.pin(i, known.Token); err != nil {
		return quicnode.Credentials{}, err
	}
	return known, nil
}

// token returns the token for the node with that index.
func (c trustFlags) token(i int) (token string, err error) {
	if len(c.AuthToken) > 0 {
		if token, err = parseToken(c.AuthToken[min(i, len(c.AuthToken)-1)]); err != nil {
			return "", fmt.Errorf("--auth-token: %w", err)
		}
		return token, nil
	}
	file := fileOf(c.AuthTokenFile, i)
	if filepath.Base(file) == pinFile {
		return "", fmt.Errorf("--auth-token-file: %s: is the node's file with the SHA-256 of its certificate: its token is in %s", file, tokenFile)
	}
	line, err := access.ReadLine(file, maxCredential)
	if err != nil {
		return "", fmt.Errorf("--auth-token-file: %w", err)
	}
	if token, err = wire.ParseToken(line); err != nil {
		return "", fmt.Errorf("--auth-token-file: %s: %w", file, err)
	}
	return token, nil
}

// fileOf returns the file for the node with that index. White space between the names of
// a list does not count.
func fileOf(files []string, i int) string { return strings.TrimSpace(files[min(i, len(files)-1)]) }

// pin returns the fingerprint in the file for the node with that index, whose token is
// given. A token may well look like a fingerprint, and would be in the log as one.
func (c trustFlags) pin(i int, token string) (wire.Fingerprint, error) {
	file := fileOf(c.TLSCertSHA256File, i)
	content, err := access.Read(file, maxPin, 0) // which is public
	if err != nil {
		return wire.Fingerprint{}, fmt.Errorf("--tls-cert-sha256-file: %w", err)
	}
	if line, err := access.Line(content); err == nil && line == token || filepath.Base(file) == tokenFile {
		return wire.Fingerprint{}, fmt.Errorf("--tls-cert-sha256-file: %s: is the file with the token: the SHA-256 of the node's certificate is in its file %s", file, pinFile)
	}
	pin, err := wire.ReadFingerprint(content)
	if err != nil {
		return wire.Fingerprint{}, fmt.Errorf("--tls-cert-sha256-file: %s: %w", file, err)
	}
	return pin, nil
}
