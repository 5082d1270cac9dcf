package quicnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// The times of a connection. Nodes send nothing to keep it alive, and bear 60 s of
// silence, so it is for us to notice that one is dead. A node that was killed does not
// say so when it is back: what it answers to packets of a connection that it does not
// know (RFC 9000, section 10.3) is signed with a key that died with it, or is nothing.
const (
	// keepAlive is the time after the node's last packet at which we ask it for another,
	// by a PING.
	keepAlive = time.Second
	// idleTimeout is how long after that we wait for any packet. So a dead connection is
	// noticed within 6.5 s, and with a retry delay of 1.2 s at most a node that came back
	// at once is worked for again within 8 s.
	//
	// It may not be shorter, for the sake of bad lines. At a round trip of 0.3 s we ask at
	// 0, 0.33, 1.0, 2.3 and 4.9 s, as the pause doubles (RFC 9002, section 6.2); all but
	// the first time by two packets, each of which is answered. If one packet in twenty
	// is lost in either direction, a packet has no answer with p = 1 - 0.95², and nothing
	// arrives with p⁹ = 8e-10: once in 50 years, asking every 1.3 s. If the round trip
	// varies by 0.2 s the pauses are longer, and there are four times: p⁷ = 8e-8, once in
	// half a year. TestBadLine had none in 300 days of lines whose round trip varies by
	// 20 ms at most, and two in 200 days of others. Where a round trip takes seconds QUIC
	// waits for three times what it expects, if that is longer (RFC 9000, section 10.1).
	idleTimeout = 5500 * time.Millisecond
	// handshakeTimeout is how long a node may say nothing before the connection stands.
	handshakeTimeout = 5 * time.Second
	// dialTimeout is for all of it, names and the stream included, for each address.
	dialTimeout = 10 * time.Second
)

// window is how many bytes a node may send that have not been read: some jobs.
const window = 16 << 10

// conn is a connection to a node with its one stream.
type conn interface {
	io.ReadWriter
	SetWriteDeadline(time.Time) error
	// why returns what ended the connection, after an error of Read or Write.
	why(err error) error
	// close ends the connection, and gives back all that it held. What was written
	// shortly before may be lost.
	close(code uint64, reason string)
}

// dialer connects to nodes.
type dialer struct {
	// lookup returns the addresses of a host's name, as [net.Resolver.LookupNetIP] does.
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dial connects to a node at host:port, by each of the host's addresses in turn. It
// takes no node but that with the pinned certificate.
func (d dialer) dial(ctx context.Context, address string, pin wire.Fingerprint) (conn, error) {
	addresses, err := d.resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	return dialAny(ctx, addresses, pin)
}

// Probe connects to a node as a [Link] does, and leaves again without showing the token.
// So it tells whether the node can be reached, and is the one that the pin is of. Its
// error is ErrSwapped, ErrVersion or a [wire.PinError] if no other attempt would help.
func Probe(ctx context.Context, address string, known Credentials) error {
	c, err := dialer{net.DefaultResolver.LookupNetIP}.dial(ctx, address, known.Pin)
	if err != nil {
		err = known.explain(err)
		return cmp.Or(fatal(err), err)
	}
	c.close(wire.CodeDone, "")
	return nil
}

// dialAny connects to a node at the first of its addresses at which it answers.
func dialAny(ctx context.Context, addresses []netip.AddrPort, pin wire.Fingerprint) (_ conn, problem error) {
	for _, a := range addresses {
		c, err := dialAddress(ctx, a, pin)
		if err == nil {
			return c, nil
		}
		if fatal(err) != nil || ctx.Err() != nil || len(addresses) == 1 {
			return nil, err
		}
		err = fmt.Errorf("%s: %w", a, err)
		if problem != nil {
			err = fmt.Errorf("%w; %w", problem, err) // on one line of the log
		}
		problem = err
	}
	return nil, problem
}

// resolve returns the addresses behind host:port, of which there is at least one.
func (d dialer) resolve(ctx context.Context, address string) (addresses []netip.AddrPort, err error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("the port of %s: %w", address, err)
	}
	if ip, err := netip.ParseAddr(host); err == nil { // whose zone a look-up would lose
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	ips, err := d.lookup(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		addresses = append(addresses, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return addresses, nil
}

// dialAddress connects to a node at one address.
func dialAddress(ctx context.Context, address netip.AddrPort, pin wire.Fingerprint) (conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	connected, err := new(net.Dialer).DialContext(ctx, "udp", address.String())
	if err != nil {
		return nil, err
	}
	return dialOver(ctx, socket{connected.(*net.UDPConn)}, connected.RemoteAddr(), pin)
}

// dialOver connects to a node over a socket, which it closes if that fails.
func dialOver(ctx context.Context, socket net.PacketConn, node net.Addr, pin wire.Fingerprint) (_ conn, err error) {
	c := &quicConn{socket: socket, transport: &quic.Transport{Conn: socket}}
	defer func() {
		if err != nil {
			c.close(wire.CodeDone, "")
		}
	}()
	c.quic, err = c.transport.Dial(ctx, node, wire.ClientTLS(pin), &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           handshakeTimeout,
		KeepAlivePeriod:                keepAlive,
		MaxIdleTimeout:                 idleTimeout,
		InitialStreamReceiveWindow:     window,
		MaxStreamReceiveWindow:         window,
		InitialConnectionReceiveWindow: window,
		MaxConnectionReceiveWindow:     window,
		MaxIncomingStreams:             -1, // none
		MaxIncomingUniStreams:          -1,
		InitialPacketSize:              1200, // what every way to a node takes
		DisablePathMTUDiscovery:        true,
	})
	if err != nil {
		return nil, err
	}
	if c.Stream, err = c.quic.OpenStreamSync(ctx); err != nil {
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	return c, nil
}

// quicConn is a connection by QUIC.
type quicConn struct {
	*quic.Stream
	quic      *quic.Conn
	transport *quic.Transport
	socket    net.PacketConn
}

// reasonTimeout is how long we wait, after a stream has ended, for its connection to end
// as well and say why.
const reasonTimeout = time.Second

// why implements conn. A node that closes the connection may end the stream first.
func (c *quicConn) why(err error) error {
	select {
	case <-c.quic.Context().Done():
		return context.Cause(c.quic.Context())
	case <-time.After(reasonTimeout):
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the node has ended the stream")
	}
	return err
}

// close implements conn.
func (c *quicConn) close(code uint64, reason string) {
	if c.quic != nil {
		_ = c.quic.CloseWithError(quic.ApplicationErrorCode(code), reason)
	}
	_ = c.transport.Close()
	_ = c.socket.Close()
}

// socket is a UDP socket that is connected to one address: so the operating system
// says at once if nobody listens there, and passes on nobody else's packets. It has
// no other methods than it needs, as those of a [net.UDPConn] would have the
// transport ask for buffers of megabytes, and complain past our log when it gets none.
type socket struct{ connected *net.UDPConn }

func (s socket) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := s.connected.Read(p)
	return n, s.connected.RemoteAddr(), err
}

func (s socket) WriteTo(p []byte, _ net.Addr) (int, error) { return s.connected.Write(p) }

func (s socket) Close() error                       { return s.connected.Close() }
func (s socket) LocalAddr() net.Addr                { return s.connected.LocalAddr() }
func (s socket) SetDeadline(t time.Time) error      { return s.connected.SetDeadline(t) }
func (s socket) SetReadDeadline(t time.Time) error  { return s.connected.SetReadDeadline(t) }
func (s socket) SetWriteDeadline(t time.Time) error { return s.connected.SetWriteDeadline(t) }
func (s socket) SetReadBuffer(int) error            { return nil }
func (s socket) SetWriteBuffer(int) error           { return nil }
