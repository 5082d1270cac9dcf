package access

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
	"pgregory.net/rapid"
)

// aHash is a hash of bcrypt's as far as its form goes.
const aHash = "$2y$10$abcdefghijklmnopqrstuv./ABCDEFGHIJKLMNOPQRSTUVWXYZ012"

func TestParse(t *testing.T) {
	const unicodeName = "Zoë S. ☃"
	many := strings.Repeat("#\n", maxLines)
	for _, c := range []struct {
		name, content string
		users         []string
		tokens        []string
		err           string
	}{
		{name: "user", content: "u:" + aHash, users: []string{"u"}},
		{name: "users", content: "u:" + aHash + "\n" + unicodeName + ":" + aHash + "\n", users: []string{"u", unicodeName}},
		{name: "2a", content: "u:" + strings.Replace(aHash, "2y", "2a", 1), users: []string{"u"}},
		{name: "2b", content: "u:" + strings.Replace(aHash, "2y", "2b", 1), users: []string{"u"}},
		{name: "lowest cost", content: "u:" + strings.Replace(aHash, "$10$", "$04$", 1), users: []string{"u"}},
		{name: "highest cost", content: "u:" + strings.Replace(aHash, "$10$", "$14$", 1), users: []string{"u"}},
		{name: "longest name", content: strings.Repeat("u", maxName) + ":" + aHash, users: []string{strings.Repeat("u", maxName)}},
		{name: "shortest token", content: otherToken, tokens: []string{otherToken}},
		{name: "longest token", content: strings.Repeat("!~", maxToken/2), tokens: []string{strings.Repeat("!~", maxToken/2)}},
		{name: "both", content: theToken + "\n\n# u:x\nu:" + aHash + "\n" + otherToken + "\n", users: []string{"u"}, tokens: []string{theToken, otherToken}},
		{name: "of Windows", content: "# x\r\n\r\n  u:" + aHash + " \r\n\t" + theToken + "\r\n", users: []string{"u"}, tokens: []string{theToken}},
		{name: "byte order mark", content: "\ufeff" + theToken + "\n", tokens: []string{theToken}},
		{name: "byte order mark before a user", content: "\ufeffu:" + aHash, users: []string{"u"}},
		{name: "the same token twice", content: theToken + "\n" + theToken, tokens: []string{theToken, theToken}},
		{name: "most lines", content: many[2:] + theToken, tokens: []string{theToken}},

		{name: "empty", err: "f: must have a user or a token"},
		{name: "comments only", content: "# " + theToken + "\n\n", err: "f: must have a user or a token"},
		{name: "too many lines", content: many + theToken, err: "f: must not have more than 256 lines"},
		{name: "same user", content: "u:" + aHash + "\n\nv:" + aHash + "\nu:" + strings.Replace(aHash, "10", "11", 1), err: "f:4: the user must not have two lines"},
		{name: "no name", content: ":" + aHash, err: "f:1: the name of the user must be 1 to 255 bytes of printable UTF-8"},
		{name: "long name", content: strings.Repeat("u", maxName+1) + ":" + aHash, err: "f:1: the name of the user must be 1 to 255 bytes of printable UTF-8"},
		{name: "name with a tab", content: "u\tv:" + aHash, err: "f:1: the name of the user must be 1 to 255 bytes of printable UTF-8"},
		{name: "name not UTF-8", content: "u\xff:" + aHash, err: "f:1: the name of the user must be 1 to 255 bytes of printable UTF-8"},
		{name: "byte order mark within", content: "\ufeff\ufeffu:" + aHash, err: "f:1: the name of the user must be 1 to 255 bytes of printable UTF-8"},
		{name: "token with NUL", content: theToken + "\n" + theToken + "\x00\n", err: "f:2: must be user:hash, or a token of 16 to 256 printable ASCII characters without spaces and colons"},
		{name: "UTF-16", content: "\xff\xfeu\x00", err: "f: is in UTF-16, as Windows saves text: save it as UTF-8"},
		{name: "no hash", content: "\n#\nu:", err: "f:3: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "a password", content: "u:hunter2", err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "hash of MD5", content: "u:$apr1$mI6OAMjD$uQ/XW3W4rYDQlAIb5Eh6o0", err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "unknown kind", content: "u:" + strings.Replace(aHash, "2y", "2x", 1), err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "short hash", content: "u:" + aHash[:59], err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "long hash", content: "u:" + aHash + "x", err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "more fields", content: "u:" + aHash + ":0:0", err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "other alphabet", content: "u:" + strings.Replace(aHash, "l", "+", 1), err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "no dollar", content: "u:" + strings.Replace(aHash, "10$", "10.", 1), err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "cost with a sign", content: "u:" + strings.Replace(aHash, "$10", "$+5", 1), err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "cost no number", content: "u:" + strings.Replace(aHash, "$10", "$0x", 1), err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "cost half a number", content: "u:" + strings.Replace(aHash, "$10", "$x0", 1), err: "f:1: the hash of the password must be bcrypt's, as htpasswd -B writes it"},
		{name: "low cost", content: "u:" + strings.Replace(aHash, "$10", "$03", 1), err: "f:1: the cost of the hash must be 4 to 14"},
		{name: "high cost", content: "u:" + strings.Replace(aHash, "$10", "$15", 1), err: "f:1: the cost of the hash must be 4 to 14"},
		{name: "hash without a user", content: aHash, err: "f:1: a hash must have the name of its user and a colon in front"},
		{name: "short token", content: theToken + "\n" + otherToken[1:], err: "f:2: must be user:hash, or a token of 16 to 256 printable ASCII characters without spaces and colons"},
		{name: "long token", content: strings.Repeat("x", maxToken+1), err: "f:1: must be user:hash, or a token of 16 to 256 printable ASCII characters without spaces and colons"},
		{name: "token with a space", content: "0123456789 abcdef", err: "f:1: must be user:hash, or a token of 16 to 256 printable ASCII characters without spaces and colons"},
		{name: "token not ASCII", content: "0123456789abcdeé", err: "f:1: must be user:hash, or a token of 16 to 256 printable ASCII characters without spaces and colons"},
		{name: "token with DEL", content: "0123456789abcde\x7f", err: "f:1: must be user:hash, or a token of 16 to 256 printable ASCII characters without spaces and colons"},
	} {
		t.Run(c.name, func(t *testing.T) {
			users, tokens, err := parse("f", []byte(c.content))
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("got the error %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, u := range users {
				names = append(names, u.name)
			}
			if diff := cmp.Diff([][]string{c.users, c.tokens}, [][]string{names, tokens}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestParseAll makes files of lines whose meaning is known, and spoils one of them.
func TestParseAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A-Za-z0-9é☃._-]{1,20}`)
		hash := rapid.StringMatching(`\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}`)
		token := rapid.StringMatching("[!\"%-9;-~][!-9;-~]{15,40}")
		space := rapid.StringMatching(`[ \t]{0,2}`)
		var lines []string
		var users []user
		var tokens []string
		taken := make(map[string]bool)
		for range rapid.IntRange(1, 20).Draw(t, "lines") {
			line := rapid.StringMatching(`(#.{0,30})?`).Draw(t, "comment")
			switch n := name.Draw(t, "name"); rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				if !taken[n] {
					taken[n] = true
					users = append(users, user{n, []byte(hash.Draw(t, "hash"))})
					line = n + ":" + string(users[len(users)-1].hash)
				}
			case 1:
				line = token.Draw(t, "token")
				tokens = append(tokens, line)
			}
			lines = append(lines, space.Draw(t, "before")+line+space.Draw(t, "after"))
		}
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		gotUsers, gotTokens, err := parse("f", []byte(strings.Join(lines, end)))
		if len(users)+len(tokens) == 0 {
			if err == nil {
				t.Fatal("accepted a file without credentials")
			}
		} else if err != nil {
			t.Fatal(err)
		} else if diff := cmp.Diff(users, gotUsers, cmp.AllowUnexported(user{})) + cmp.Diff(tokens, gotTokens); diff != "" {
			t.Fatal(diff)
		}

		const secret = "hunter2"
		i := rapid.IntRange(0, len(lines)-1).Draw(t, "spoilt")
		lines[i] = rapid.SampledFrom([]string{secret, "nobody:" + secret, secret + "\tx:" + aHash}).Draw(t, "as")
		_, _, err = parse("f", []byte(strings.Join(lines, end)))
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("f:%d: ", i+1)) || strings.Contains(err.Error(), secret) {
			t.Fatalf("line %d is wrong, and the error is %v", i+1, err)
		}
	})
}

// FuzzCredentials holds what is accepted to the limits, and errors to what they may
// say.
func FuzzCredentials(f *testing.F) {
	f.Add([]byte("# x\nalice:" + aHash + "\r\n" + theToken))
	f.Add([]byte("alice:" + aHash + "\nalice:" + aHash))
	f.Add([]byte("alice:$apr1$mI6OAMjD$uQ/XW3W4rYDQlAIb5Eh6o0"))
	f.Add([]byte("alice:" + strings.Replace(aHash, "10", "31", 1)))
	f.Add([]byte(aHash))
	f.Add([]byte("0123456789abcde\u00e9\n"))
	var fixed []string
	for _, err := range []error{errToken, errName, errHash, errNoUser, errCost, errDouble, errLines, errNothing} {
		fixed = append(fixed, err.Error())
	}
	line := regexp.MustCompile(`^f(:[0-9]+)?: `)
	f.Fuzz(func(t *testing.T, content []byte) {
		users, tokens, err := parse("f", content)
		if err != nil {
			// Nothing of the content can be in an error that is one of a few.
			if place := line.FindString(err.Error()); place == "" || !slices.Contains(fixed, err.Error()[len(place):]) {
				t.Errorf("the error may have a secret in it: %q", err.Error())
			}
			return
		}
		if n := len(users) + len(tokens); n == 0 || n > maxLines {
			t.Errorf("accepted %d credentials", n)
		}
		names := make(map[string]bool)
		for _, u := range users {
			cost, err := bcrypt.Cost(u.hash)
			if err != nil || cost > maxCost {
				t.Errorf("accepted %q, of cost %d: %v", u.hash, cost, err)
			}
			// The cheapest of them are tried: whatever is accepted can be compared.
			if err := bcrypt.CompareHashAndPassword(u.hash, nil); cost == bcrypt.MinCost && err != nil && err != bcrypt.ErrMismatchedHashAndPassword {
				t.Errorf("accepted %q, which compares with %v", u.hash, err)
			}
			if names[u.name] || u.name == "" || len(u.name) > maxName || !utf8.ValidString(u.name) || strings.ContainsAny(u.name, ":\r\n\x00") {
				t.Errorf("accepted the user %q", u.name)
			}
			names[u.name] = true
		}
		for _, token := range tokens {
			if len(token) < minToken || len(token) > maxToken || strings.ContainsAny(token, ": \t\r\n\x00") || strings.HasPrefix(token, "#") {
				t.Errorf("accepted the token %q", token)
			}
		}
	})
}

func TestLoadCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth")
	if _, err := NewGuard(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no file, and the error is %v", err)
	}
	if _, err := NewGuard(filepath.Dir(path), nil); err == nil || err.Error() != "credentials: "+filepath.Dir(path)+": must be a regular file" {
		t.Errorf("a directory, and the error is %v", err)
	}
	put(t, path, theToken+strings.Repeat("\n", 100)+"#"+strings.Repeat("x", maxFile-len(theToken)-101))
	if _, err := loadCredentials(path); err != nil {
		t.Errorf("the largest file: %v", err)
	}
	put(t, path, theToken+strings.Repeat("\n", 100)+"#"+strings.Repeat("x", maxFile-len(theToken)-100))
	if _, err := loadCredentials(path); err == nil || err.Error() != "credentials: "+path+": must not be larger than 65536 bytes" {
		t.Errorf("a file that is too large, and the error is %v", err)
	}
	put(t, path, "alice:hunter2")
	if _, err := loadCredentials(path); err == nil || err.Error() != "credentials: "+path+":1: "+errHash.Error() {
		t.Errorf("a wrong line, and the error is %v", err)
	}
}

// TestDecoys looks what a password is compared with whose user is not known.
func TestDecoys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth")
	put(t, path, standardFile(t))
	c, err := loadCredentials(path)
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]int)
	for i := range 1000 {
		name := fmt.Sprint("stranger ", i)
		hash, known := c.hash(name)
		again, _ := c.hash(name)
		if known || string(hash) != string(again) {
			t.Fatalf("%s is known, or has two hashes: %s and %s", name, hash, again)
		}
		used[string(hash)]++
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		hash, known := c.hash(name)
		if !known || string(hash) != string(c.hashes[name]) {
			t.Errorf("%s is not known", name)
		}
		if n := used[string(hash)]; n < 200 { // about 333
			t.Errorf("the hash of %s was compared with %d of 1000 strangers' passwords", name, n)
		}
	}
}

// TestRemembered bounds what is remembered.
func TestRemembered(t *testing.T) {
	c := &credentials{passed: make(map[origin]mac), key: []byte("k")}
	at := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
	}
	for i := range maxPassed + 100 {
		c.remember(at(i), "u", "p")
		if len(c.passed) > maxPassed || !c.remembers(at(i), "u", "p") {
			t.Fatalf("%d are remembered, and the last is: %v", len(c.passed), c.remembers(at(i), "u", "p"))
		}
	}
	last := at(maxPassed + 99)
	if c.remembers(last, "v", "p") || c.remembers(last, "u", "q") || c.remembers(last, "u", "") || c.remembers(at(9999), "u", "p") {
		t.Error("remembers what never passed")
	}
}
