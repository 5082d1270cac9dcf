//go:build unix

package systemd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// manager stands in for the service manager: it returns a function that reads what it is
// told next.
func manager(t *testing.T) func() string {
	t.Helper()
	dir, err := os.MkdirTemp("", "") // t.TempDir may be too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 4096)
		n, err := socket.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
}

func TestStates(t *testing.T) {
	told := manager(t)
	m := New(slog.New(slog.DiscardHandler))
	if !m.Exists() {
		t.Error("there is no service manager")
	}
	for _, c := range []struct {
		say  func()
		want string
	}{
		{m.Ready, `READY=1`},
		{m.Reloading, `RELOADING=1\nMONOTONIC_USEC=\d+\n`}, // which systemd wants in one datagram
		{m.Stopping, `STOPPING=1`},
		{func() { m.Status("one\nREADY=1") }, `STATUS=one READY=1`},
	} {
		c.say()
		if got := told(); !regexp.MustCompile("^" + c.want + "$").MatchString(got) {
			t.Errorf("it is told %q, want %q", got, c.want)
		}
	}
}

// TestNobody tells nobody, and then a socket that is not there.
func TestNobody(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	var text strings.Builder
	m := New(slog.New(slog.NewTextHandler(&text, nil)))
	m.Ready()
	m.Watch(t.Context(), func() { t.Error("there is a check for nobody") })
	if m.Exists() || text.Len() != 0 {
		t.Errorf("there is a service manager: %s", &text)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	m.Ready()
	if !strings.Contains(text.String(), "level=WARN") {
		t.Error("no warning that it cannot be told")
	}
}

// TestWatch has as many signs of life as checks that have returned.
func TestWatch(t *testing.T) {
	told := manager(t)
	t.Setenv("WATCHDOG_USEC", "2000") // 2 ms
	ctx, cancel := context.WithCancelCause(t.Context())
	returns := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		New(slog.New(slog.DiscardHandler)).Watch(ctx, func() { <-returns })
	}()
	for range 5 {
		returns <- struct{}{}
		if got := told(); got != "WATCHDOG=1" {
			t.Fatalf("it is told %q", got)
		}
	}
	cancel(errors.New("the end of the test"))
	close(returns)
	<-ended
}
