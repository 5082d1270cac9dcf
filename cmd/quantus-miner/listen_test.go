package main

import (
	"net"
	"strconv"
	"testing"
)

// TestListen listens on addresses of either kind, and tries who is reached over which.
func TestListen(t *testing.T) {
	const v4, v6 = "127.0.0.1", "::1"
	hasV6 := false
	if probe, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		hasV6 = true
		_ = probe.Close()
	}
	for _, c := range []struct {
		host         hostFlag
		overV4       bool
		overV6       bool
		address      string
		onlyLoopback bool
	}{
		{"127.0.0.1", true, false, "127.0.0.1", true},
		{"0.0.0.0", true, false, "0.0.0.0", false},
		{"::ffff:0.0.0.0", true, false, "0.0.0.0", false},
		{"::1", false, true, "::1", true},
		{"::", true, true, "::", false},
	} {
		if c.overV6 && !hasV6 {
			t.Logf("%s: this machine has no IPv6", c.host)
			continue
		}
		listener, err := listen(t.Context(), c.host, 0, "--port and --host")
		if err != nil {
			t.Errorf("%s: %v", c.host, err)
			continue
		}
		host, port, err := net.SplitHostPort(listener.Addr().String())
		if host != c.address || err != nil {
			t.Errorf("%s: listens on %s", c.host, listener.Addr())
		}
		if isLoopback(listener) != c.onlyLoopback {
			t.Errorf("%s: loopback: %v", c.host, !c.onlyLoopback)
		}
		for from, want := range map[string]bool{v4: c.overV4, v6: c.overV6} {
			conn, err := net.Dial("tcp", net.JoinHostPort(from, port))
			if (err == nil) != want {
				t.Errorf("--host %s: dialing %s: %v", c.host, net.JoinHostPort(from, port), err)
			}
			if err == nil {
				_ = conn.Close()
			}
		}
		_ = listener.Close()
	}
	taken, err := listen(t.Context(), "127.0.0.1", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	want := "listening on 127.0.0.1:" + strconv.Itoa(port) + " (choose another with --port and --host): "
	if _, err := listen(t.Context(), "127.0.0.1", portFlag(port), "--port and --host"); err == nil || err.Error()[:len(want)] != want {
		t.Errorf("a port that is taken: %v", err)
	}
}
