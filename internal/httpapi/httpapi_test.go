package httpapi

import (
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
)

// pipes is a listener whose connections are in memory, so that a bubble's time
// runs their time-outs.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

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
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
				server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
				})
				listener := make(pipes)
				go func() { _ = server.Serve(listener) }()
				client, conn := net.Pipe()
				listener <- conn
				began := time.Now()
				go func() { _, _ = io.WriteString(client, c.send) }()
				_, _ = io.Copy(io.Discard, client) // until the server closes
				took := time.Since(began)
				if took < c.atLeast || took > c.notMuchAbove+time.Second {
					t.Errorf("closed after %s, want %s to %s", took, c.atLeast, c.notMuchAbove)
				}
				_ = client.Close()
				close(listener)
				_ = server.Close()
			})
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
