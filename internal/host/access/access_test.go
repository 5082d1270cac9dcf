package access

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the files of credentials in these tests hold.
const (
	alicesPassword = "correct horse: battery"
	bobsPassword   = "wörd, ☃"
	theToken       = "s3cret-t0ken-of-24-chars"
	otherToken     = "0123456789abcdef"
)

// carolsPassword is as long as bcrypt can tell from another.
var carolsPassword = strings.Repeat("c", maxPassword)

// hashOf returns the hash of a password, the fastest that there is.
func hashOf(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// standardFile returns the content of a file with three users and two tokens.
func standardFile(t testing.TB) string {
	t.Helper()
	lines := []string{
		"# for tests",
		"alice:" + hashOf(t, alicesPassword),
		theToken,
		"bob:" + strings.Replace(hashOf(t, bobsPassword), "$2a$", "$2y$", 1),
		"",
		"carol:" + strings.Replace(hashOf(t, carolsPassword), "$2a$", "$2b$", 1),
		otherToken,
	}
	return strings.Join(lines, "\n") + "\n"
}

// put puts a new file in the place of one that may be there.
func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// journal keeps the lines of a log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

// log returns a log that is kept.
func (j *journal) log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// lines returns the lines of a level since it was asked the last time, and forgets
// the others.
func (j *journal) lines(level slog.Level) (lines []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		if strings.Contains(line, "level="+level.String()) {
			lines = append(lines, line)
		}
	}
	j.text.Reset()
	return lines
}

// guarded is a guard in a test.
type guarded struct {
	*Guard
	journal  journal
	file     string
	compared atomic.Int64 // passwords, by bcrypt
}

// newGuarded returns a guard with a file of that content.
func newGuarded(t testing.TB, content string) *guarded {
	t.Helper()
	g := &guarded{file: filepath.Join(t.TempDir(), "auth")}
	put(t, g.file, content)
	var err error
	if g.Guard, err = NewGuard(g.file, g.journal.log()); err != nil {
		t.Fatal(err)
	}
	g.compare = func(hash, password []byte) error {
		g.compared.Add(1)
		return bcrypt.CompareHashAndPassword(hash, password)
	}
	return g
}

// answer says what a handler makes of a request: 204 if it was let in.
func answer(wrap func(http.Handler, Refuse) http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	wrap(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		func(w http.ResponseWriter, _ *http.Request, code int, message string) {
			http.Error(w, "refused: "+message, code)
		},
	).ServeHTTP(w, r)
	return w
}

// try has a guard authorize a request from an address, and returns the status code.
func (g *guarded) try(address, user, password string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = address
	r.SetBasicAuth(user, password)
	return answer(g.Wrap, r).Code
}
