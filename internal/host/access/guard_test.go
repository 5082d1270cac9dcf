package access

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
)

// basic returns the header of a user with a password.
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestWrap(t *testing.T) {
	content := standardFile(t)
	for _, c := range []struct {
		name, header string
		code         int
		compared     int64 // passwords
		message      string
	}{
		{name: "password", header: basic("alice", alicesPassword), code: 204, compared: 1},
		{name: "of $2y$", header: basic("bob", bobsPassword), code: 204, compared: 1},
		{name: "of $2b$, as long as can be", header: basic("carol", carolsPassword), code: 204, compared: 1},
		{name: "scheme in other letters", header: "bASIC" + basic("alice", alicesPassword)[5:], code: 204, compared: 1},
		{name: "Bearer", header: "Bearer " + theToken, code: 204},
		{name: "the other token", header: "bearer  " + otherToken, code: 204},
		{name: "token as a user's password", header: basic("alice", theToken), code: 204},
		{name: "token as a stranger's password", header: basic("whoever", otherToken), code: 204},
		{name: "token as nobody's password", header: basic("", theToken), code: 204},

		{name: "nothing", code: 401, message: "credentials are needed, as HTTP Basic or a Bearer token"},
		{name: "other scheme", header: `Digest username="alice"`, code: 401, message: "credentials are needed, as HTTP Basic or a Bearer token"},
		{name: "not Base64", header: "Basic ????", code: 401, message: "credentials are needed, as HTTP Basic or a Bearer token"},
		{name: "no colon", header: "Basic " + base64.StdEncoding.EncodeToString([]byte("alice")), code: 401, message: "credentials are needed, as HTTP Basic or a Bearer token"},
		{name: "wrong password", header: basic("alice", alicesPassword+"x"), code: 401, compared: 1, message: "the credentials are wrong"},
		{name: "no password", header: basic("alice", ""), code: 401, compared: 1, message: "the credentials are wrong"},
		{name: "another's password", header: basic("alice", bobsPassword), code: 401, compared: 1, message: "the credentials are wrong"},
		{name: "the hash", header: basic("alice", strings.TrimPrefix(strings.Split(content, "\n")[1], "alice:")), code: 401, compared: 1, message: "the credentials are wrong"},
		{name: "stranger", header: basic("mallory", alicesPassword), code: 401, compared: 1, message: "the credentials are wrong"},
		{name: "nobody", header: basic("", alicesPassword), code: 401, compared: 1, message: "the credentials are wrong"},
		{name: "token as a user", header: basic(theToken, ""), code: 401, compared: 1, message: "the credentials are wrong"},
		{name: "password too long", header: basic("carol", carolsPassword+"c"), code: 401, message: "the credentials are wrong: passwords have 72 bytes at most"},
		{name: "stranger's password too long", header: basic("mallory", carolsPassword+"c"), code: 401, message: "the credentials are wrong: passwords have 72 bytes at most"},
		{name: "wrong token", header: "Bearer " + theToken + "x", code: 401, message: "the token is wrong"},
		{name: "no token", header: "Bearer", code: 401, message: "the token is wrong"},
		{name: "password as a token", header: "Bearer " + alicesPassword, code: 401, message: "the token is wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuarded(t, content)
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			w := answer(g.Wrap, r)
			if w.Code != c.code || g.compared.Load() != c.compared {
				t.Errorf("%d after %d comparisons, want %d after %d", w.Code, g.compared.Load(), c.code, c.compared)
			}
			body, challenge, failures := "", "", uint64(0)
			if c.code == 401 {
				body, challenge, failures = "refused: "+c.message+"\n", `Basic realm="quantus-miner", charset="UTF-8"`, 1
			}
			if diff := cmp.Diff([]any{body, challenge, "", failures}, []any{
				w.Body.String(), w.Header().Get("WWW-Authenticate"), w.Header().Get("Retry-After"), g.Failures(),
			}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNoGuard lets everyone in.
func TestNoGuard(t *testing.T) {
	var none *Guard
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.SetBasicAuth("mallory", "guess")
	if w := answer(none.Wrap, r); w.Code != http.StatusNoContent || none.Failures() != 0 {
		t.Errorf("%d and %d failures", w.Code, none.Failures())
	}
}

// TestTokensOnly has no password to compare with.
func TestTokensOnly(t *testing.T) {
	g := newGuarded(t, theToken)
	if code := g.try("192.0.2.1:1", "alice", "guess"); code != 401 || g.compared.Load() != 0 {
		t.Errorf("a guess: %d after %d comparisons", code, g.compared.Load())
	}
	if code := g.try("192.0.2.1:1", "alice", theToken); code != 204 {
		t.Errorf("the token: %d", code)
	}
}

// TestStranger guesses the password that a stranger's is compared with.
func TestStranger(t *testing.T) {
	g := newGuarded(t, "alice:"+hashOf(t, alicesPassword)) // the only one to choose
	for range 2 {
		if code := g.try("192.0.2.1:1", "mallory", alicesPassword); code != 401 {
			t.Errorf("a stranger with a user's password: %d", code)
		}
	}
	if n := g.compared.Load(); n != 2 {
		t.Errorf("%d comparisons, want 2: as many as for a user", n)
	}
}

const (
	nodes    = "192.0.2.1:1000"
	monitors = "192.0.2.2:1000"
	mallorys = "[2001:db8::1]:1000"
)

// TestRememberedPasswords counts the comparisons that take a core for long.
func TestRememberedPasswords(t *testing.T) {
	g := newGuarded(t, standardFile(t))
	for _, c := range []struct {
		from, user, password string
		code                 int
		compared             int64 // so far
	}{
		{nodes, "alice", alicesPassword, 204, 1},
		{nodes, "alice", alicesPassword, 204, 1},
		{"192.0.2.1:2000", "alice", alicesPassword, 204, 1},
		{nodes, "alice", bobsPassword, 401, 2},
		{nodes, "bob", alicesPassword, 401, 3},
		{nodes, "bob", bobsPassword, 204, 4},
		{nodes, "alice", alicesPassword, 204, 4},
		{nodes, "bob", bobsPassword, 204, 4},
		{nodes, "", alicesPassword, 401, 5},
		{monitors, "alice", alicesPassword, 204, 6}, // what was remembered is no help for guessing elsewhere
		{mallorys, "alice", "guess", 401, 7},
		{mallorys, "alice", "guess", 401, 8}, // wrong ones are not remembered
		{"[2001:db8::2]:1", "carol", carolsPassword, 204, 9},
		{mallorys, "carol", carolsPassword, 204, 9},
		{nodes, "alice", theToken, 204, 9},
	} {
		if code := g.try(c.from, c.user, c.password); code != c.code || g.compared.Load() != c.compared {
			t.Errorf("%+v: %d after %d comparisons", c, code, g.compared.Load())
		}
	}
}

// TestGuessing guesses until it has to wait.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, standardFile(t))
		expect := func(from, user, password string, code int) {
			t.Helper()
			if got := g.try(from, user, password); got != code {
				t.Errorf("%s, %s from %s: %d, want %d", user, password, from, got, code)
			}
		}
		expect(nodes, "alice", alicesPassword, 204)
		g.compared.Store(0)
		for i := range burst {
			expect(nodes, "alice", fmt.Sprint("guess ", i), 401)
		}
		for range 3 {
			expect(nodes, "alice", "guess", 429)
			expect(nodes, "bob", bobsPassword, 429)        // right, but not known to be
			expect(nodes, "alice", alicesPassword, 204)    // so is this, and it is
			expect(nodes, "whoever", theToken, 204)        // as is this
			expect(monitors, "alice", alicesPassword, 204) // a network of its own
		}
		if n := g.compared.Load(); n != burst+1 {
			t.Errorf("%d comparisons, want %d", n, burst+1)
		}
		w := answer(g.Wrap, func() *http.Request {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = nodes
			r.Header.Set("Authorization", "Bearer guess")
			return r
		}())
		if w.Code != 429 || w.Header().Get("Retry-After") != "6" || w.Header().Get("WWW-Authenticate") != "" || w.Body.String() != "refused: too many wrong credentials: try again in 6 s\n" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		<-time.After(interval - 1)
		expect(nodes, "bob", bobsPassword, 429)
		<-time.After(1)
		expect(nodes, "bob", bobsPassword, 204)
		expect(nodes, "alice", "guess", 401) // as what is right takes nothing
		expect(nodes, "alice", "guess", 429)
		<-time.After(time.Hour)
		for i := range burst {
			expect(nodes, "alice", fmt.Sprint("guess ", i), 401)
		}
		expect(nodes, "alice", "guess", 429)

		// In one network of IPv6 there are more addresses than guesses.
		for i := range burst {
			expect(fmt.Sprintf("[2001:db8::%x]:1", i), "alice", strings.Repeat("x", maxPassword+1), 401)
		}
		expect("[2001:db8::ffff:0:0:1]:1", "alice", "guess", 429)
		expect("[2001:db8:0:1::]:1", "alice", "guess", 401)

		// Who sends nothing guesses nothing.
		for range 2 * burst {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = "198.51.100.1:1"
			if w := answer(g.Wrap, r); w.Code != 401 {
				t.Errorf("without credentials: %d", w.Code)
			}
		}
		expect("198.51.100.1:1", "alice", "guess", 401)
	})
}

// TestSeconds rounds: who comes back too early has to wait again.
func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int{1: 1, time.Second - 1: 1, time.Second: 1, time.Second + 1: 2, interval: 6} {
		if got := seconds(d); got != want {
			t.Errorf("%s are %d s, want %d", d, got, want)
		}
	}
}

// TestManyUsers has more of them behind one address than may be wrong.
func TestManyUsers(t *testing.T) {
	var lines []string
	for i := range 2 * burst {
		lines = append(lines, fmt.Sprintf("user%d:%s", i, hashOf(t, "p")))
	}
	g := newGuarded(t, strings.Join(lines, "\n"))
	for i := range lines {
		if code := g.try(nodes, fmt.Sprint("user", i), "p"); code != 204 {
			t.Errorf("user %d: %d", i, code)
		}
	}
}

// TestBusy holds a comparison, and looks what becomes of the others.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, standardFile(t))
		release := make(chan struct{})
		inside := make(chan struct{}, 2*maxWaiting)
		g.compare = func(hash, password []byte) error {
			g.compared.Add(1)
			inside <- struct{}{}
			if len(inside) > 1 {
				t.Error("two comparisons at once")
			}
			<-release
			<-inside
			return bcrypt.CompareHashAndPassword(hash, password)
		}
		send := func(ctx context.Context, from, user, password string) chan *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
			r.RemoteAddr = from
			r.SetBasicAuth(user, password)
			answered := make(chan *httptest.ResponseRecorder, 1)
			go func() { answered <- answer(g.Wrap, r) }()
			synctest.Wait()
			return answered
		}
		first := send(t.Context(), nodes, "alice", alicesPassword)
		second := send(t.Context(), nodes, "alice", alicesPassword)
		third := send(t.Context(), monitors, "bob", bobsPassword)
		leaving, leave := context.WithCancel(t.Context())
		fourth := send(leaving, monitors, "alice", alicesPassword)
		fifth := send(t.Context(), mallorys, "alice", "guess")
		for range 2 * burst { // which are no guesses, as nobody checks them
			select {
			case w := <-send(t.Context(), "198.51.100.1:1", "alice", alicesPassword):
				if w.Code != 503 || w.Header().Get("Retry-After") != "1" || w.Body.String() != "refused: too many passwords are being checked: try again in a moment\n" {
					t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
				}
			default:
				t.Fatal("too many wait")
			}
		}
		select {
		case w := <-send(t.Context(), "198.51.100.1:1", "", theToken):
			if w.Code != 204 {
				t.Errorf("a token meanwhile: %d", w.Code)
			}
		default:
			t.Fatal("a token waits for passwords")
		}
		leave()
		if w := <-fourth; w.Code != 503 {
			t.Errorf("who has left: %d", w.Code)
		}
		close(release)
		if a, b, c, d := (<-first).Code, (<-second).Code, (<-third).Code, (<-fifth).Code; a != 204 || b != 204 || c != 204 || d != 401 {
			t.Errorf("answered %d, %d, %d, %d", a, b, c, d)
		}
		if n := g.compared.Load(); n != 3 { // one for the first two
			t.Errorf("%d comparisons, want 3", n)
		}
		if code := g.try("198.51.100.1:1", "alice", alicesPassword); code != 204 {
			t.Errorf("when all is over: %d", code)
		}
	})
}

// TestLog reads what the log says about refused requests.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, standardFile(t))
		expect := func(wants ...string) {
			t.Helper()
			lines := g.journal.lines(slog.LevelWarn)
			if len(lines) != len(wants) {
				t.Errorf("%d lines, want %d: %s", len(lines), len(wants), lines)
				return
			}
			for i, want := range wants {
				if _, line, _ := strings.Cut(lines[i], "msg="); line != want+"\n" {
					t.Errorf("the line is\n%swant\n%s", line, want)
				}
			}
		}
		for range 100 {
			g.try(mallorys, "alice", "hunter2")
		}
		expect(`"request refused" reason="the credentials are wrong" remote=[2001:db8::1]:1000 requests=1 total=1 user=alice`)
		g.try(nodes, "alice", alicesPassword)
		answer(g.Wrap, httptest.NewRequest(http.MethodGet, "/", nil))
		expect(`"request refused" reason="credentials are needed, as HTTP Basic or a Bearer token" remote=192.0.2.1:1234 requests=1 total=101`)
		<-time.After(logInterval - 1)
		g.try(mallorys, "alice", "hunter2")
		expect()
		<-time.After(1)
		g.try(mallorys, strings.Repeat("\n", 10), "hunter2")
		expect(`"request refused" reason="the credentials are wrong" remote=[2001:db8::1]:1000 requests=101 total=103 user="\n\n\n\n\n\n\n\n\n\n"`)

		<-time.After(time.Hour)
		g.try("192.0.2.10:1", theToken, "")
		g.try("192.0.2.11:1", strings.Repeat("x", 63)+"☃y", "hunter2")
		expect(
			`"request refused" reason="the credentials are wrong" remote=192.0.2.10:1 requests=1 total=104`,
			`"request refused" reason="the credentials are wrong" remote=192.0.2.11:1 requests=1 total=105 user="`+strings.Repeat("x", 63)+"\uFFFD…\"",
		)

		// However many networks there are, and each of them has its say in the end.
		<-time.After(time.Hour)
		for i := range 100 {
			g.try(fmt.Sprintf("198.51.100.%d:1", i), "alice", "hunter2")
		}
		if n := len(g.journal.lines(slog.LevelWarn)); n != burst {
			t.Errorf("%d lines about 100 networks at once, want %d", n, burst)
		}
		<-time.After(time.Hour)
		g.try("198.51.100.99:1", "alice", "hunter2")
		expect(`"request refused" reason="the credentials are wrong" remote=198.51.100.99:1 requests=2 total=206 user=alice`)
		if n := g.Failures(); n != 206 {
			t.Errorf("%d failures, want 206", n)
		}
	})
}

// TestNewCredentials changes the file of a guard.
func TestNewCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := "alice:"+hashOf(t, alicesPassword), "bob:"+hashOf(t, bobsPassword)
		g := newGuarded(t, alice)
		expect := func(user, password string, code int, compared int64) {
			t.Helper()
			if got := g.try(nodes, user, password); got != code || g.compared.Swap(0) != compared {
				t.Errorf("%s: %d, want %d after %d comparisons", user, got, code, compared)
			}
		}
		expect("alice", alicesPassword, 204, 1)
		put(t, g.file, bob)
		expect("alice", alicesPassword, 204, 0)
		<-time.After(lookInterval)
		expect("alice", alicesPassword, 401, 1)
		expect("bob", bobsPassword, 204, 1)
		expect("bob", bobsPassword, 204, 0)

		put(t, g.file, "bob:"+bobsPassword)
		<-time.After(lookInterval)
		expect("bob", bobsPassword, 204, 0)
		errors := g.journal.lines(slog.LevelError)
		if len(errors) != 1 || !strings.Contains(errors[0], g.file+":1: "+errHash.Error()) {
			t.Errorf("the log has %s", errors)
		}

		// What has passed is forgotten with the file that it passed by.
		put(t, g.file, bob+"\n"+alice)
		<-time.After(lookInterval)
		expect("bob", bobsPassword, 204, 1)
		expect("alice", alicesPassword, 204, 1)
	})
}
