package httpapi

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/quantus-network/quantus-miner/internal/engine/fast"
	"github.com/quantus-network/quantus-miner/internal/pipenet"
)

// TestTimeouts lets clients be slow, and measures how long the server bears it.
func TestTimeouts(t *testing.T) {
	const request = "GET /result/x HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, c := range []struct {
		name         string
		send         string
		atLeast      time.Duration
		notMuchAbove time.Duration
	}{
		{"nothing sent", "", time.Second, 5 * time.Second},
		{"half a header", "POST /mine HTTP/1.1\r\nHost:", time.Second, 5 * time.Second},
		{"half a body", "POST /mine HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", time.Second, 10 * time.Second},
		// The node keeps idle connections for 90 s.
		{"idle after a request", request, 100 * time.Second, 3 * time.Minute},
		{"answer not read", strings.Repeat(request, 100), time.Second, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
				server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
				})
				closed := make(chan struct{})
				server.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateClosed {
						close(closed)
					}
				}
				listener := pipenet.Listen()
				go func() { _ = server.Serve(listener) }()
				client, err := listener.Dial()
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				go func() { _, _ = io.WriteString(client, c.send) }()
				if c.name != "answer not read" {
					go func() { _, _ = io.Copy(io.Discard, client) }()
				}
				<-closed
				took := time.Since(began)
				if took < c.atLeast || took > c.notMuchAbove+time.Second {
					t.Errorf("closed after %s, want %s to %s", took, c.atLeast, c.notMuchAbove)
				}
				_ = client.Close()
				_ = server.Close()
			})
		})
	}
}

// exchange sends bytes as they are to a real server and returns the answer.
func exchange(t *testing.T, send string) (*http.Response, string) {
	t.Helper()
	server := NewServer(New(startMiner(t, fast.Engine{}), slog.New(slog.DiscardHandler), nil), slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	defer func() { _ = server.Close(); <-served }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, send); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// TestRawRequests sends what a client of the library would not.
func TestRawRequests(t *testing.T) {
	const end = " HTTP/1.1\r\nHost: x\r\n"
	for _, c := range []struct {
		name, send string
		code       int
		body       string // a part of it
	}{
		{"bad chunk", "POST /mine" + end + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, `"message":"reading the body: `},
		{"OPTIONS *", "OPTIONS *" + end + "\r\n", 404, `"status":"error"`},
		{"absolute form", "GET http://x/result/y" + end + "\r\n", 404, `"status":"not_found","job_id":"y"`},
		{"HTTP/1.0", "GET /result/y HTTP/1.0\r\n\r\n", 404, `"status":"not_found"`},
		// Whatever a job is called, it can be asked for.
		{"longest job_id", "POST /cancel/" + strings.Repeat("%41", MaxBody) + end + "\r\n", 404, `"job_id":"AAAA`},
		{"no end of headers", "GET /" + end + "X: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n", 431, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, body := exchange(t, c.send)
			if response.StatusCode != c.code || !strings.Contains(body, c.body) {
				t.Errorf("%d %.200s, want %d …%s…", response.StatusCode, body, c.code, c.body)
			}
		})
	}
}

// FuzzDecodeMine holds what is accepted to the contract.
func FuzzDecodeMine(f *testing.F) {
	f.Add([]byte(mineBody("a")))
	f.Add([]byte(`{"job_id":"a","job_id":"b"}`))
	f.Add([]byte(`{"job_id":null}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(mineBody("a", "nonce_end", `"`+strings.Repeat("0", 128)+`"`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := decodeMine(body)
		if err != nil {
			if err.Error() == "" || !utf8.ValidString(err.Error()) {
				t.Errorf("unfit as a message: %q", err.Error())
			}
			return
		}
		// Whatever is accepted, any other JSON decoder must read the same in it.
		var fields map[string]any
		if err := json.Unmarshal(body, &fields); err != nil {
			t.Fatalf("accepted no JSON object: %v", err)
		}
		threshold, _ := fields["distance_threshold"].(string)
		start, _ := fields["nonce_start"].(string)
		if request.ID == "" || fields["job_id"] != request.ID ||
			strings.TrimLeft(threshold, "0") != strings.TrimLeft(request.Threshold.String(), "0") ||
			!strings.EqualFold(start, request.Range.Start.PaddedHex()) || request.Range.Empty() {
			t.Errorf("%s was read as %+v", body, request)
		}
	})
}
