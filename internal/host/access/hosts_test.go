package access

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHosts(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	short, _, _ := strings.Cut(own, ".")
	var j journal
	hosts := NewHosts(nil, j.log(), "Miner.Example", "0.0.0.0", "", "rig7.")
	for host, ok := range map[string]bool{
		"127.0.0.1:9833": true, "127.0.0.1": true, "192.0.2.7:80": true, "[::1]:9833": true, "[::1]": true, "[fe80::1%25eth0]:9833": true,
		"localhost:9833": true, "LOCALHOST": true, "localhost.": true, "": true,
		own: true, own + ":9833": true, strings.ToUpper(short): true, short + ".local:1": true,
		"miner.example": true, "MINER.example.:9833": true, "rig7:9833": true,
		"evil.example": false, "evil.example:9833": false, "xminer.example": false, "miner.example.evil.example": false,
		"127.0.0.1.evil.example": false, "localhost.evil.example": false, "0x7f.1": false, "[evil.example]": false, "rig": false,
	} {
		if code, body := askFor(hosts, host); (code == http.StatusNoContent) != ok {
			t.Errorf("a request for %q: %d", host, code)
		} else if !ok && (code != http.StatusMisdirectedRequest || !strings.Contains(body, "--allow-host")) {
			t.Errorf("a request for %q is answered with %d, %q", host, code, body)
		}
	}
	if lines := j.lines(slog.LevelWarn); len(lines) != 1 || !strings.Contains(lines[0], "--allow-host") {
		t.Errorf("the log has %q, want one warning for all of a network", lines)
	}
	for host, ok := range map[string]bool{"127.0.0.1:1": true, "localhost": true, "": true, own: own == "localhost", "rig7": false} {
		if code, _ := askFor(nil, host); (code == http.StatusNoContent) != ok {
			t.Errorf("no hosts: a request for %q: %d", host, code)
		}
	}
}

// askFor asks for a host.
func askFor(hosts *Hosts, host string) (code int, body string) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = host
	w := answer(hosts.Wrap, r)
	return w.Code, w.Body.String()
}

// TestHostsLog asks for another host again and again.
func TestHostsLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		hosts := NewHosts(nil, j.log())
		long := strings.Repeat("evil.", 1000) + "example"
		for range 10 {
			askFor(hosts, long)
		}
		lines := j.lines(slog.LevelWarn)
		if len(lines) != 1 || len(lines[0]) > 500 || !strings.Contains(lines[0], "evil.evil.") || !strings.Contains(lines[0], "requests=1") {
			t.Errorf("the log has %q", lines)
		}
		<-time.After(logInterval)
		askFor(hosts, "evil.example\n")
		if lines := j.lines(slog.LevelWarn); len(lines) != 1 || !strings.Contains(lines[0], "requests=10") {
			t.Errorf("a minute later the log has %q", lines)
		}
	})
}

// TestCertifiedHosts asks a server with TLS for the names of its certificate.
func TestCertifiedHosts(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := newPair(t, "Miner.Example", time.Now(), "*.wild.example", "second.example.").put(t, dir)
	config, err := TLS(certFile, keyFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	hosts := NewHosts(config, slog.New(slog.DiscardHandler))
	for host, ok := range map[string]bool{
		"miner.example:9833": true, "second.example": true,
		"evil.example": false, "a.wild.example": false, "*.wild.example": true, // which no browser asks for
	} {
		if code, _ := askFor(hosts, host); (code == http.StatusNoContent) != ok {
			t.Errorf("a request for %q: %d", host, code)
		}
	}
}
