package access

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Refuse answers a request that is refused, with a status code and a message for
// whoever sent it. Headers that belong to the refusal are set already. It is an alias,
// so that packages that know nothing of this one can have such a function.
type Refuse = func(w http.ResponseWriter, r *http.Request, code int, message string)

// Guard accepts requests with valid credentials. The nil Guard accepts every request.
type Guard struct {
	credentials *reloader[*credentials]
	log         *slog.Logger
	records     records
	gate        gate
	failures    atomic.Uint64
	// compare is bcrypt's, but in tests.
	compare func(hash, password []byte) error
}

// NewGuard returns a guard that accepts requests with one of the credentials in a file.
// The lines of the file are
//
//	# a comment
//	user:hash of the password, by bcrypt: what htpasswd -B writes
//	token
//
// with tokens of 16 to 256 printable ASCII characters, without spaces and colons. A
// user sends name and password by HTTP Basic; a token is sent as a Bearer, or by
// Basic as the password of any user.
//
// Others than the owner and the group must not be able to read the file, and others
// than the owner not to write it (see [Read]). The guard reads it again when it has
// changed. If that fails, the credentials that were read before stay in force.
func NewGuard(file string, log *slog.Logger) (*Guard, error) {
	load := func() (*credentials, error) { return loadCredentials(file) }
	r, err := newReloader("credentials", log, load, file)
	if err != nil {
		return nil, err
	}
	WarnExposed(log, file, SecretMode)
	return &Guard{credentials: r, log: log, gate: newGate(), compare: bcrypt.CompareHashAndPassword}, nil
}

// Failures returns the number of requests that were refused so far.
func (g *Guard) Failures() uint64 {
	if g == nil {
		return 0
	}
	return g.failures.Load()
}

// Wrap returns a handler that passes the requests that the guard accepts on to next. It
// refuses the others: with 401 if the credentials are missing or wrong, with 429 if
// there were too many wrong ones from that network, and with 503 if too many passwords
// wait for a check.
//
// The network is that of the connection: behind a proxy all requests come from one.
func (g *Guard) Wrap(next http.Handler, refuse Refuse) http.Handler {
	if g == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := proofOf(r)
		refused := g.authorize(r.Context(), network(r.RemoteAddr), p)
		if refused == nil {
			next.ServeHTTP(w, r)
			return
		}
		g.logRefusal(r, p, refused)
		switch {
		case refused.code == http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", `Basic realm="quantus-miner", charset="UTF-8"`)
		case refused.wait > 0:
			w.Header().Set("Retry-After", strconv.Itoa(seconds(refused.wait)))
		}
		refuse(w, r, refused.code, refused.message)
	})
}

// proof is what a request has to show.
type proof struct {
	sent   bool   // there is anything
	basic  bool   // by HTTP Basic, and so with a user
	user   string // which may be empty
	secret string // a password or a token
}

// proofOf returns what a request has to show.
func proofOf(r *http.Request) proof {
	if user, password, ok := r.BasicAuth(); ok {
		return proof{sent: true, basic: true, user: user, secret: password}
	}
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return proof{sent: true, secret: strings.TrimSpace(token)}
	}
	return proof{}
}

// refusal is why a request is refused.
type refusal struct {
	code    int
	message string
	wait    time.Duration // or 0 if waiting does not help
}

// authorize returns why a request from a network must be refused, or nil.
func (g *Guard) authorize(ctx context.Context, from netip.Prefix, p proof) *refusal {
	if !p.sent { // no guess
		return &refusal{code: http.StatusUnauthorized, message: "credentials are needed, as HTTP Basic or a Bearer token"}
	}
	known := g.credentials.get()
	// Before the limit on guesses, which would lock out clients that share an address
	// with somebody who guesses.
	if known.isToken(p.secret) || p.basic && known.remembers(from, p.user, p.secret) {
		return nil
	}
	if wait := g.records.take(from); wait > 0 {
		return &refusal{http.StatusTooManyRequests, fmt.Sprintf("too many wrong credentials: try again in %d s", seconds(wait)), wait}
	}
	if !p.basic {
		return &refusal{code: http.StatusUnauthorized, message: "the token is wrong"}
	}
	if len(p.secret) > maxPassword {
		return &refusal{code: http.StatusUnauthorized, message: fmt.Sprintf("the credentials are wrong: passwords have %d bytes at most", maxPassword)}
	}
	right, err := g.check(ctx, known, from, p)
	if err != nil || right {
		g.records.giveBack(from)
	}
	switch {
	case err != nil:
		return &refusal{http.StatusServiceUnavailable, err.Error() + ": try again in a moment", time.Second}
	case !right:
		return &refusal{code: http.StatusUnauthorized, message: "the credentials are wrong"}
	}
	return nil
}

// check reports whether a user's password is right.
func (g *Guard) check(ctx context.Context, known *credentials, from netip.Prefix, p proof) (right bool, err error) {
	hash, isUser := known.hash(p.user)
	if hash == nil { // there are only tokens, and everyone may know
		return false, nil
	}
	if err := g.gate.enter(ctx); err != nil {
		return false, err
	}
	defer g.gate.leave()
	// A client's first requests may come at once: one of them pays.
	if known.remembers(from, p.user, p.secret) {
		return true, nil
	}
	// Compared whether there is such a user or not: both take the same time.
	right = g.compare(hash, []byte(p.secret)) == nil && isUser
	if right {
		known.remember(from, p.user, p.secret)
	}
	return right, nil
}

// logRefusal counts a request that was refused, and logs it unless there was a line
// about that network within the last minute.
func (g *Guard) logRefusal(r *http.Request, p proof, refused *refusal) {
	total := g.failures.Add(1)
	count, line := g.records.refused(network(r.RemoteAddr))
	if !line {
		return
	}
	attributes := []any{"reason", refused.message, "remote", r.RemoteAddr, "requests", count, "total", total}
	// The name may be a token in the wrong place.
	if p.user != "" && !g.credentials.get().isToken(p.user) {
		attributes = append(attributes, "user", shorten(p.user))
	}
	g.log.Warn("request refused", attributes...)
}

// shorten returns the beginning of a name that a stranger has chosen.
func shorten(name string) string {
	const enough = 64
	if len(name) > enough {
		name = name[:enough] + "…"
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

// seconds rounds a time up.
func seconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}
