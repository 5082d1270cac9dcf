package quicnode

import (
	"context"
	crand "crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/testutils/simnet"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

var (
	lineTime = flag.Duration("line", 6*time.Hour, "how long TestBadLine has connections live, by their own clock")
	lineSeed = flag.Uint64("line-seed", 1, "which packets TestBadLine loses")
)

// line is a network in a bubble. Packets need half the round trip, and some are lost.
type line struct {
	loss   float64       // share of packets that do not arrive, in either direction
	trip   time.Duration // from one end to the other
	jitter time.Duration // that a packet may need longer; so some overtake others

	mu         sync.Mutex
	random     *rand.Rand
	ends       map[string]simnet.PacketReceiver
	sent, lost int
}

func newLine(loss float64, roundTrip, jitter time.Duration) *line {
	return &line{loss: loss, trip: roundTrip / 2, jitter: jitter / 2,
		random: rand.New(rand.NewPCG(*lineSeed, 0)), ends: make(map[string]simnet.PacketReceiver)}
}

// AddNode implements [simnet.Router]. Who has an address takes it from who had it.
func (l *line) AddNode(address net.Addr, r simnet.PacketReceiver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends[address.String()] = r
}

// SendPacket implements [simnet.Router].
func (l *line) SendPacket(p simnet.Packet) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if l.random.Float64() < l.loss {
		l.lost++
		return nil
	}
	if to := l.ends[p.To.String()]; to != nil {
		time.AfterFunc(l.trip+time.Duration(l.random.Float64()*float64(l.jitter)), func() { to.RecvPacket(p) })
	}
	return nil
}

// nodeAddress is where the node of a line is.
var nodeAddress = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9833}

// dial connects to the node, as a link does.
func (l *line) dial(ctx context.Context, _ string, pin wire.Fingerprint) (conn, error) {
	l.mu.Lock()
	port := 1024 + len(l.ends)
	l.mu.Unlock()
	return dialOver(ctx, simnet.NewSimConn(&net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: port}, l), nodeAddress, pin)
}

// lineNode is a process of a node, which has a job for each miner that comes.
type lineNode struct {
	transport *quic.Transport
	running   sync.WaitGroup
}

// run starts a node's process, with its address and certificate, and keys of its own.
func (l *line) run(t *testing.T, identity identity, job wire.NewJob) *lineNode {
	t.Helper()
	var key quic.StatelessResetKey
	_, _ = crand.Read(key[:]) // which does not fail
	n := &lineNode{transport: &quic.Transport{Conn: simnet.NewSimConn(nodeAddress, l), StatelessResetKey: &key}}
	listener, err := n.transport.Listen(wire.ServerTLS(identity.certificate), &quic.Config{MaxIdleTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	n.running.Go(func() {
		for {
			connection, err := listener.Accept(context.Background())
			if err != nil {
				return // it was killed
			}
			n.running.Go(func() {
				stream, err := connection.AcceptStream(connection.Context())
				if err != nil {
					return
				}
				if _, err := wire.Read(stream); err == nil {
					_ = wire.Write(stream, job)
				}
				<-connection.Context().Done()
			})
		}
	})
	return n
}

// kill ends the process. It has no time to say anything to anybody.
func (n *lineNode) kill() {
	_ = n.transport.Close()
	_ = n.transport.Conn.Close()
	n.running.Wait()
}

// TestNodeKilled kills a node at various times, and starts it again 0.1 s later. The
// miner must notice within 7 s, and work for the new process within 8 s.
func TestNodeKilled(t *testing.T) {
	id := newIdentity(t)
	job := wire.NewJob{ID: "1", Difficulty: u512.From64(never)}
	for _, after := range []time.Duration{10 * time.Millisecond, 300 * time.Millisecond, 990 * time.Millisecond, 1010 * time.Millisecond, time.Minute} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLine(0, 2*time.Millisecond, 0)
				first := l.run(t, id, job)
				miner := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: lottery{}, Workers: 1})
				link := New(miner, []Node{{"node:9833", func() (Credentials, error) { return Credentials{"secret", id.pin}, nil }}}, slog.New(slog.DiscardHandler))
				link.dial = l.dial
				ctx, stop := context.WithCancel(context.Background())
				var g sync.WaitGroup
				defer g.Wait()
				defer stop()
				g.Go(func() { miner.Run(ctx) })
				g.Go(func() { _ = link.Run(ctx) })
				until := func(state State) {
					for link.Status().State != state {
						<-time.After(time.Millisecond)
					}
				}

				until(Working)
				<-time.After(after)
				killed := time.Now()
				first.kill()
				<-time.After(100 * time.Millisecond)
				defer l.run(t, id, job).kill()
				until(NotConnected)
				noticed := time.Since(killed)
				until(Working)
				back := time.Since(killed)
				t.Logf("killed %s after the job: noticed after %s, working again after %s", after, noticed, back)
				if noticed > 7*time.Second || back > 8*time.Second {
					t.Error("this is too late")
				}
			})
		})
	}
}

// TestBadLine has connections over lines with a round trip of 0.3 s that lose one packet
// in twenty, and on which nothing else happens. None may be taken for dead; where the
// round trip varies by two thirds of itself, one in a month. By their own clocks they
// live for hours; for months of it:
//
//	go test ./internal/source/quicnode -run BadLine -v -timeout 1h -args -line 2400h
func TestBadLine(t *testing.T) {
	id := newIdentity(t)
	month := 30 * 24 * time.Hour
	for _, c := range []struct {
		jitter time.Duration
		most   int // connections that may be taken for dead
	}{
		{0, 0},
		{20 * time.Millisecond, 0},
		{200 * time.Millisecond, 1 + int(*lineTime/month)},
	} {
		t.Run(fmt.Sprint(c.jitter), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLine(0.05, 300*time.Millisecond, c.jitter)
				defer l.run(t, id, wire.NewJob{ID: "1", Difficulty: u512.From64(never)}).kill()
				deaths := 0
				for end := time.Now().Add(*lineTime); time.Now().Before(end); {
					c, err := l.dial(t.Context(), "", id.pin)
					if err != nil {
						t.Fatal(err)
					}
					if err := wire.Write(c, wire.Ready{Token: "secret"}); err != nil {
						t.Fatal(err)
					}
					select {
					case <-c.(*quicConn).quic.Context().Done():
						deaths++
					case <-time.After(time.Until(end)):
					}
					c.close(wire.CodeDone, "")
				}
				t.Logf("in %s %d of %d packets were lost, and %d connections", *lineTime, l.lost, l.sent, deaths)
				if l.lost < l.sent/50 || l.sent < int(*lineTime/time.Second) {
					t.Error("these are too few packets to tell")
				}
				if deaths > c.most {
					t.Errorf("%d connections were taken for dead, and %d may be", deaths, c.most)
				}
			})
		})
	}
}
