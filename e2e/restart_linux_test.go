package e2e

import (
	"bufio"
	"flag"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/simulate"
)

var suspendTime = flag.Duration("suspend", 6*time.Second, "how long TestSuspendedConnect has the miner be suspended")

// late is how long after a node is back its miner may work for it again. The promise
// is 8 s, which TestNodeKilled of internal/source/quicnode holds it to; here it is more,
// as other programs may want the CPU.
const late = 12 * time.Second

// nodeProcess is a node that the binary plays.
type nodeProcess struct {
	*process
	token, pin string
	sealed     chan struct{} // closed with its first block
}

// startNode has the binary play a node, whose files are in dir. Its first block is easy,
// and the others are not: so a miner says nothing for a while that might not arrive.
func startNode(t *testing.T, address, dir string) nodeProcess {
	t.Helper()
	command := exec.Command(binary, "simulate", "--pow", "poseidon2", "--listen", address, "--dir", dir,
		"--blocks", "1000000", "--block-time", "5s")
	out, err := command.StdoutPipe()
	must(t, err)
	n := nodeProcess{sealed: make(chan struct{}), token: filepath.Join(dir, "miner-auth-token"), pin: filepath.Join(dir, "miner-tls-cert-sha256")}
	listens := make(chan struct{})
	go func() {
		first := true
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), " connect ") {
				close(listens)
			}
			if strings.HasPrefix(lines.Text(), "block ") && first {
				first = false
				close(n.sealed)
			}
		}
	}()
	n.process = start(t, command, func(entry) {})
	n.checked.Store(true) // as it never ends by itself
	n.happens(t, "the node listens", listens)
	return n
}

// happens waits until something has happened to the node.
func (n nodeProcess) happens(t *testing.T, what string, yes <-chan struct{}) {
	t.Helper()
	select {
	case <-yes:
	case <-n.ended:
		t.Fatalf("the node ended with %v, and not: %s\n%s", n.err, what, &n.log)
	case <-time.After(time.Minute):
		t.Fatalf("for a minute it was not so: %s", what)
	}
}

// kill ends the node at once, and waits until its port is free.
func (n nodeProcess) kill(t *testing.T) {
	t.Helper()
	n.signal(t, syscall.SIGKILL)
	<-n.ended
}

// freeUDP returns an address at which nobody listens at the moment.
func freeUDP(t *testing.T) string {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	defer socket.Close()
	return socket.LocalAddr().String()
}

// TestNodeKilled kills a node that a miner works for, and starts it again with the same
// address and directory. It says nothing to the miner, which has to notice.
func TestNodeKilled(t *testing.T) {
	address, dir := freeUDP(t), t.TempDir()
	first := startNode(t, address, dir)
	m := connectTo(t, address, first)
	first.happens(t, "a block is sealed", first.sealed)

	// What the miner sends while nobody listens would tell it at once.
	<-time.After(300 * time.Millisecond)
	killed := time.Now()
	first.kill(t)
	<-time.After(time.Until(killed.Add(100 * time.Millisecond)))
	second := startNode(t, address, dir)
	second.happens(t, "a block is sealed once more", second.sealed)
	m.back(t, killed)
}

// TestSuspendedConnect stops a miner for a while. If its node is still there, both go on;
// if that is another process, the miner notices soon after it woke up.
func TestSuspendedConnect(t *testing.T) {
	t.Run("node is there", func(t *testing.T) {
		n := playNode(t, simulate.Trouble{})
		m := connect(t, n)
		n.works(t)
		m.suspend(t, func() {})
		n.works(t)
	})
	t.Run("node was killed", func(t *testing.T) {
		address, dir := freeUDP(t), t.TempDir()
		first := startNode(t, address, dir)
		m := connectTo(t, address, first)
		first.happens(t, "a block is sealed", first.sealed)
		var second nodeProcess
		woke := m.suspend(t, func() {
			first.kill(t)
			second = startNode(t, address, dir)
		})
		second.happens(t, "a block is sealed once more", second.sealed)
		m.back(t, woke)
	})
}

// connectTo starts a miner for a node that is a process.
func connectTo(t *testing.T, address string, n nodeProcess) miner {
	t.Helper()
	command := exec.Command(binary, "connect", "--log-format", "json",
		"--node", address, "--auth-token-file", n.token, "--tls-cert-sha256-file", n.pin)
	return miner{process: start(t, command, func(entry) {})}
}

// suspend stops the miner for a while, in which something happens, and returns when it
// went on.
func (m miner) suspend(t *testing.T, meanwhile func()) time.Time {
	t.Helper()
	began := time.Now()
	m.signal(t, syscall.SIGSTOP)
	defer m.signal(t, syscall.SIGCONT) // whatever happens, so that it can end
	eventually(t, "the miner is stopped", func() bool { return m.status(t, "State") == "T" })
	meanwhile()
	<-time.After(time.Until(began.Add(*suspendTime)))
	return time.Now()
}

// back is called when the miner works again for a node that was killed.
func (m miner) back(t *testing.T, since time.Time) {
	t.Helper()
	took := time.Since(since)
	lost := m.logs(t, "the connection is lost", func(e entry) bool { return e.Msg == "connection lost" })
	t.Logf("noticed after %s (%s), a block after %s", lost.Time.Sub(since).Round(time.Millisecond), lost.Reason, took.Round(time.Millisecond))
	if took > late {
		t.Errorf("it took %s, and may take %s", took, late)
	}
}
