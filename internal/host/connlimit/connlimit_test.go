package connlimit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/pipenet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limited returns a server that answers "ok" on so many connections.
func limited(limit int, log io.Writer) *http.Server {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Refused(w, r) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})}
	server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	Apply(server, limit, slog.New(slog.NewTextHandler(log, nil)))
	return server
}

// network runs a server in memory, and returns how to connect to it.
func network(t *testing.T, server *http.Server) (dial func() net.Conn) {
	listener := pipenet.Listen()
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return func() net.Conn {
		conn, err := listener.Dial()
		if err != nil {
			t.Error(err)
		}
		return conn
	}
}

// ask sends a request and returns the status code of its answer, or 0 if there is
// none. It wants the answer 503 to say what belongs to it.
func ask(t *testing.T, conn net.Conn) int {
	t.Helper()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0
	}
	answers := bufio.NewReader(conn)
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode == http.StatusServiceUnavailable {
		if !response.Close || response.Header.Get("Retry-After") != "1" {
			t.Errorf("503 with %v", response.Header)
		}
		if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("after 503: %v, want the connection closed", err)
		}
	}
	return response.StatusCode
}

// TestSteps opens connections up to the limit, up to twice the limit and beyond,
// time and again: none is counted for longer than it is open, nor twice when it is
// closed.
func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		dial := network(t, limited(2, &log))
		for round := range 3 {
			began := time.Now()
			var conns []net.Conn
			for range 5 {
				conns = append(conns, dial())
			}
			if n, err := conns[4].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("beyond twice the limit: %d bytes, %v, want the connection closed", n, err)
			}
			for i, want := range []int{200, 200, 503, 503} {
				if got := ask(t, conns[i]); got != want {
					t.Errorf("round %d, connection %d: %d, want %d", round, i, got, want)
				}
			}
			synctest.Wait()
			if got := ask(t, dial()); got != 503 {
				t.Errorf("a third connection once others were refused: %d, want 503", got)
			}
			if got := ask(t, conns[0]); got != 200 {
				t.Errorf("the first connection, later: %d, want 200", got)
			}
			_ = conns[0].Close()
			synctest.Wait()
			last := dial()
			if got := ask(t, last); got != 200 {
				t.Errorf("a connection after another was closed: %d, want 200", got)
			}
			_ = last.Close()
			_ = conns[1].Close()
			synctest.Wait()
			if took := time.Since(began); took != 0 {
				t.Errorf("it took %s, want all at once", took)
			}
			// Rounds are 40 s apart.
			if got, want := strings.Count(log.String(), "\n"), []int{1, 1, 2}[round]; got != want {
				t.Errorf("%d warnings until round %d, want %d:\n%s", got, round, want, &log)
			}
			<-time.After(40 * time.Second)
		}
	})
}

// TestHijacked has a handler take connections away from the server, which then has
// nothing to do with them.
func TestHijacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := limited(1, io.Discard)
		answer := server.Handler
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer.ServeHTTP(w, r)
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
		})
		dial := network(t, server)
		for range 3 {
			if got := ask(t, dial()); got != 200 {
				t.Errorf("%d, want 200", got)
			}
			synctest.Wait()
		}
	})
}

// TestStorm opens and closes connections from all sides.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 4
		dial := network(t, limited(limit, io.Discard))
		var clients sync.WaitGroup
		for range 4 * limit {
			clients.Go(func() {
				for i := range 50 {
					conn := dial()
					if i%3 > 0 {
						ask(t, conn)
					}
					_ = conn.Close()
				}
			})
		}
		clients.Wait()
		synctest.Wait()
		var conns []net.Conn
		for range limit + 1 {
			conns = append(conns, dial())
		}
		for i, conn := range conns {
			want := http.StatusOK
			if i == limit {
				want = http.StatusServiceUnavailable
			}
			if got := ask(t, conn); got != want {
				t.Errorf("connection %d, after all: %d, want %d", i, got, want)
			}
			_ = conn.Close()
		}
	})
}

// TestBehindTLS has TLS between the server and the connections that are counted.
func TestBehindTLS(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			server := httptest.NewUnstartedServer(nil)
			server.Config = limited(1, io.Discard)
			server.EnableHTTP2 = proto == "HTTP/2.0"
			server.StartTLS()
			defer server.Close()
			first := server.Client().Transport.(*http.Transport)
			second := first.Clone()
			defer second.CloseIdleConnections()
			get := func(transport *http.Transport) int { // 0 for no answer
				response, err := (&http.Client{Transport: transport}).Get(server.URL)
				if err != nil {
					return 0
				}
				defer response.Body.Close()
				if _, err := io.Copy(io.Discard, response.Body); err != nil {
					t.Fatal(err)
				}
				if response.Proto != proto {
					t.Errorf("answered by %s", response.Proto)
				}
				return response.StatusCode
			}
			if got := get(first); got != 200 {
				t.Errorf("first connection: %d, want 200", got)
			}
			if got := get(second); got != 503 {
				t.Errorf("second connection: %d, want 503", got)
			}
			if got := get(first); got != 200 {
				t.Errorf("first connection again: %d, want 200", got)
			}
			first.CloseIdleConnections()
			for get(second) != 200 {
				// The server has not noticed yet, neither that nor perhaps that the
				// connections are closed which it has refused.
			}
		})
	}
}
