package main

import (
	"fmt"
	"path/filepath"

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
func (c *connectCmd) credentials(i int) (known quicnode.Credentials, err error) {
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
func (c *connectCmd) token(i int) (token string, err error) {
	if len(c.AuthToken) > 0 {
		if token, err = parseToken(c.AuthToken[min(i, len(c.AuthToken)-1)]); err != nil {
			return "", fmt.Errorf("--auth-token: %w", err)
		}
		return token, nil
	}
	file := c.AuthTokenFile[min(i, len(c.AuthTokenFile)-1)]
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

// pin returns the fingerprint in the file for the node with that index, whose token is
// given. A token may well look like a fingerprint, and would be in the log as one.
func (c *connectCmd) pin(i int, token string) (wire.Fingerprint, error) {
	file := c.TLSCertSHA256File[min(i, len(c.TLSCertSHA256File)-1)]
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
