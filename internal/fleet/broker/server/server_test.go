package server

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a server, and what the hub and workers have to know.
type fixture struct {
	*natsServer
	setup broker.Setup
	known broker.Credentials
}

// setup returns what a server has to know, on a port of its own.
func setup(t *testing.T, host string) (broker.Setup, broker.Credentials) {
	t.Helper()
	id, err := broker.OpenIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(id.Certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return broker.Setup{
		Wire: broker.SetupVersion, Host: host, Fleet: wire.DefaultFleet, Token: id.Token, Password: rand.Text(),
		Certificate: id.Certificate.Certificate, Key: key,
	}, broker.Credentials{Token: id.Token, Fingerprint: id.Fingerprint}
}

// run starts a server.
func run(t *testing.T, host string, connections int, log io.Writer) fixture {
	t.Helper()
	f := fixture{}
	f.setup, f.known = setup(t, host)
	var err error
	if f.natsServer, err = start(f.setup, connections, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

// dial connects as a worker.
func dial(t *testing.T, address, id string, known func() (broker.Credentials, error), options ...nats.Option) (*nats.Conn, error) {
	t.Helper()
	d, err := broker.ToHub(address, wire.DefaultFleet, known)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d.Dial(id, append([]nats.Option{nats.NoReconnect()}, options...)...)
	if err == nil {
		t.Cleanup(conn.Close)
	}
	return conn, err
}

// dial connects as a worker who knows this.
func (f fixture) dial(t *testing.T, id string, known broker.Credentials, options ...nats.Option) (*nats.Conn, error) {
	t.Helper()
	return dial(t, f.Addr().String(), id, func() (broker.Credentials, error) { return known, nil }, options...)
}

// worker connects as a worker that is let in.
func (f fixture) worker(t *testing.T, options ...nats.Option) (id string, conn *nats.Conn) {
	t.Helper()
	id = wire.NewID()
	conn, err := f.dial(t, id, f.known, options...)
	if err != nil {
		t.Fatal(err)
	}
	return id, conn
}

// hub returns the hub's own connection.
func (f fixture) hub(t *testing.T) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect("", nats.InProcessServer(f), nats.UserInfo(broker.HubUser, f.setup.Password), nats.CustomInboxPrefix(subjects(t).Inbox(wire.NewID())))
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
	f := run(t, "127.0.0.1", 0, io.Discard)
	h := f.hub(t)
	id, w := f.worker(t)
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
	f := run(t, "127.0.0.1", 0, io.Discard)
	h := f.hub(t)
	refused := make(chan error, 16)
	mine, w := f.worker(t, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	other, o := f.worker(t)
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
	log := new(logtest.Buffer)
	f := run(t, "127.0.0.1", 0, log)
	wrong := f.known
	wrong.Token = strings.Repeat("x", len(f.known.Token))
	for _, c := range []struct {
		name, user string
		known      broker.Credentials
		log        string
	}{
		{"a wrong token", wire.NewID(), wrong, "does not know the fleet's token"},
		{"no token", wire.NewID(), broker.Credentials{Fingerprint: f.known.Fingerprint}, "does not know the fleet's token"},
		{"the hub's name", broker.HubUser, f.known, "takes itself for the hub"},
		{"no id", "rig7", f.known, "is no instance id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := f.dial(t, c.user, c.known); !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("%v", err)
			}
			log.Await(t, c.log)
		})
	}
	log.Await(t, "remote=127.0.0.1:")

	t.Run("another certificate", func(t *testing.T) {
		wrong := f.known
		wrong.Fingerprint[0] ^= 1
		_, err := f.dial(t, wire.NewID(), wrong)
		if pin, ok := errors.AsType[*broker.PinError](err); !ok || pin.Got != f.known.Fingerprint {
			t.Errorf("%v", err)
		}
		log.Await(t, "TLS handshake error")
	})
	t.Run("files that cannot be read", func(t *testing.T) {
		none := func() (broker.Credentials, error) { return broker.Credentials{}, io.ErrUnexpectedEOF }
		if _, err := dial(t, f.Addr().String(), wire.NewID(), none); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v", err)
		}
	})
	if all := log.String(); strings.Contains(all, f.known.Token) || strings.Contains(all, wrong.Token) {
		t.Error("a token is in the log")
	}
}

// TestSilentStranger connects and says nothing: it is told nothing, and not for long.
func TestSilentStranger(t *testing.T) {
	f := run(t, "127.0.0.1", 0, io.Discard)
	conn, err := net.Dial("tcp", f.Addr().String())
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
	log := new(logtest.Buffer)
	f := run(t, "127.0.0.1", 3, log) // the hub and two workers
	f.hub(t)
	closed := make(chan error, 1)
	id, w := f.worker(t, nats.ClosedHandler(func(c *nats.Conn) { closed <- c.LastError() }))
	f.worker(t)
	if _, err := f.dial(t, wire.NewID(), f.known); err == nil {
		t.Error("there is no limit on connections")
	}
	log.Await(t, "maximum connections exceeded")
	if err := w.Publish(subjects(t).Report(id), make([]byte, wire.MaxMessage+1)); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("too long a message: %v", err)
	}
}

// TestFamily has a server that listens on every address of IPv4 refuse those who come by IPv6.
func TestFamily(t *testing.T) {
	f := run(t, "0.0.0.0", 0, io.Discard)
	_, port, err := net.SplitHostPort(f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	connect := func(host string) error {
		_, err := dial(t, net.JoinHostPort(host, port), wire.NewID(), func() (broker.Credentials, error) { return f.known, nil })
		return err
	}
	if err := connect("127.0.0.1"); err != nil {
		t.Error(err)
	}
	if network("::") != "tcp" || network("hub.example") != "tcp" || network("127.0.0.1") != "tcp4" {
		t.Error("the networks are wrong")
	}
	t.Run("by IPv6", func(t *testing.T) {
		listener, err := net.Listen("tcp", "[::1]:0")
		if err != nil { // then nobody comes by it anyway
			t.Skip("this machine has no IPv6")
		}
		_ = listener.Close()
		if err := connect("::1"); err == nil {
			t.Error("somebody came in by IPv6")
		}
	})
}

// TestPortTaken wants the reason from the operating system.
func TestPortTaken(t *testing.T) {
	f := run(t, "127.0.0.1", 0, io.Discard)
	other, _ := setup(t, "127.0.0.1")
	other.Port = uint16(f.Addr().(*net.TCPAddr).Port)
	_, err := start(other, 0, slog.New(slog.DiscardHandler))
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "listen" || !inUse(err) {
		t.Errorf("%v", err)
	}
}

// served runs [Serve], and returns its input and output. It has to end with the input.
func served(t *testing.T, first string) (in io.WriteCloser, out *bufio.Reader, ended <-chan error) {
	t.Helper()
	theirIn, in := io.Pipe()
	from, theirOut := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := Serve("1.2.3", theirIn, theirOut, io.Discard)
		_ = theirOut.Close()
		done <- err
	}()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(in, first) // which is not read to its end if it is too long
	}()
	t.Cleanup(func() {
		_ = in.Close()
		<-written
	})
	return in, bufio.NewReaderSize(from, broker.MaxLine), done
}

// TestServe has a hub start a server, use the connection, and be gone.
func TestServe(t *testing.T) {
	for name, uses := range map[string]bool{"before it connects": false, "connected": true} {
		t.Run(name, func(t *testing.T) {
			s, known := setup(t, "127.0.0.1")
			var line strings.Builder
			if err := broker.WriteLine(&line, s); err != nil {
				t.Fatal(err)
			}
			in, out, ended := served(t, line.String())
			answer, err := broker.ReadLine[broker.Answer](out)
			if err != nil || answer.Error != "" || answer.Program != "1.2.3" {
				t.Fatalf("%+v, %v", answer, err)
			}
			if _, err := dial(t, answer.Address, wire.NewID(), func() (broker.Credentials, error) { return known, nil }); err != nil {
				t.Fatal(err)
			}
			if uses {
				if _, err := in.Write([]byte{broker.Connect}); err != nil {
					t.Fatal(err)
				}
				if greeting, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(greeting, "INFO {") {
					t.Errorf("%q, %v", greeting, err)
				}
			}
			_ = in.Close()
			_, _ = io.Copy(io.Discard, out)
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestServeSetup gives a server a first line that is none.
func TestServeSetup(t *testing.T) {
	s, _ := setup(t, "127.0.0.1")
	s.Key = s.Key[1:]
	var broken strings.Builder
	if err := broker.WriteLine(&broken, s); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ first, want string }{
		"no JSON":         {"hello\n", "another one than it must be"},
		"another version": {`{"wire":99}` + "\n", "both must be of the same release"},
		"unknown":         {`{"wire":1,"colour":"red"}` + "\n", "unknown field"},
		"too long":        {strings.Repeat(" ", broker.MaxLine) + "\n", "longer than"},
		"no key":          {broken.String(), "the certificate's key"},
	} {
		t.Run(name, func(t *testing.T) {
			in, out, ended := served(t, c.first)
			answer, err := broker.ReadLine[broker.Answer](out)
			if err != nil || !strings.Contains(answer.Error, c.want) {
				t.Errorf("%+v, %v, want %q", answer, err, c.want)
			}
			_ = in.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPortFreed starts a server where another one listens for a while yet, as that of a hub does which was
// killed.
func TestPortFreed(t *testing.T) {
	old := run(t, "127.0.0.1", 0, io.Discard)
	of, _ := setup(t, "127.0.0.1")
	of.Port = uint16(old.Addr().(*net.TCPAddr).Port)
	if _, err := start(of, 0, slog.New(slog.DiscardHandler)); !inUse(err) {
		t.Errorf("a second server on its port: %v", err)
	}
	time.AfterFunc(patience/10, old.close)
	s, err := listen(of, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.close()
}
