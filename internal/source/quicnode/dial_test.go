package quicnode

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// testTimeout is how long a test waits for what must happen.
const testTimeout = 30 * time.Second

// names are the addresses of hosts, so that no test depends on what the machine can
// resolve.
type names map[string][]netip.Addr

// dialer returns a dialer that knows these names alone.
func (n names) dialer() dialer {
	return dialer{lookup: func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if addresses, ok := n[host]; ok {
			return addresses, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}}
}

// noNames is a dialer that knows no names.
var noNames = names{}.dialer()

// server is a node's end of the protocol on a real socket.
type server struct {
	*quic.Listener
	pin wire.Fingerprint
}

// identity is what a node is known by.
type identity struct {
	certificate tls.Certificate
	pin         wire.Fingerprint
}

func newIdentity(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, wire.FingerprintOf(der)}
}

// listen returns a server with that protocol, which is closed at the test's end.
func listen(t *testing.T, protocol string) server {
	t.Helper()
	id := newIdentity(t)
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	t.Cleanup(func() {
		transport.Close()
		socket.Close()
	})
	config := wire.ServerTLS(id.certificate)
	config.NextProtos = []string{protocol}
	listener, err := transport.Listen(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	return server{listener, id.pin}
}

// accept takes a miner's call, and its Ready.
func (s server) accept(t *testing.T) (*quic.Conn, *quic.Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	connection, err := s.Accept(ctx)
	if err != nil {
		t.Fatalf("no miner calls: %v", err)
	}
	stream, err := connection.AcceptStream(ctx)
	if err != nil {
		t.Fatalf("no stream is opened: %v", err)
	}
	if err := stream.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	if m, err := wire.Read(stream); m != (wire.Ready{Token: "secret"}) {
		t.Fatalf("%v, %v", m, err)
	}
	return connection, stream
}

// TestQUIC has a link work for a node over a real network: it finds something, is
// thrown out, comes back, and is refused.
func TestQUIC(t *testing.T) {
	s := listen(t, wire.ALPN)
	_, port, _ := net.SplitHostPort(s.Addr().String())
	node := Node{"node.test:" + port, func() (Credentials, error) { return Credentials{"secret", s.pin}, nil }}
	miner := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: lottery{}, Workers: 1})
	link := New(miner, []Node{node}, slog.New(slog.DiscardHandler))
	// A host may have addresses at which nobody listens.
	host := names{"node.test": {netip.IPv6Loopback(), netip.MustParseAddr("127.0.0.1")}}
	link.dial = host.dialer().dial
	ctx, stop := context.WithTimeout(t.Context(), 3*testTimeout) // of two connections and the end
	var g sync.WaitGroup
	defer g.Wait()
	defer stop()
	g.Go(func() { miner.Run(ctx) })
	done := make(chan error, 1)
	g.Go(func() { done <- link.Run(ctx) })

	connection, stream := s.accept(t)
	job := wire.NewJob{ID: "1", Difficulty: u512.From64(3)}
	for range 3 {
		if err := wire.Write(stream, job); err != nil {
			t.Fatal(err)
		}
		m, err := wire.Read(stream)
		if r, ok := m.(wire.JobResult); !ok || r.JobID != "1" || r.Nonce[0]%3 != 0 {
			t.Fatalf("%v, %v", m, err)
		}
	}
	if state := connection.ConnectionState(); state.TLS.ServerName != "localhost" || len(state.TLS.PeerCertificates) > 0 {
		t.Errorf("%+v", state.TLS)
	}
	if err := connection.CloseWithError(0, "auth timeout"); err != nil {
		t.Fatal(err)
	}

	connection, stream = s.accept(t)
	// A node may end the stream first.
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(reasonTimeout/20, func() { _ = connection.CloseWithError(1, wire.ReasonAuthFailed) })
	if err := <-done; !errors.Is(err, ErrTokenRefused) {
		t.Errorf("Run returns %v", err)
	}
	if state := link.Status().State; state != Refused {
		t.Errorf("the link is %v", state)
	}
}

func TestDial(t *testing.T) {
	s := listen(t, wire.ALPN)
	old := listen(t, "quantus-miner/1")
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()

	w, err := noNames.dial(t.Context(), s.Addr().String(), s.pin)
	if err != nil {
		t.Fatal(err)
	}
	w.close(wire.CodeDone, "bye")
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a closed connection is written to")
	}

	if _, err := noNames.dial(t.Context(), s.Addr().String(), wire.Fingerprint{}); fatal(err) == nil ||
		!strings.Contains(err.Error(), s.pin.String()) {
		t.Errorf("another pin: %v", err)
	}
	if _, err := noNames.dial(t.Context(), old.Addr().String(), old.pin); fatal(err) != ErrVersion {
		t.Errorf("another version: %v", err)
	}
	if _, err := noNames.dial(t.Context(), gone.LocalAddr().String(), s.pin); err == nil || fatal(err) != nil {
		t.Errorf("nobody there: %v", err)
	}
	nobody := netip.MustParseAddrPort(gone.LocalAddr().String())
	there := netip.MustParseAddrPort(s.Addr().String())
	if w, err := dialAny(t.Context(), []netip.AddrPort{nobody, there}, s.pin); err != nil {
		t.Errorf("the second address: %v", err)
	} else {
		w.close(wire.CodeDone, "")
	}
	_, err = dialAny(t.Context(), []netip.AddrPort{nobody, nobody}, s.pin)
	if err == nil || !strings.Contains(err.Error(), "; "+nobody.String()+": ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("nobody at two addresses: %q", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _, _ = silent.ReadFrom(make([]byte, 1500))
		cancel()
	}()
	if _, err := noNames.dial(ctx, silent.LocalAddr().String(), s.pin); !errors.Is(err, context.Canceled) {
		t.Errorf("one who does not answer: %v", err)
	}
}

// TestWhy looks at what ends of a stream are called.
func TestWhy(t *testing.T) {
	s := listen(t, wire.ALPN)
	for _, c := range []struct {
		end  func(*quic.Conn, *quic.Stream) error
		want string
	}{
		{func(_ *quic.Conn, s *quic.Stream) error { return s.Close() }, "the node has ended the stream"},
		{func(_ *quic.Conn, s *quic.Stream) error { s.CancelWrite(7); return nil }, "stream 0 canceled by remote with error code 7"},
		{func(c *quic.Conn, _ *quic.Stream) error { return c.CloseWithError(7, "so long") }, "Application error 0x7 (remote): so long"},
	} {
		w, err := noNames.dial(t.Context(), s.Addr().String(), s.pin)
		if err != nil {
			t.Fatal(err)
		}
		if err := wire.Write(w, wire.Ready{Token: "secret"}); err != nil {
			t.Fatal(err)
		}
		if err := c.end(s.accept(t)); err != nil {
			t.Fatal(err)
		}
		_, err = w.Read(make([]byte, 1))
		if err == nil || w.why(err).Error() != c.want {
			t.Errorf("%v: %v, want %s", err, w.why(err), c.want)
		}
		w.close(wire.CodeDone, "")
	}
}

func TestResolve(t *testing.T) {
	d := names{"node.test": {netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:192.0.2.7")}}.dialer()
	for address, want := range map[string]string{
		"127.0.0.1:9833":       "[127.0.0.1:9833]",
		"[::1]:1":              "[[::1]:1]",
		"[::ffff:192.0.2.1]:1": "[192.0.2.1:1]",
		"[fe80::1%lo]:65535":   "[[fe80::1%lo]:65535]",
		"node.test:5":          "[[2001:db8::1]:5 192.0.2.7:5]",
	} {
		if got, err := d.resolve(t.Context(), address); fmt.Sprint(got) != want || err != nil {
			t.Errorf("%s: %v, %v, want %s", address, got, err, want)
		}
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "[::1:1", "other.test:1"} {
		if got, err := d.resolve(t.Context(), address); err == nil {
			t.Errorf("%s: %v", address, got)
		}
	}
}
