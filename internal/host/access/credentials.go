package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

// Limits on a file of credentials. At a cost of 14 a check takes a core a second.
const (
	maxFile  = 64 << 10
	maxLines = 256 // comments and blank lines included
	maxName  = 255 // as htpasswd has it
	maxCost  = 14
	minToken = 16
	maxToken = 256
)

// maxPassword is the length of a password in bytes from which on bcrypt takes no
// notice of the rest.
const maxPassword = 72

// maxPassed bounds how many proofs that have passed are remembered.
const maxPassed = 1024

// What can be wrong with a line. None of it quotes the line, which is a secret.
var (
	errToken   = fmt.Errorf("must be user:hash, or a token of %d to %d printable ASCII characters without spaces and colons", minToken, maxToken)
	errName    = fmt.Errorf("the name of the user must be 1 to %d bytes of printable UTF-8", maxName)
	errHash    = errors.New("the hash of the password must be bcrypt's, as htpasswd -B writes it")
	errNoUser  = errors.New("a hash must have the name of its user and a colon in front")
	errCost    = fmt.Errorf("the cost of the hash must be %d to %d", bcrypt.MinCost, maxCost)
	errDouble  = errors.New("the user must not have two lines")
	errLines   = fmt.Errorf("must not have more than %d lines", maxLines)
	errNothing = errors.New("must have a user or a token")
)

// user is a line of a file of credentials.
type user struct {
	name string
	hash []byte // bcrypt's
}

// parse reads a file of credentials. The name is the file's, for errors.
func parse(name string, content []byte) (users []user, tokens []string, err error) {
	lines, err := Text(content)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	names := make(map[string]bool)
	number := 0
	for line := range strings.Lines(lines) {
		number++
		if number > maxLines {
			return nil, nil, fmt.Errorf("%s: %w", name, errLines)
		}
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' {
			continue
		}
		userName, hash, isUser := strings.Cut(text, ":")
		if isUser {
			err = checkUser(userName, hash)
			if names[userName] {
				err = errDouble
			}
			names[userName] = true
			users = append(users, user{userName, []byte(hash)})
		} else {
			err = checkToken(text)
			tokens = append(tokens, text)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	if len(users)+len(tokens) == 0 {
		return nil, nil, fmt.Errorf("%s: %w", name, errNothing)
	}
	return users, tokens, nil
}

// checkUser says what is wrong with a line that has a colon.
func checkUser(name, hash string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errName
	}
	return checkHash(hash)
}

// checkHash says what is wrong with a hash. Package bcrypt looks at some of it only
// when there is a password to compare, and quotes it in its errors.
func checkHash(hash string) error {
	const (
		length   = 60 // "$2b$10$", a salt of 22 characters, 31 of the hash itself
		alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	)
	if len(hash) != length || !isHash(hash) || hash[6] != '$' || strings.Trim(hash[7:], alphabet) != "" {
		return errHash
	}
	tens, ones := hash[4]-'0', hash[5]-'0'
	if tens > 9 || ones > 9 {
		return errHash
	}
	if cost := 10*int(tens) + int(ones); cost < bcrypt.MinCost || cost > maxCost {
		return errCost
	}
	return nil
}

// isHash reports whether a text begins as a hash of bcrypt's does.
func isHash(text string) bool {
	return strings.HasPrefix(text, "$2a$") || strings.HasPrefix(text, "$2b$") || strings.HasPrefix(text, "$2y$")
}

// checkToken says what is wrong with a line that has no colon.
func checkToken(token string) error {
	if isHash(token) { // or the hash would be the password
		return errNoUser
	}
	if len(token) < minToken || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errToken
	}
	return nil
}

// mac stands for a secret: two of them are compared in its place. As its key is
// nobody's to know, the time that it takes says nothing of where they differ.
type mac [sha256.Size]byte

// origin is where a proof that has passed came from.
type origin struct {
	network netip.Prefix
	user    string
}

// credentials are those of one version of a file.
type credentials struct {
	hashes map[string][]byte // by the name of the user
	decoys [][]byte          // the same hashes, in the order of the file
	tokens []mac
	key    []byte // of MACs

	mu sync.Mutex
	// passed remembers passwords that bcrypt has found to be right, for bcrypt is
	// slow. It does so for each network apart: what is remembered is compared even
	// if the network has to wait, and elsewhere passwords could be guessed by it as
	// fast as requests can be sent.
	passed map[origin]mac
}

// loadCredentials reads a file of credentials.
func loadCredentials(path string) (*credentials, error) {
	content, err := Read(path, maxFile, SecretMode)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	users, tokens, err := parse(path, content)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	c := &credentials{hashes: make(map[string][]byte), passed: make(map[origin]mac), key: make([]byte, sha256.Size)}
	_, _ = rand.Read(c.key) // never fails
	for _, u := range users {
		c.hashes[u.name] = u.hash
		c.decoys = append(c.decoys, u.hash)
	}
	for _, token := range tokens {
		c.tokens = append(c.tokens, c.mac(token))
	}
	return c, nil
}

// mac returns what stands for a secret.
func (c *credentials) mac(secret string) (m mac) {
	h := hmac.New(sha256.New, c.key)
	h.Write([]byte(secret))
	h.Sum(m[:0])
	return m
}

// isToken reports whether a secret is a token. It compares it with all of them, so that
// the time does not show which one it is.
func (c *credentials) isToken(secret string) bool {
	m, found := c.mac(secret), false
	for _, token := range c.tokens {
		if hmac.Equal(m[:], token[:]) {
			found = true
		}
	}
	return found
}

// remembers reports whether a user's password has been found right before, in a
// request from the same network.
func (c *credentials) remembers(from netip.Prefix, name, password string) bool {
	m := c.mac(password)
	c.mu.Lock()
	defer c.mu.Unlock()
	passed, known := c.passed[origin{from, name}]
	return hmac.Equal(m[:], passed[:]) && known
}

// remember keeps that a user's password was right.
func (c *credentials) remember(from netip.Prefix, name, password string) {
	m := c.mac(password)
	c.mu.Lock()
	defer c.mu.Unlock()
	for other := range c.passed {
		if len(c.passed) < maxPassed {
			break
		}
		delete(c.passed, other) // any: it costs its owner a check
	}
	c.passed[origin{from, name}] = m
}

// hash returns the hash that a user's password is to be compared with. For a name that
// is not known it is a known user's, always the same one, so that the time that the
// comparison takes does not show which names are known. There is none if there are no
// users at all.
func (c *credentials) hash(name string) (hash []byte, known bool) {
	if hash, known = c.hashes[name]; known || len(c.decoys) == 0 {
		return hash, known
	}
	m := c.mac(name)
	return c.decoys[binary.BigEndian.Uint64(m[:])%uint64(len(c.decoys))], false
}
