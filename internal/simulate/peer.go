package simulate

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

const (
	// idleTimeout is how long a connection lives on which a miner sends nothing.
	idleTimeout = time.Minute
	// readyTimeout is how long the node waits for the token.
	readyTimeout = 10 * time.Second
	// sendTimeout is how long the node waits for a miner that does not read.
	sendTimeout = 10 * time.Second
	// pieceDelay is the pause between the pieces of a frame. Without one they would
	// arrive in one packet.
	pieceDelay = time.Millisecond
)

// process is a node that runs: it ends when the node is switched off.
type process struct {
	socket    *net.UDPConn
	transport *quic.Transport
	listener  *quic.Listener
	running   sync.WaitGroup // a goroutine that accepts, and two for each connection
}

// SwitchOn has the node answer: a new process, whose jobs have numbers from 1 and
// headers that no node had before. It is an error if the address is taken.
func (n *QUICNode) SwitchOn() error {
	n.power.Lock()
	defer n.power.Unlock()
	if n.on != nil {
		return nil
	}
	network := "udp"
	if n.address.IP.To4() != nil { // or 0.0.0.0 would be every interface by IPv6 as well
		network = "udp4"
	}
	socket, err := net.ListenUDP(network, n.address)
	if err != nil {
		return fmt.Errorf("listening at %s: %w", n.address, err)
	}
	if n.address.Port == 0 {
		n.address = socket.LocalAddr().(*net.UDPAddr)
	}
	p := &process{socket: socket, transport: &quic.Transport{Conn: lossyConn{socket, socket, n.loses}}}
	config := wire.ServerTLS(n.identity.Certificate)
	config.GetConfigForClient = n.tls
	p.listener, err = p.transport.Listen(config, &quic.Config{
		MaxIdleTimeout:        idleTimeout,
		MaxIncomingStreams:    1,
		MaxIncomingUniStreams: -1,
	})
	if err != nil {
		_ = socket.Close()
		return fmt.Errorf("listening at %s: %w", n.address, err)
	}
	n.mu.Lock()
	n.head, n.lastID = [32]byte{}, 0
	if n.current != nil {
		n.advance()
	}
	n.mu.Unlock()
	p.running.Go(func() { n.accept(p) })
	n.on = p
	return nil
}

// SwitchOff ends the node without a word, as a crash does. Who is connected hears
// nothing any more.
func (n *QUICNode) SwitchOff() {
	n.power.Lock()
	defer n.power.Unlock()
	if n.on == nil {
		return
	}
	_ = n.on.transport.Close() // which leaves the socket to us
	_ = n.on.socket.Close()
	n.on.running.Wait()
	n.on = nil
}

// Drop closes all connections, with a reason.
func (n *QUICNode) Drop(reason string) {
	n.mu.Lock()
	miners := slices.Collect(maps.Keys(n.miners))
	n.mu.Unlock() // as what is sent asks what is wrong
	for _, miner := range miners {
		miner.close(reason)
	}
}

// Say sends a frame with any content, of any length, to all miners.
func (n *QUICNode) Say(content string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for miner := range n.miners {
		miner.send(inFrame([]byte(content)))
	}
}

// loses reports whether the next packet is lost.
func (n *QUICNode) loses() bool { return n.wrong().loses() }

// wrong returns what is wrong at the moment.
func (n *QUICNode) wrong() Trouble {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trouble
}

// tls returns the configuration for the next connection.
func (n *QUICNode) tls(*tls.ClientHelloInfo) (*tls.Config, error) {
	t := n.wrong()
	certificate := n.identity.Certificate
	if t.Certificate != nil {
		certificate = *t.Certificate
	}
	config := wire.ServerTLS(certificate)
	if t.ALPN != "" {
		config.NextProtos = []string{t.ALPN}
	}
	return config, nil
}

// accept serves the connections that come, until the node is switched off.
func (n *QUICNode) accept(p *process) {
	for {
		conn, err := p.listener.Accept(context.Background())
		if err != nil { // it is off
			return
		}
		p.running.Go(func() { n.serve(p, conn) })
	}
}

// peer is a miner that is connected.
type peer struct {
	conn   *quic.Conn
	stream *quic.Stream
	jobs   map[string]sentJob // by their IDs; the node's mu guards it

	outbox
}

// sentJob is a job that was sent to a miner, and when.
type sentJob struct {
	*task
	at time.Time
}

// close closes the connection. The miner sees the reason.
func (p *peer) close(reason string) { _ = p.conn.CloseWithError(wire.CodeDone, reason) }

// serve talks with a miner for as long as it is connected.
func (n *QUICNode) serve(p *process, conn *quic.Conn) {
	log := n.log.With("miner", conn.RemoteAddr().String())
	miner := &peer{conn: conn, jobs: make(map[string]sentJob), outbox: newOutbox()}
	if reason, err := n.admit(miner); err != nil {
		log.Warn("a miner is turned away", "reason", reason, "error", err)
		miner.close(reason)
		return
	}
	log.Info("a miner is connected")
	p.running.Go(func() { n.write(miner) })
	err := n.read(miner)
	n.mu.Lock()
	delete(n.miners, miner)
	n.mu.Unlock()
	if errors.Is(err, ErrMisbehaved) {
		_ = conn.CloseWithError(wire.CodeViolation, err.Error())
		n.fail(err) // which ends the node
	} else {
		miner.close("")
	}
	log.Info("a miner is gone", "error", err)
}

// admit waits for a miner's token, and tells the miner of the current job if it is
// the right one. Otherwise it returns the reason that a node gives.
func (n *QUICNode) admit(miner *peer) (reason string, err error) {
	n.mu.Lock()
	ctx, cancel := context.WithTimeout(miner.conn.Context(), n.readyTimeout)
	n.mu.Unlock()
	defer cancel()
	if miner.stream, err = miner.conn.AcceptStream(ctx); err != nil {
		return wire.ReasonAuthTimeout, fmt.Errorf("it does not begin: %w", err)
	}
	deadline, _ := ctx.Deadline()
	if err := miner.stream.SetReadDeadline(deadline); err != nil {
		return wire.ReasonAuthTimeout, err
	}
	message, err := wire.Read(miner.stream)
	if err != nil {
		return wire.ReasonAuthTimeout, fmt.Errorf("it does not say that it is ready: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	token := n.identity.Token
	if n.trouble.Token != "" {
		token = n.trouble.Token
	}
	ready, ok := message.(wire.Ready)
	if !ok || subtle.ConstantTimeCompare([]byte(ready.Token), []byte(token)) != 1 {
		n.tally.Refused++
		return wire.ReasonAuthFailed, errors.New("it has another token")
	}
	n.tally.Admitted++
	n.miners[miner] = struct{}{}
	if n.current != nil {
		n.sendJob(miner)
	}
	return "", miner.stream.SetReadDeadline(time.Time{})
}

// read reads and verifies a miner's results, until it is gone or misbehaves.
func (n *QUICNode) read(miner *peer) error {
	for {
		message, err := wire.Read(miner.stream)
		if violation := (*wire.ViolationError)(nil); errors.As(err, &violation) {
			return misbehaviour("%v", violation)
		}
		if err != nil {
			return err
		}
		result, ok := message.(wire.JobResult)
		if !ok {
			return misbehaviour("it says %T", message)
		}
		if err := n.verify(miner, result); err != nil {
			return err
		}
	}
}

// write sends what there is to be sent, until the miner is gone.
func (n *QUICNode) write(miner *peer) {
	gone := miner.conn.Context().Done()
	for {
		select {
		case <-gone:
			return
		case <-miner.more:
		}
		for _, frame := range miner.take() {
			for i, piece := range n.wrong().pieces(frame) {
				if i > 0 {
					select {
					case <-gone:
						return
					case <-time.After(pieceDelay):
					}
				}
				if err := miner.stream.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
					return
				}
				if _, err := miner.stream.Write(piece); err != nil {
					miner.close("it does not read")
					return
				}
			}
		}
	}
}
