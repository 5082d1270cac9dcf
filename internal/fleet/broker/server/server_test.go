package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logged is a log that tests read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
	line chan struct{} // has one when there is a new line
}

func newLogged() *logged { return &logged{line: make(chan struct{}, 1)} }

// Write implements [io.Writer].
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.line <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

// String returns what was logged so far.
func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until the log has a text.
func (l *logged) await(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		all := l.String()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-l.line:
		case <-timeout:
			t.Fatalf("the log has no %q:\n%s", text, all)
		}
	}
}

// start starts a broker on a port of its own, and returns what a worker has to know.
func start(t *testing.T, connections int, log io.Writer) (*Broker, Credentials) {
	t.Helper()
	id, err := OpenIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Start(Config{Host: "127.0.0.1", Identity: id, Fleet: wire.DefaultFleet, Log: slog.New(slog.NewTextHandler(log, nil)), connections: connections})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, Credentials{id.Token, id.Fingerprint}
}

// dial connects as a worker.
func dial(t *testing.T, b *Broker, id string, known Credentials, options ...nats.Option) (*nats.Conn, error) {
	t.Helper()
	d, err := ToHub(b.Address().String(), wire.DefaultFleet, func() (Credentials, error) { return known, nil })
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d.Dial(id, append([]nats.Option{nats.NoReconnect()}, options...)...)
	if err == nil {
		t.Cleanup(conn.Close)
	}
	return conn, err
}

// worker connects as a worker that is let in.
func worker(t *testing.T, b *Broker, known Credentials, options ...nats.Option) (id string, conn *nats.Conn) {
	t.Helper()
	id = wire.NewID()
	conn, err := dial(t, b, id, known, options...)
	if err != nil {
		t.Fatal(err)
	}
	return id, conn
}

// hub returns the hub's own connection.
func hub(t *testing.T, b *Broker) *nats.Conn {
	t.Helper()
	conn, err := b.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// subscribe subscribes, and waits until the server knows.
func subscribe(t *testing.T, conn *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	s, err := conn.SubscribeSync(subject)
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func subjects(t *testing.T) wire.Subjects {
	t.Helper()
	s, err := wire.NewSubjects(wire.DefaultFleet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRequests has a worker ask and the hub answer, and the hub tell the worker something.
func TestRequests(t *testing.T) {
	b, known := start(t, 0, io.Discard)
	h := hub(t, b)
	id, w := worker(t, b, known)
	answers, err := h.Subscribe(subjects(t).Hello(wire.Any), func(m *nats.Msg) {
		if got, ok := subjects(t).Worker(m.Subject); !ok || got != id {
			t.Errorf("a request from %q", got)
		}
		if err := m.Respond([]byte("welcome")); err != nil {
			t.Error(err)
		}
	})
	if err == nil {
		err = h.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer, err := w.RequestWithContext(ctx, subjects(t).Hello(id), []byte("hello"))
	if err != nil || string(answer.Data) != "welcome" {
		t.Fatalf("%v, %v", answer, err)
	}
	orders, beacon := subscribe(t, w, subjects(t).Orders(id)), subscribe(t, w, subjects(t).Beacon())
	for _, subject := range []string{subjects(t).Orders(id), subjects(t).Beacon()} {
		if err := h.Publish(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*nats.Subscription{orders, beacon} {
		if _, err := s.NextMsgWithContext(ctx); err != nil {
			t.Error(s.Subject, err)
		}
	}
}

// TestOwnSubjects has a worker try all that is not its own: it hears nothing, and is not heard.
func TestOwnSubjects(t *testing.T) {
	b, known := start(t, 0, io.Discard)
	h := hub(t, b)
	refused := make(chan error, 16)
	mine, w := worker(t, b, known, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	other, o := worker(t, b, known)
	s := subjects(t)
	heard := []*nats.Subscription{subscribe(t, o, s.Orders(other)), subscribe(t, o, s.Beacon()), subscribe(t, h, s.Hello(other)), subscribe(t, h, s.Hub()), subscribe(t, h, s.Found(wire.Any))}

	attempts := 0
	for _, subject := range []string{s.Orders(other), s.Orders(mine), s.Beacon(), s.Hello(other), s.Found(other), s.Report(other), s.Hub(), s.Inbox(other) + ".x", "anything"} {
		attempts++
		if err := w.Publish(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range []string{s.Orders(other), s.Orders(wire.Any), s.HubMay(), s.Hello(wire.Any), s.Hub(), s.Inbox(other) + ".>", "_INBOX.>", ">"} {
		attempts++
		if _, err := w.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for range attempts {
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("something was not refused")
		}
	}
	for _, conn := range []*nats.Conn{h, o} {
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range heard {
		if n, _, _ := s.Pending(); n > 0 {
			t.Errorf("%s was heard on", s.Subject)
		}
	}
}

// TestStrangers has those knock who must not come in, and wants each in the log.
func TestStrangers(t *testing.T) {
	log := newLogged()
	b, known := start(t, 0, log)
	wrong := known
	wrong.Token = strings.Repeat("x", len(known.Token))
	for _, c := range []struct {
		name, user string
		known      Credentials
		log        string
	}{
		{"a wrong token", wire.NewID(), wrong, "does not know the fleet's token"},
		{"no token", wire.NewID(), Credentials{Fingerprint: known.Fingerprint}, "does not know the fleet's token"},
		{"the hub's name", hubUser, known, "takes itself for the hub"},
		{"no id", "rig7", known, "is no instance id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := dial(t, b, c.user, c.known); !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("%v", err)
			}
			log.await(t, c.log)
		})
	}
	log.await(t, "remote=127.0.0.1:")

	t.Run("another certificate", func(t *testing.T) {
		wrong := known
		wrong.Fingerprint[0] ^= 1
		_, err := dial(t, b, wire.NewID(), wrong)
		if pin, ok := errors.AsType[*PinError](err); !ok || pin.Got != known.Fingerprint {
			t.Errorf("%v", err)
		}
		log.await(t, "TLS handshake error")
	})
	t.Run("files that cannot be read", func(t *testing.T) {
		d, err := ToHub(b.Address().String(), wire.DefaultFleet, func() (Credentials, error) { return Credentials{}, io.ErrUnexpectedEOF })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Dial(wire.NewID(), nats.NoReconnect()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v", err)
		}
	})
	if all := log.String(); strings.Contains(all, known.Token) || strings.Contains(all, wrong.Token) {
		t.Error("a token is in the log")
	}
}

// TestSilentStranger connects and says nothing: it is told nothing, and not for long.
func TestSilentStranger(t *testing.T) {
	b, _ := start(t, 0, io.Discard)
	conn, err := net.Dial("tcp", b.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestLimits has a worker send too much, and too many come.
func TestLimits(t *testing.T) {
	log := newLogged()
	b, known := start(t, 3, log) // the hub and two workers
	hub(t, b)
	closed := make(chan error, 1)
	id, w := worker(t, b, known, nats.ClosedHandler(func(c *nats.Conn) { closed <- c.LastError() }))
	worker(t, b, known)
	if _, err := dial(t, b, wire.NewID(), known); err == nil {
		t.Error("there is no limit on connections")
	}
	log.await(t, "maximum connections exceeded")
	if err := w.Publish(subjects(t).Report(id), make([]byte, wire.MaxMessage+1)); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("too long a message: %v", err)
	}
}

// TestFamily has a server that listens on every address of IPv4 refuse those who come by IPv6.
func TestFamily(t *testing.T) {
	id, err := OpenIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := newLogged()
	b, err := Start(Config{Host: "0.0.0.0", Identity: id, Fleet: wire.DefaultFleet, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	_, port, err := net.SplitHostPort(b.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	connect := func(host string) error {
		d, err := ToHub(net.JoinHostPort(host, port), wire.DefaultFleet, func() (Credentials, error) { return Credentials{id.Token, id.Fingerprint}, nil })
		if err != nil {
			t.Fatal(err)
		}
		conn, err := d.Dial(wire.NewID(), nats.NoReconnect())
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := connect("127.0.0.1"); err != nil {
		t.Error(err)
	}
	if network("::") != "tcp" || network("hub.example") != "tcp" || network("127.0.0.1") != "tcp4" {
		t.Error("the networks are wrong")
	}
	if listener, err := net.Listen("tcp", "[::1]:0"); err != nil { // then nobody comes by it anyway
		t.Skip("this machine has no IPv6")
	} else {
		_ = listener.Close()
	}
	if err := connect("::1"); err == nil {
		t.Error("somebody came in by IPv6")
	}
}

// TestPortTaken wants the reason from the operating system.
func TestPortTaken(t *testing.T) {
	b, _ := start(t, 0, io.Discard)
	id, err := OpenIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	port := b.Address().(*net.TCPAddr).Port
	_, err = Start(Config{Host: "127.0.0.1", Port: uint16(port), Identity: id, Fleet: wire.DefaultFleet, Log: slog.New(slog.DiscardHandler)})
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "listen" {
		t.Errorf("%v", err)
	}
}
