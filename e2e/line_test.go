package e2e

import (
	"flag"
	"math/rand/v2"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/simulate"
)

var lineTime = flag.Duration("line", 15*time.Second, "how long TestBadLine has a miner work over a bad line")

// badLine is a way to a node for one miner, on which packets are lost and delayed, in
// both directions.
type badLine struct {
	loss         float64
	trip         time.Duration // from one end to the other
	inner, outer *net.UDPConn  // to the node, to the miner
	ended        sync.WaitGroup
	sent, lost   atomic.Int64
}

// newBadLine returns a way to a node, which is there until the test ends.
func newBadLine(t *testing.T, to string, loss float64, roundTrip time.Duration) *badLine {
	t.Helper()
	l := &badLine{loss: loss, trip: roundTrip / 2}
	node, err := net.ResolveUDPAddr("udp", to)
	must(t, err)
	l.inner, err = net.DialUDP("udp", nil, node)
	must(t, err)
	l.outer, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	var miner atomic.Pointer[net.UDPAddr] // where the last packet came from
	l.ended.Go(func() {
		l.carry(func(p []byte) (int, error) {
			n, from, err := l.outer.ReadFromUDP(p)
			miner.Store(from)
			return n, err
		}, func(p []byte) { _, _ = l.inner.Write(p) })
	})
	l.ended.Go(func() {
		l.carry(l.inner.Read, func(p []byte) { _, _ = l.outer.WriteToUDP(p, miner.Load()) })
	})
	t.Cleanup(func() {
		_ = l.inner.Close()
		_ = l.outer.Close()
		l.ended.Wait()
	})
	return l
}

// carry carries packets in one direction, until the line is closed.
func (l *badLine) carry(read func([]byte) (int, error), write func([]byte)) {
	for p := make([]byte, 2000); ; {
		n, err := read(p)
		if err != nil {
			return
		}
		l.sent.Add(1)
		if rand.Float64() < l.loss {
			l.lost.Add(1)
			continue
		}
		packet := append([]byte(nil), p[:n]...)
		time.AfterFunc(l.trip, func() { write(packet) })
	}
}

// TestBadLine has a miner work over a line that loses one packet in twenty, with a round
// trip of 0.3 s. It must not take its connection for dead. For minutes of it:
//
//	go test -run BadLine -v -timeout 1h -args -line 5m
func TestBadLine(t *testing.T) {
	n := playNode(t, simulate.Trouble{})
	l := newBadLine(t, n.Address(), 0.05, 300*time.Millisecond)
	m := start(t, exec.Command(binary, "connect", "--log-format", "json", "--node", l.outer.LocalAddr().String(),
		"--auth-token-file", n.token, "--tls-cert-sha256-file", n.pin), func(entry) {})
	n.works(t)
	// Half of the time there is nothing to say but that the miner is there.
	<-time.After(*lineTime / 2)
	n.now(simulate.Trouble{Impossible: true})
	<-time.After(*lineTime / 2)
	n.now(simulate.Trouble{})
	n.works(t)
	t.Logf("%d of %d packets were lost, and %+v", l.lost.Load(), l.sent.Load(), n.Tally())
	if e, lost := m.log.find(func(e entry) bool { return e.Msg == "connection lost" }); lost {
		t.Errorf("the connection was taken for dead: %s", e.Reason)
	}
	if n.Tally().Admitted != 1 || l.lost.Load() == 0 {
		t.Error("want one connection and lost packets")
	}
}
