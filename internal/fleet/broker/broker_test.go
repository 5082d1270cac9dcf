package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker"
	"github.com/quantus-network/quantus-miner/internal/fleet/broker/server"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/logtest"
)

// The tests run themselves as the server's process. These variables say as what, and where it writes
// its number.
const (
	asVariable  = "BROKER_TEST_AS"
	pidVariable = "BROKER_TEST_PID"
)

func TestMain(m *testing.M) {
	switch os.Getenv(asVariable) {
	case "":
		goleak.VerifyTestMain(m)
	case "server":
		if err := os.WriteFile(os.Getenv(pidVariable), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			panic(err)
		}
		if err := server.Serve("test", os.Stdin, os.Stdout, os.Stderr); err != nil {
			panic(err)
		}
		_ = os.Remove(os.Getenv(pidVariable)) // it has ended by itself
	case "silent":
	case "babbling":
		fmt.Println(strings.Repeat("x", 2*broker.MaxLine))
	case "older":
		fmt.Println(`{"wire":0,"address":"127.0.0.1:1"}`)
	case "refusing":
		fmt.Println(`{"wire":1,"error":"listen tcp4 192.0.2.1:1: no such address"}`)
	}
}

// await waits until something is so, and fails the test if it is not after a while.
func await(t *testing.T, what string, log *logtest.Buffer, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("waited for %s:\n%s", what, log)
		}
		<-time.After(time.Millisecond)
	}
}

// config returns what a broker has to know whose process runs as something, and the file with its number.
func config(t *testing.T, as string, log *logtest.Buffer) (c broker.Config, pid string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pid = filepath.Join(dir, "pid")
	t.Setenv(asVariable, as)
	t.Setenv(pidVariable, pid)
	id, err := broker.OpenIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	return broker.Config{
		Program: self, Host: "127.0.0.1", Identity: id, Fleet: wire.DefaultFleet,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, pid
}

// processOf returns the process whose number is in a file.
func processOf(t *testing.T, file string) *os.Process {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBroker has a hub and a worker speak by a server in a process of its own. The process is killed,
// and both speak by the next one, at the same address.
func TestBroker(t *testing.T) {
	var log logtest.Buffer
	c, pid := config(t, "server", &log)
	b, err := broker.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	address := b.Address().String()
	reconnected := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(10 * time.Millisecond), nats.ReconnectJitter(0, 0)}
	h, err := b.Connect(reconnected...)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	subjects, err := wire.NewSubjects(wire.DefaultFleet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Subscribe(subjects.Hello(wire.Any), func(m *nats.Msg) { _ = m.Respond(append([]byte("welcome, "), m.Data...)) }); err != nil {
		t.Fatal(err)
	}
	d, err := broker.ToHub(address, wire.DefaultFleet, func() (broker.Credentials, error) {
		return broker.Credentials{Token: c.Identity.Token, Fingerprint: c.Identity.Fingerprint}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	id := wire.NewID()
	w, err := d.Dial(id, reconnected...)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	speak := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answer, err := w.RequestWithContext(ctx, subjects.Hello(id), []byte("rig7"))
		if err == nil && string(answer.Data) != "welcome, rig7" {
			t.Errorf("the answer is %q", answer.Data)
		}
		return err
	}
	await(t, "an answer", &log, func() bool { return speak() == nil })

	for restarts := 1; restarts <= 2; restarts++ {
		if err := processOf(t, pid).Kill(); err != nil {
			t.Fatal(err)
		}
		await(t, "the next process", &log, func() bool {
			return log.Count("the fleet's NATS server is back") == restarts
		})
		await(t, "an answer by it", &log, func() bool { return speak() == nil })
	}
	if n := log.Count("THE FLEET'S NATS SERVER HAS ENDED"); n != 2 {
		t.Errorf("its end was told of %d times:\n%s", n, &log)
	}
	last := processOf(t, pid)
	h.Close()
	b.Close()
	await(t, "the end of the process", &log, func() bool { return last.Signal(os.Kill) != nil })
	if _, err := os.Stat(pid); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the process was killed, and did not end by itself: %v", err)
	}
	if strings.Contains(log.String(), c.Identity.Token) {
		t.Error("the token is in the log")
	}
}

// TestTwice has two brokers on one port.
func TestTwice(t *testing.T) {
	var log logtest.Buffer
	c, _ := config(t, "server", &log)
	b, err := broker.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, port, _ := strings.Cut(b.Address().String(), ":")
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	c.Port = uint16(number)
	if _, err := broker.Start(c); err == nil || !strings.Contains(err.Error(), "address") || strings.Contains(err.Error(), c.Program) {
		t.Errorf("%v, want what the operating system says", err)
	}
}

// TestOtherPrograms starts what is not the program, or not that of this release.
func TestOtherPrograms(t *testing.T) {
	for as, want := range map[string]string{
		"silent":   "is it quantus-miner-nats?",
		"babbling": "longer than",
		"older":    "both must be of the same release",
		"refusing": "no such address",
	} {
		t.Run(as, func(t *testing.T) {
			var log logtest.Buffer
			c, _ := config(t, as, &log)
			if _, err := broker.Start(c); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := broker.FindProgram(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("finding what is not there: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := broker.FindProgram(""); err == nil || !strings.Contains(err.Error(), "quantus-miner-nats") {
		t.Errorf("finding it nowhere: %v", err)
	}
}
