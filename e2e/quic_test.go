package e2e

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/simulate"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// node is a node of today's network, played by the test.
type node struct {
	*simulate.QUICNode
	identity   simulate.Identity
	dir        string
	token, pin string // the files that its miners read
}

// playNode plays a node until the test ends, which fails if a miner has done wrong by
// then. Its blocks take 20 ms, and it bears it if none is sealed for a minute.
func playNode(t *testing.T, trouble simulate.Trouble) *node {
	t.Helper()
	return playNodeAs(t, trouble, 0)
}

// playNodeAs does so, or plays a pool that speaks the nodes' protocol, with shares of a
// difficulty that is not 0.
func playNodeAs(t *testing.T, trouble simulate.Trouble, share uint64) *node {
	t.Helper()
	identity, err := simulate.NewIdentity()
	must(t, err)
	n := &node{identity: identity, dir: t.TempDir()}
	n.QUICNode, err = simulate.ListenQUIC("127.0.0.1:0", identity, slog.New(slog.DiscardHandler))
	must(t, err)
	n.token, n.pin, err = identity.WriteFiles(n.dir)
	must(t, err)
	n.BlockTime, n.BlockTimeout, n.Share = 20*time.Millisecond, time.Minute, u512.From64(share)
	n.Change(func(t *simulate.Trouble) { *t = trouble })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		err := n.Run(ctx)
		n.Close()
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the node ended with %v", err)
		}
	})
	return n
}

// now has the node be in that trouble and no other.
func (n *node) now(trouble simulate.Trouble) {
	n.Change(func(t *simulate.Trouble) { *t = trouble })
}

// renew gives the node another token and certificate, as if it had lost its files,
// and is what the node is in from now on. Its miners' files tell of them first.
func (n *node) renew(t *testing.T) simulate.Trouble {
	t.Helper()
	identity, err := simulate.NewIdentity()
	must(t, err)
	_, _, err = identity.WriteFiles(n.dir)
	must(t, err)
	return simulate.Trouble{Token: identity.Token, Certificate: &identity.Certificate}
}

// seals returns how many valid seals have arrived, of whatever job.
func (n *node) seals() uint64 {
	tally := n.Tally()
	return tally.Seals + tally.Late
}

// connectCommand is a miner to be started for some nodes, the first of which it
// prefers, with a free port for its metrics.
func connectCommand(nodes []*node, flags ...string) *exec.Cmd {
	args := []string{"connect", "--metrics-port", "0", "--log-format", "json"}
	for _, n := range nodes {
		args = append(args, "--node", n.Address(), "--auth-token-file", n.token, "--tls-cert-sha256-file", n.pin)
	}
	return exec.Command(binary, append(args, flags...)...)
}

// connect starts a miner for some nodes, which ends with the test, and must do so
// cleanly.
func connect(t *testing.T, nodes ...*node) miner {
	t.Helper()
	return connectBy(t, connectCommand(nodes))
}

// connectBy is the same with a command.
func connectBy(t *testing.T, command *exec.Cmd) (m miner) {
	t.Helper()
	shown := make(chan struct{})
	m.process = start(t, command, func(e entry) {
		if e.Page != "" {
			m.Monitor = e.Page
			close(shown)
		}
	})
	select {
	case <-shown:
	case <-m.ended:
		t.Fatal("the miner did not come to show its metrics")
	}
	return m
}

// works waits until some seals of the miner's have arrived.
func (n *node) works(t *testing.T) {
	t.Helper()
	from := n.seals()
	eventually(t, "seals arrive", func() bool { return n.seals() >= from+5 })
}

// TestConnect has a miner come to a node that is well, and both of them end well.
func TestConnect(t *testing.T) {
	n := playNode(t, simulate.Trouble{})
	m := connect(t, n)
	n.works(t)
	m.stop(t)
	must(t, m.end(t))
	eventually(t, "the node knows that the miner is gone", func() bool { return n.Tally().Miners == 0 })
}

// TestFatal has a miner come to nodes with which it will never come to terms: it
// ends, and says what to do.
func TestFatal(t *testing.T) {
	other, err := simulate.NewIdentity()
	must(t, err)
	for name, c := range map[string]struct {
		trouble simulate.Trouble
		says    []string
	}{
		"token":       {simulate.Trouble{Token: "another"}, []string{"refuses the token", "--auth-token-file"}},
		"certificate": {simulate.Trouble{Certificate: &other.Certificate}, []string{other.Pin().String(), "THE PIN", "--tls-cert-sha256-file"}},
		"protocol":    {simulate.Trouble{ALPN: "quantus-miner/3"}, []string{"quantus-miner/2"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := playNode(t, c.trouble)
			code, stderr := execute(t, connectCommand([]*node{n}))
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			for _, say := range c.says {
				if say == "THE PIN" {
					say = n.identity.Pin().String()
				}
				if !strings.Contains(stderr, say) {
					t.Errorf("it does not say %q:\n%s", say, stderr)
				}
			}
			if strings.Contains(stderr, n.identity.Token) {
				t.Error("it shows its token")
			}
			t.Logf("%s", stderr)
		})
	}
}

// idle waits until the miner computes nothing.
func (m miner) idle(t *testing.T) {
	t.Helper()
	eventually(t, "the miner is idle", func() bool {
		metrics := m.metrics(t)
		return metrics["miner_active_jobs"] == 0 && metrics["miner_hash_rate"] == 0
	})
}

// says waits until the miner's metrics say that this is how it stands with its node.
func (m miner) says(t *testing.T, state string) {
	t.Helper()
	eventually(t, "the state is "+state, func() bool { return m.metrics(t)[`miner_node_state{state="`+state+`"}`] == 1 })
}

// TestComesBack has a miner lose its node, for every reason for which it should try
// again: it does not search what nobody wants any more, says why, and comes back.
func TestComesBack(t *testing.T) {
	n := playNode(t, simulate.Trouble{Quiet: true})
	m := connect(t, n)
	for _, c := range []struct {
		name string
		lose func()
	}{
		{"first", func() {}},
		{"reason", func() { n.Drop("auth timeout") }},
		{"no reason", func() { n.Drop("") }},
		{"unknown message", func() { n.Say(`{"Goodbye":{}}`) }},
		{"no JSON", func() { n.Say(`x`) }},
		{"no difficulty", func() {
			n.Say(`{"NewJob":{"job_id":"7","mining_hash":"` + strings.Repeat("0", 64) + `","difficulty":"0"}}`)
		}},
		{"too long", func() { n.Say(strings.Repeat(" ", 1025)) }},
		{"restart", func() { n.Drop("restart"); n.SwitchOff(); must(t, n.SwitchOn()) }},
		{"silence", n.SwitchOff},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := n.Tally().Admitted
			n.now(simulate.Trouble{Impossible: true})
			if c.name != "first" {
				eventually(t, "the miner searches", func() bool { return m.metrics(t)["miner_active_jobs"] == 1 })
			}
			n.now(simulate.Trouble{Quiet: true})
			c.lose()
			if c.name != "first" {
				m.idle(t)
			}
			if c.name == "silence" {
				m.says(t, "not_connected")
			}
			must(t, n.SwitchOn())
			eventually(t, "the miner is there", func() bool { return n.Tally().Admitted == before+1 && n.Tally().Miners == 1 })
			if c.name != "first" {
				m.says(t, "waiting")
			}
			n.now(simulate.Trouble{Impossible: true})
			m.says(t, "working")
			n.now(simulate.Trouble{})
			n.works(t)
		})
	}
}

// TestRefusedSeals has a node be content with no seal. It says nothing, and the miner
// looks for others.
func TestRefusedSeals(t *testing.T) {
	n := playNode(t, simulate.Trouble{Refuse: true})
	connect(t, n)
	eventually(t, "the miner is there", func() bool { return n.Tally().Miners == 1 })
	jobs := n.Tally().Jobs
	n.works(t) // which would not take the same nonce twice
	if now := n.Tally().Jobs; now != jobs {
		t.Errorf("there were %d jobs, and are %d", jobs, now)
	}
}

// TestNativePool has a pool that speaks the nodes' protocol repeat its job after each result.
// The miner goes on with it, sends nothing twice, which the pool would not bear, and all that
// it finds.
func TestNativePool(t *testing.T) {
	// One worker finds less than the 50 a second that are sent.
	n := playNodeAs(t, simulate.Trouble{}, 300_000)
	m := connectBy(t, connectCommand([]*node{n}, "--workers", "1"))
	eventually(t, "shares arrive", func() bool { return n.seals() >= 60 })
	metrics := m.metrics(t)
	if jobs := n.Tally().Jobs; jobs != 1 || metrics["miner_node_jobs_total"] != 1 {
		t.Errorf("there were %d jobs, and the miner has had %g", jobs, metrics["miner_node_jobs_total"])
	}
	n.now(simulate.Trouble{Impossible: true})
	eventually(t, "every winner has arrived", func() bool { return m.metrics(t)["miner_winners_total"] == float64(n.seals()) })
}

// TestFallback has a miner work for the second of two nodes while the first has
// nothing for it.
func TestFallback(t *testing.T) {
	first, second := playNode(t, simulate.Trouble{}), playNode(t, simulate.Trouble{})
	connect(t, first, second)
	first.works(t)
	if second.Tally().Admitted != 0 {
		t.Error("the miner went to the second node, too")
	}
	for range 2 {
		first.Drop("")
		first.SwitchOff()
		second.works(t)
		must(t, first.SwitchOn())
		first.works(t)
		eventually(t, "the miner has left the second node", func() bool { return second.Tally().Miners == 0 })
	}
}

// TestSimulateListens has the binary play the node, and does what it says to have a
// miner come to it.
func TestSimulateListens(t *testing.T) {
	command := exec.Command(binary, "simulate", "--pow", "poseidon2", "--listen", "127.0.0.1:0", "--dir", t.TempDir(),
		"--blocks", "3", "--block-time", "20ms")
	out, err := command.StdoutPipe()
	must(t, err)
	n := start(t, command, func(entry) {})
	lines := bufio.NewScanner(out)
	says := ""
	for !strings.Contains(says, " connect ") && lines.Scan() {
		says = lines.Text()
	}
	words := strings.Fields(says)
	if len(words) < 2 {
		t.Fatalf("it says %q: %v", says, lines.Err())
	}
	m := start(t, exec.Command(binary, append(words[1:], "--log-format", "json")...), func(entry) {})
	for lines.Scan() {
		says = lines.Text()
	}
	if err := n.end(t); err != nil || !strings.HasPrefix(says, "sealed 3 of 3 blocks, no seal wrong") {
		t.Errorf("the node ended with %v, and said %q", err, says)
	}
	m.logs(t, "the node has gone", func(e entry) bool { return e.Msg == "connection lost" && strings.Contains(e.Reason, "the node ends") })
}
