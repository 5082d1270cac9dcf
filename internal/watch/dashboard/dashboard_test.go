package dashboard

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pipenet"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/u512"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
	"github.com/quantus-network/quantus-miner/internal/watch/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPage looks at the page as a browser gets it: its policy lets it run its own
// script and style, and it asks for nothing from elsewhere.
func TestPage(t *testing.T) {
	miner := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: enginetest.Paced{}, Workers: 1})
	sampler := hashrate.NewSampler(miner, nil)
	service := New(sampler, Facts{}, status.New(sampler, status.Program{}, nil))
	w := httptest.NewRecorder()
	service.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	body := w.Body.String()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", w.Code, w.Header().Get("Content-Type"))
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'none'", "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy+";", directive+";") {
			t.Errorf("the policy lacks %s: %s", directive, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is unsafe: %s", policy)
	}
	for _, element := range []string{"script", "style"} {
		found := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(body, -1)
		if len(found) != 1 || strings.Count(body, "<"+element) != 1 {
			t.Fatalf("the page has %d elements %s", len(found), element)
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		if want := fmt.Sprintf("%s-src 'sha256-%s';", element, base64.StdEncoding.EncodeToString(sum[:])); !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if elsewhere := regexp.MustCompile(`(?i)(src|href|action|srcset)\s*=\s*["']?\s*(https?:|//)|@import|url\((?:["']?(?:https?:)?//)`).FindString(body); elsewhere != "" {
		t.Errorf("the page asks for something from elsewhere: %s", elsewhere)
	}
	if !strings.Contains(body, "Permission is hereby granted") {
		t.Error("the page lacks the licence of what is in it")
	}
	for _, path := range []string{"/index.html", "/x"} {
		w := httptest.NewRecorder()
		service.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
}

// inBubble serves the events of a miner of two workers in a bubble of time. The
// function that the test gets opens a stream of events.
func inBubble(t *testing.T, e engine.Engine, test func(m *mining.Miner, service *events, open func() (net.Conn, *bufio.Reader))) {
	synctest.Test(t, func(t *testing.T) {
		m := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: e, Workers: 2})
		s := hashrate.NewSampler(m, nil)
		service := &events{sampler: s, facts: Facts{CPUs: 2}, board: status.New(s, status.Program{}, nil)}
		server := &http.Server{Handler: service, WriteTimeout: 10 * time.Second}
		listener := pipenet.Listen()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		running.Go(func() { s.Run(ctx) })
		running.Go(func() { _ = server.Serve(listener) })
		test(m, service, func() (net.Conn, *bufio.Reader) {
			client, err := listener.Dial()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(client, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			return client, bufio.NewReader(client)
		})
		synctest.Wait()
		if n := service.readers.Load(); n != 0 {
			t.Errorf("%d readers are still served", n)
		}
		_ = server.Close()
		cancel()
		running.Wait()
	})
}

// body reads an answer's head and returns its body.
func body(t *testing.T, r *bufio.Reader, code int) *bufio.Reader {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != code {
		t.Fatalf("status %d, want %d", response.StatusCode, code)
	}
	return bufio.NewReader(response.Body)
}

// next reads an event of that name into data.
func next(t *testing.T, r *bufio.Reader, name string, data any) {
	t.Helper()
	var lines [3]string
	for i := range lines {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = strings.TrimSuffix(line, "\n")
	}
	text, ok := strings.CutPrefix(lines[1], "data: ")
	if lines[0] != "event: "+name || !ok || lines[2] != "" {
		t.Fatalf("got %q, want the event %s", lines, name)
	}
	if err := json.Unmarshal([]byte(text), data); err != nil {
		t.Fatal(err)
	}
}

func submit(t *testing.T, m *mining.Miner, id string, first, last u512.Uint) *mining.Job {
	t.Helper()
	job, err := m.Submit(mining.Request{ID: id, Range: engine.Range{Start: first, End: last}})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// TestNode has a page follow how the miner stands with its node.
func TestNode(t *testing.T) {
	inBubble(t, enginetest.Paced{}, func(_ *mining.Miner, service *events, open func() (net.Conn, *bufio.Reader)) {
		stands := make(chan string, 2)
		stands <- "not connected to <b>: gone"
		stands <- "working for a"
		service.board = status.New(service.sampler, status.Program{}, func() status.Node { return status.Node{Summary: <-stands} })
		client, r := open()
		defer client.Close()
		stream := body(t, r, http.StatusOK)
		next(t, stream, "facts", new(Facts))
		next(t, stream, "history", new(history))
		for _, want := range []string{"not connected to <b>: gone", "working for a"} {
			var s state
			if next(t, stream, "state", &s); s.Status.Node.Summary != want {
				t.Errorf("%q, want %q", s.Status.Node.Summary, want)
			}
		}
	})
}

// threads are those of the only device.
func threads(s state) []status.Thread { return s.Status.Devices[0].Threads }

// TestEvents reads what a page is told over a minute, while jobs come and go.
func TestEvents(t *testing.T) {
	one := u512.From64(1)
	inBubble(t, enginetest.Paced{Interval: time.Millisecond, Winner: u512.From64(5000)}, func(m *mining.Miner, _ *events, open func() (net.Conn, *bufio.Reader)) {
		const hostile = "<script>\n\n\u2028event: state\r\ndata: {}"
		<-submit(t, m, hostile, one, u512.From64(10)).Done()
		<-time.After(2500*time.Millisecond - 10*time.Millisecond) // between two ticks
		began := time.Now()
		client, r := open()
		stream := body(t, r, http.StatusOK)
		var f Facts
		next(t, stream, "facts", &f)
		if f != (Facts{CPUs: 2}) {
			t.Errorf("facts %+v", f)
		}
		var h history
		next(t, stream, "history", &h)
		if len(h.Times) != 2 || len(h.Rates) != 2 || h.Rates[0] != 10 || h.Rates[1] != 0 || h.Times[1] != unix(began)-0.5 {
			t.Errorf("history %v", h)
		}
		var s state
		next(t, stream, "state", &s)
		if !time.Now().Equal(began) {
			t.Errorf("the first state is %s late", time.Since(began))
		}
		if s.Time != unix(began)-0.5 || s.Status.HashRate != 0 || s.Second != 0 || s.Status.Rate10s != nil || s.Status.Hashes != 10 || s.Status.Jobs != (status.Jobs{Failed: 1}) || len(threads(s)) != 2 || len(s.Jobs) != 1 || s.Omitted != 0 {
			t.Errorf("first state %+v", s)
		}
		if j := s.Jobs[0]; j.ID != hostile || j.Status != "failed" || j.Hashes != 10 || j.Tried != 1 || j.Rate <= 0 || j.Result != mining.ErrExhausted.Error() || j.Engine != "paced" {
			t.Errorf("the job %+v", j)
		}

		everything := submit(t, m, "everything", u512.From64(1_000_000), u512.Max())
		for i := range 60 {
			if i == 30 {
				submit(t, m, "wins", one, u512.From64(20_000))
			}
			next(t, stream, "state", &s)
			if got, want := time.Since(began), time.Duration(i)*time.Second+500*time.Millisecond; got != want {
				t.Fatalf("state %d after %s, want %s", i, got, want)
			}
			// Once there are two jobs the smoothed rates take seconds to tell who has
			// how much of the workers.
			if i > 0 && (i < 30 && (s.Status.HashRate < 1900 || s.Status.HashRate > 2100) || math.Abs(threads(s)[0].HashRate+threads(s)[1].HashRate-s.Status.HashRate) > 1 || s.Second < 1900 || s.Second > 2100) {
				t.Errorf("state %d: %g hashes/s, %g in the last second, %v by thread", i, s.Status.HashRate, s.Second, threads(s))
			}
			if i == 10 {
				if len(s.Jobs) != 2 || s.Jobs[0].ID != "everything" || s.Jobs[0].Status != "running" || s.Jobs[0].Elapsed != 10.5 ||
					s.Jobs[0].Tried <= 0 || s.Jobs[0].Tried > 1e-145 || math.Abs(s.Jobs[0].Rate-s.Status.HashRate) > 1 || s.Jobs[0].Started != unix(everything.Started()) || s.Status.Rate10s == nil {
					t.Errorf("state %d: %+v", i, s)
				}
			}
		}
		if len(s.Jobs) != 3 || s.Jobs[0].ID != "wins" || s.Jobs[0].Status != "completed" || s.Jobs[0].Result != "1388" || s.Jobs[0].Tried != float64(s.Jobs[0].Hashes)/20_000 || s.Status.Jobs != (status.Jobs{Running: 1, Completed: 1, Failed: 1}) {
			t.Errorf("at the end %+v", s)
		}
		if now := s.Status; now.Rate60s == nil || now.Rate15m != nil || *now.Rate60s < 1900 {
			t.Errorf("averages %v %v", now.Rate60s, now.Rate15m)
		}
		_ = client.Close() // the reader goes away
	})
}

// TestManyJobs knows of more jobs than a page shows.
func TestManyJobs(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: time.Millisecond}, func(m *mining.Miner, _ *events, open func() (net.Conn, *bufio.Reader)) {
		for i := range maxJobs + 7 {
			<-submit(t, m, fmt.Sprint(i), u512.From64(1), u512.From64(1)).Done()
		}
		client, r := open()
		stream := body(t, r, http.StatusOK)
		next(t, stream, "facts", new(Facts))
		next(t, stream, "history", new(history))
		var s state
		next(t, stream, "state", &s)
		if len(s.Jobs) != maxJobs || s.Omitted != 7 || s.Jobs[0].ID != fmt.Sprint(maxJobs+6) || s.Jobs[maxJobs-1].ID != "7" {
			t.Errorf("%d jobs from %s to %s, %d omitted", len(s.Jobs), s.Jobs[0].ID, s.Jobs[len(s.Jobs)-1].ID, s.Omitted)
		}
		_ = client.Close()
	})
}

// TestTooManyReaders opens a page too many, and again when one is closed.
func TestTooManyReaders(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: time.Millisecond}, func(_ *mining.Miner, _ *events, open func() (net.Conn, *bufio.Reader)) {
		var clients []net.Conn
		admit := func() {
			client, r := open()
			next(t, body(t, r, http.StatusOK), "facts", new(Facts))
			clients = append(clients, client)
			go func() { _, _ = io.Copy(io.Discard, r) }()
		}
		for range maxReaders {
			admit()
		}
		client, r := open()
		if text, _ := io.ReadAll(body(t, r, http.StatusServiceUnavailable)); !strings.Contains(string(text), "close one") {
			t.Errorf("refused with %q", text)
		}
		_ = client.Close()
		_ = clients[0].Close()
		synctest.Wait()
		admit()
		for _, c := range clients {
			_ = c.Close()
		}
	})
}

// deadlines is a recorder that accepts a deadline.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetWriteDeadline(time.Time) error { return nil }

// TestHead asks for the stream's header alone: that is answered, and over.
func TestHead(t *testing.T) {
	m := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: enginetest.Paced{}, Workers: 1})
	// The recorder, unlike a server, keeps what is written after the header, and
	// knows no deadlines, which would end the stream.
	w := deadlines{httptest.NewRecorder()}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	sampler := hashrate.NewSampler(m, nil)
	New(sampler, Facts{}, status.New(sampler, status.Program{}, nil)).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "HEAD", "/events", nil))
	if ctx.Err() != nil || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" || w.Body.Len() != 0 {
		t.Errorf("%d %s %q", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
}

// TestSlowReader does not read what it is sent: it is given up.
func TestSlowReader(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: time.Millisecond}, func(_ *mining.Miner, service *events, open func() (net.Conn, *bufio.Reader)) {
		client, _ := open()
		synctest.Wait()
		if n := service.readers.Load(); n != 1 {
			t.Errorf("%d readers", n)
		}
		<-time.After(writeTimeout + time.Second)
		synctest.Wait()
		if n := service.readers.Load(); n != 0 {
			t.Errorf("after %s there are %d readers", writeTimeout, n)
		}
		_ = client.Close()
	})
}
