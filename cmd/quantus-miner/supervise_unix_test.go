//go:build unix

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServiceManager has the program run by a stand-in for systemd: it is ready, alive,
// reloads, and stops.
func TestServiceManager(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // t.TempDir may be too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	// told waits until the manager was told something that begins so.
	told := func(what string) {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 4096)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				t.Fatalf("waiting for %s: %v", what, err)
			}
			if strings.HasPrefix(string(buffer[:n]), what) {
				return
			}
		}
	}
	path, err := exec.LookPath("quantus-miner")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, "--port", "0", "--workers", "1", "--engine", "cpu-fast")
	leaveTerminal(command)
	command.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=20000")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Process.Kill()
	told("READY=1")
	told("STATUS=serving the node's API, 0 jobs; – H/s; 0 found")
	told("WATCHDOG=1")
	told("WATCHDOG=1")
	for range 2 {
		if err := command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		told("RELOADING=1\nMONOTONIC_USEC=")
		told("READY=1")
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	told("STOPPING=1")
	if err := command.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}
