package access

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestRefuseOtherHosts(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	short, _, _ := strings.Cut(own, ".")
	var j journal
	handler := RefuseOtherHosts(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		KnownHosts("Miner.Example", "0.0.0.0", "", "rig7."),
		func(w http.ResponseWriter, _ *http.Request, code int, message string) { http.Error(w, message, code) },
		j.log(),
	)
	for host, ok := range map[string]bool{
		"127.0.0.1:9833": true, "127.0.0.1": true, "192.0.2.7:80": true, "[::1]:9833": true, "[::1]": true, "[fe80::1%25eth0]:9833": true,
		"localhost:9833": true, "LOCALHOST": true, "localhost.": true, "": true,
		own: true, own + ":9833": true, strings.ToUpper(short): true, short + ".local:1": true,
		"miner.example": true, "MINER.example.:9833": true, "rig7:9833": true,
		"evil.example": false, "evil.example:9833": false, "xminer.example": false, "miner.example.evil.example": false,
		"127.0.0.1.evil.example": false, "localhost.evil.example": false, "0x7f.1": false, "[evil.example]": false, "rig": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		want := http.StatusNoContent
		if !ok {
			want = http.StatusMisdirectedRequest
		}
		if w.Code != want {
			t.Errorf("a request for %q: %d, want %d", host, w.Code, want)
		}
		if !ok && !strings.Contains(w.Body.String(), "--allow-host") {
			t.Errorf("a request for %q is answered with %q", host, w.Body)
		}
	}
	if lines := j.lines(slog.LevelWarn); len(lines) != 9 {
		t.Errorf("%d warnings, want one a refusal", len(lines))
	}
}
