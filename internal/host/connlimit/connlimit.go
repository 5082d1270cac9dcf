// Package connlimit bounds the connections of an HTTP server, each of which takes
// a file descriptor, a goroutine and some kilobytes. Connections above the limit are
// answered that there are too many, and those above twice the limit are closed at
// once. Start with [Apply].
package connlimit

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// warnEvery is the least time between two warnings.
const warnEvery = time.Minute

// Apply limits a server that does not serve yet to that many connections, and has
// it warn when there are more. It takes the server's ConnContext and ConnState.
//
// Its handler must refuse the requests that [Refused] points out. Connections
// beyond twice the limit are closed at once.
func Apply(server *http.Server, limit int, log *slog.Logger) {
	c := &counter{limit: limit, log: log}
	// The server's own hooks, and not a listener, so that connections stay what
	// they are: net/http looks for methods of theirs, such as CloseWrite, and TLS
	// may come between. For every connection it calls the one as it is accepted,
	// and the other, with one of two states, when it is done with it.
	server.ConnContext = c.opened
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			c.closed()
		}
	}
}

// Refused reports whether a request has come on a connection above the limit, and is
// to be answered with 503. If so, the headers of that answer are set: the
// connection is closed after it, and the client may come again in a second.
func Refused(w http.ResponseWriter, r *http.Request) bool {
	if r.Context().Value(above{}) == nil {
		return false
	}
	w.Header().Set("Connection", "close")
	w.Header().Set("Retry-After", "1") // nobody knows when others close theirs
	return true
}

// above is the key that the contexts of connections above the limit have a value for.
type above struct{}

// counter counts the connections of a server.
type counter struct {
	limit int
	log   *slog.Logger

	mu     sync.Mutex
	open   int
	warned time.Time // last, or zero
}

// opened counts a new connection, and marks or closes it if there are too many.
func (c *counter) opened(ctx context.Context, conn net.Conn) context.Context {
	c.mu.Lock()
	c.open++
	open := c.open
	warn := open > c.limit && time.Since(c.warned) >= warnEvery
	if warn {
		c.warned = time.Now()
	}
	c.mu.Unlock()
	if warn {
		c.log.Warn("too many connections: those above the limit are refused", "limit", c.limit,
			"address", conn.LocalAddr().String(), "remote", conn.RemoteAddr().String())
	}
	if open > 2*c.limit {
		_ = conn.Close() // which the server will notice
	}
	if open > c.limit {
		return context.WithValue(ctx, above{}, true)
	}
	return ctx
}

// closed forgets a connection.
func (c *counter) closed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}
