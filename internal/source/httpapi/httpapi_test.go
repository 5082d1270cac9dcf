package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pipenet"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
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
				server := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler), Limits{})
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

// serve runs a server of the API in memory for as long as the test takes.
func serve(t *testing.T, miner *mining.Miner, observer Observer, limits Limits) *pipenet.Listener {
	log := slog.New(slog.DiscardHandler)
	server := NewServer(New(miner, log, observer, limits), log, limits)
	listener := pipenet.Listen()
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return listener
}

// dial connects to a server in memory for as long as the test takes.
func dial(t *testing.T, listener *pipenet.Listener) net.Conn {
	t.Helper()
	conn, err := listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// exchange sends bytes as they are, and reads the answer.
func exchange(t *testing.T, conn net.Conn, send string) answer {
	t.Helper()
	if _, err := io.WriteString(conn, send); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.Close { // which the library takes out of the header
		response.Header.Set("Connection", "close")
	}
	return read(t, response)
}

// TestSlowClients sends a byte a second, and measures how long the server bears it.
func TestSlowClients(t *testing.T) {
	const end = " HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"
	for _, c := range []struct {
		name, send, drip string
		limits           Limits
		took             time.Duration
		answer           string // the parts of it that are wanted, in their order
	}{
		// net/http takes what it has of a line for all of it.
		{"first line", "", "GET /result/x" + end, Limits{}, 5 * time.Second, "HTTP/1.1 400 *text/plain*Connection: close*"},
		{"head", "GET /result/x HTTP/1.1\r\n", "Host: a name so long that it takes a while", Limits{}, 5 * time.Second, ""},
		{"body", "POST /mine" + end, mineBody("x"), Limits{}, 10 * time.Second, `HTTP/1.1 408 *Connection: close*"the body must arrive within 10s"*`},
		{"body in time", "POST /mine" + strings.Replace(end, "99", "2", 1), "{}", Limits{}, 3 * time.Minute, "HTTP/1.1 400 *missing field*"},
		{"head by half of another limit", "GET /result/x HTTP/1.1\r\nHost:", "a name", Limits{Request: 4 * time.Second}, 2 * time.Second, ""},
		{"body by another limit", "POST /mine" + end, mineBody("x"), Limits{Request: 4 * time.Second}, 4 * time.Second, `HTTP/1.1 408 *"the body must arrive within 4s"*`},
		// A body that nobody wants is waited for by net/http.
		{"body of no use", "POST /cancel/x" + end, mineBody("x"), Limits{}, 10 * time.Second, `HTTP/1.1 404 *Connection: close*"Job not found"*`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := dial(t, serve(t, mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: fast.Engine{}, Workers: 1}), nil, c.limits))
				began := time.Now()
				var sending sync.WaitGroup
				defer sending.Wait()
				sending.Go(func() {
					_, err := io.WriteString(conn, c.send)
					for i := 0; i < len(c.drip) && err == nil; i++ {
						<-time.After(999 * time.Millisecond) // so that none comes just as the time is up
						_, err = io.WriteString(conn, c.drip[i:i+1])
					}
				})
				answer, err := io.ReadAll(conn) // until the server closes it
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began).Truncate(time.Second); took != c.took && took != c.took+time.Second {
					t.Errorf("closed after %s, want %s", took, c.took)
				}
				rest := string(answer)
				for part := range strings.SplitSeq(c.answer, "*") {
					_, after, found := strings.Cut(rest, part)
					if !found {
						t.Fatalf("answered with %q, want %q", answer, c.answer)
					}
					rest = after
				}
				if c.answer == "" && len(answer) > 0 {
					t.Errorf("answered with %q", answer)
				}
			})
		})
	}
}

// TestLimits has every limit at its edge, with figures of its own.
func TestLimits(t *testing.T) {
	limits := Limits{JobID: 5, Body: 700, Header: 100}
	listener := serve(t, startMiner(t, fast.Engine{}), nil, limits)
	post := func(path, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	}
	// get is a request with a header of so many bytes.
	get := func(size int) string {
		const head = "GET /result/x HTTP/1.1\r\nHost: x\r\nA: "
		return head + strings.Repeat("x", size-len(head)-2) + "\r\n\r\n"
	}
	for _, c := range []struct {
		name, send string
		code       int
		message    any
	}{
		{"job_id", post("/mine", mineBody("12345")), 200, nil},
		{"job_id, too long", post("/mine", mineBody("123456")), 400, "job_id must not exceed 5 bytes"},
		{"body", post("/mine", mineBody("b")+strings.Repeat(" ", 700-len(mineBody("b")))), 200, nil},
		{"body, too large", post("/mine", mineBody("c")+strings.Repeat(" ", 701-len(mineBody("c")))), 413, "the body must not exceed 700 bytes"},
		{"header", get(100), 404, nil},
		{"header, too large", get(101), 431, "the header must not exceed 100 bytes"},
		{"header, twice as large", get(200), 431, "the header must not exceed 100 bytes"},
		{"path, too large", post("/mine?"+strings.Repeat("x", 100), ""), 431, "the header must not exceed 100 bytes"},
		{"host, too large", strings.Replace(get(50), "Host: x", "Host: "+strings.Repeat("x", 52), 1), 431, "the header must not exceed 100 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := exchange(t, dial(t, listener), c.send); got.code != c.code || got.body["message"] != c.message {
				t.Errorf("%d %v, want %d %v", got.code, got.body, c.code, c.message)
			}
		})
	}
}

// TestBoundedLog lets refusals be logged whose requests are as large as can be.
func TestBoundedLog(t *testing.T) {
	var log bytes.Buffer
	api := New(startMiner(t, fast.Engine{}), slog.New(slog.NewJSONHandler(&log, nil)), nil, Limits{})
	long := strings.Repeat("x", DefaultBody/2)
	ask(t, api, "POST", "/mine", "", mineBody(long))
	ask(t, api, "POST", "/mine", "", mineBody(long, "nonce_end", ""))
	ask(t, api, "POST", "/mine", "", mineBody(long, "distance_threshold", "null"))
	ask(t, api, "POST", "/mine", "", `{"`+long+`":,}`)
	ask(t, api, "POST", "/mine", long, "{}")
	if lines := strings.Count(log.String(), "\n"); lines != 5 || log.Len() > lines*(DefaultJobID+256) {
		t.Errorf("%d lines of log, %d bytes:\n%.2000s", lines, log.Len(), &log)
	}
}

func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		-time.Second: "1", 0: "1", 1: "1", time.Second: "1", time.Second + 1: "2", mining.Retention: "300",
	} {
		if got := retryAfter(wait); got != want {
			t.Errorf("%s is %s s, want %s", wait, got, want)
		}
	}
}

// shortOfFiles is a listener that fails, as the process has too many files open.
type shortOfFiles struct {
	net.Listener
	failures int // to come
}

func (l *shortOfFiles) Accept() (net.Conn, error) {
	if l.failures == 0 {
		return l.Listener.Accept()
	}
	l.failures--
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
}

// TestTooManyFiles holds net/http to what this package relies on: it tries to
// accept connections again, and ever less often.
func TestTooManyFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler), Limits{})
		defer server.Close()
		inner := pipenet.Listen()
		began := time.Now()
		go func() { _ = server.Serve(&shortOfFiles{inner, 10}) }()
		dial(t, inner)
		if took := time.Since(began); took < time.Second || took > time.Minute {
			t.Errorf("accepted after %s", took)
		}
	})
}

// overTCP sends bytes as they are to a server on the network of the operating
// system, and returns the answer.
func overTCP(t *testing.T, send string) (*http.Response, string) {
	t.Helper()
	server := NewServer(New(startMiner(t, fast.Engine{}), slog.New(slog.DiscardHandler), nil, Limits{}), slog.New(slog.DiscardHandler), Limits{})
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
		{"longest job_id", "POST /cancel/" + strings.Repeat("%41", DefaultJobID) + end + "\r\n", 404, `"job_id":"AAAA`},
		{"twice the header", "GET /" + end + "X: " + strings.Repeat("x", 2*DefaultHeader-64) + "\r\n\r\n", 431, `"status":"error","job_id":""`},
		{"no end of headers", "GET /" + end + "X: " + strings.Repeat("x", 3*DefaultHeader) + "\r\n\r\n", 431, "431 Request Header Fields Too Large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, body := overTCP(t, c.send)
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
	f.Add([]byte(mineBody(strings.Repeat("a", DefaultJobID+1))))
	f.Add([]byte(mineBody("a", "nonce_end", `"`+strings.Repeat("0", 128)+`"`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := decodeMine(body, DefaultJobID)
		if err != nil {
			if len(request.ID) > DefaultJobID {
				t.Errorf("an ID of %d bytes goes into the answer", len(request.ID))
			}
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
		if request.ID == "" || len(request.ID) > DefaultJobID || fields["job_id"] != request.ID ||
			strings.TrimLeft(threshold, "0") != strings.TrimLeft(request.Threshold.String(), "0") ||
			!strings.EqualFold(start, request.Range.Start.PaddedHex()) || request.Range.Empty() {
			t.Errorf("%s was read as %+v", body, request)
		}
	})
}

// FuzzRoute holds the routes to how paths are written: whatever a job is called
// can be asked for, and what is taken for a job's name is written as it was.
func FuzzRoute(f *testing.F) {
	for _, s := range []string{
		"/mine", "/mine/", "/result/a", "/result/", "/cancel/%2e%2e", "/result/a/b", "/result/a%2Fb", "/cancel/%zz", "//mine",
		"*", "http://x/result/y", "/result/a?b", "/result/%00%ff", "ünï ?#", ".",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ask := func(endpoint, jobID string) {
			t.Helper()
			u, err := url.ParseRequestURI("/" + endpoint + "/" + url.PathEscape(jobID))
			if err != nil {
				t.Fatalf("asking for job %q: %v", jobID, err)
			}
			if gotEndpoint, gotID := route(u); gotEndpoint != endpoint || gotID != jobID {
				t.Errorf("asking %s for job %q leads to %s and job %q", endpoint, jobID, gotEndpoint, gotID)
			}
		}
		if s != "" {
			ask(result, s)
			ask(cancel, s)
		}
		u, err := url.ParseRequestURI(s) // as the server reads the target of a request
		if err != nil {
			return
		}
		switch endpoint, jobID := route(u); endpoint {
		case mine:
			if "/"+strings.TrimLeft(u.Path, "/") != "/mine" || jobID != "" {
				t.Errorf("%q leads to %s and job %q", s, endpoint, jobID)
			}
		case result, cancel:
			if !strings.HasSuffix(u.Path, endpoint+"/"+jobID) || jobID == "" {
				t.Errorf("%q leads to %s and job %q", s, endpoint, jobID)
			}
			ask(endpoint, jobID)
		case other:
			if jobID != "" {
				t.Errorf("%q leads nowhere, with job %q", s, jobID)
			}
		default:
			t.Errorf("%q leads to %q", s, endpoint)
		}
	})
}

// FuzzContentType takes nothing for JSON that does not call itself so.
func FuzzContentType(f *testing.F) {
	for _, s := range []string{
		"", "application/json", "Application/JSON; charset=utf-8", "application/problem+json", "application/json;", "text/json",
		"application/json; a=b; a=c", "application/json, text/plain", "text/plain; a=+json",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mediaType, _, _ := strings.Cut(strings.ToLower(s), ";")
		mediaType = strings.TrimSpace(mediaType)
		if isJSON(s) && s != "" && mediaType != "application/json" && !strings.HasSuffix(mediaType, "+json") {
			t.Errorf("%q is taken for JSON", s)
		}
		if !isJSON(s) && mediaType == "application/json" && strings.TrimSpace(s) == s && !strings.Contains(s, ";") {
			t.Errorf("%q is not taken for JSON", s)
		}
	})
}
