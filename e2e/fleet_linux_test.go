package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// suspension is for how long a machine of a fleet is suspended.
var suspension = flag.Duration("suspension", 7*time.Second, "how long TestFleetTrouble has a machine be suspended")

// fleetSize is how many machines a fleet has.
const fleetSize = 4

// fleet is a hub in the network of the test, and machines in networks of their own.
type fleet struct {
	dir      string // of the files that workers need
	port     string // that the hub listens on
	start    func(t *testing.T) miner
	hub      miner
	machines []*machine
}

// machine is one machine of a fleet: a network namespace, a cable, and a miner there.
type machine struct {
	name, namespace, cable string
	hubSide, ownSide       string // the addresses at both ends of the cable
	miner
}

// startFleet starts a hub without workers of its own by a command of the miner, and machines. The
// command has the hub's flags added to it.
func startFleet(t *testing.T, pow string, command func(t *testing.T, flags ...string) miner) *fleet {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddress(t))
	must(t, err)
	f := &fleet{dir: t.TempDir(), port: port}
	f.start = func(t *testing.T) miner {
		return command(t, "--pow", pow, "--workers", "0", "--gpu", "none", "--fleet-listen", "0.0.0.0:"+port, "--fleet-dir", f.dir)
	}
	f.hub = f.start(t)
	f.hub.logs(t, "workers may come", func(e entry) bool { return e.Msg == "the fleet has a hub" })
	for i := range fleetSize {
		m := plug(t, i)
		m.miner = f.work(t, m, pow)
		f.machines = append(f.machines, m)
	}
	f.complete(t)
	return f
}

// plug makes a network namespace and connects it to that of the test, until the test ends.
func plug(t *testing.T, i int) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces are made by root")
	}
	unique := os.Getpid() % 10000
	m := &machine{name: fmt.Sprintf("rig%d", i+1), namespace: fmt.Sprintf("qm%d-%d", unique, i), cable: fmt.Sprintf("qm%dh%d", unique, i)}
	network := fmt.Sprintf("10.213.%d.", (unique*fleetSize+i)%256)
	m.hubSide, m.ownSide = network+"1", network+"2"
	ip(t, "netns", "add", m.namespace)
	t.Cleanup(func() { ip(t, "netns", "del", m.namespace) })
	ip(t, "link", "add", m.cable, "type", "veth", "peer", "name", "eth0", "netns", m.namespace)
	t.Cleanup(func() { ip(t, "link", "del", m.cable) }) // which would go with the namespace, but some time later
	ip(t, "addr", "add", m.hubSide+"/30", "dev", m.cable)
	ip(t, "link", "set", m.cable, "up")
	for _, command := range []string{"link set lo up", "addr add " + m.ownSide + "/30 dev eth0", "link set eth0 up"} {
		ip(t, append([]string{"-n", m.namespace}, strings.Fields(command)...)...)
	}
	return m
}

// ip runs the program of that name.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// cut unplugs the machine's cable, and heal plugs it in again.
func (m *machine) cut(t *testing.T)  { ip(t, "link", "set", m.cable, "down") }
func (m *machine) heal(t *testing.T) { ip(t, "link", "set", m.cable, "up") }

// work starts the miner of a machine.
func (f *fleet) work(t *testing.T, m *machine, pow string, flags ...string) miner {
	t.Helper()
	args := append([]string{"netns", "exec", m.namespace, binary}, f.workFlags(m)...)
	return connectBy(t, exec.Command("ip", append(args, append([]string{"--pow", pow}, flags...)...)...))
}

// workFlags are the command work of a machine, with its flags.
func (f *fleet) workFlags(m *machine) []string {
	return []string{
		"work", "--hub", net.JoinHostPort(m.hubSide, f.port), "--name", m.name, "--workers", "1", "--gpu", "none",
		"--fleet-token-file", filepath.Join(f.dir, broker.TokenFile), "--fleet-cert-sha256-file", filepath.Join(f.dir, broker.FingerprintFile),
		"--metrics-port", "0", "--metrics-host", m.ownSide, "--log-format", "json",
	}
}

// states returns the states of the machines that the hub knows, by name.
func (f *fleet) states(t *testing.T) map[string]string {
	t.Helper()
	var page struct {
		Machines []struct{ Name, State string }
	}
	getJSON(t, f.hub.Monitor+"/api/v1/machines", &page)
	states := make(map[string]string)
	for _, m := range page.Machines {
		states[m.Name] = m.State
	}
	return states
}

// complete waits until all machines are there.
func (f *fleet) complete(t *testing.T) {
	t.Helper()
	eventually(t, "all machines are there", func() bool {
		states := f.states(t)
		for i := range fleetSize {
			if s := states[fmt.Sprintf("rig%d", i+1)]; s != "working" && s != "idle" {
				return false
			}
		}
		return true
	})
}

// becomes waits until the hub has a machine in a state, which must not take longer than that.
func (f *fleet) becomes(t *testing.T, m *machine, state string, within time.Duration) {
	t.Helper()
	began := time.Now()
	eventually(t, m.name+" is "+state, func() bool { return f.states(t)[m.name] == state })
	took := time.Since(began)
	t.Logf("%s is %s after %v", m.name, state, took.Round(10*time.Millisecond))
	if took > within {
		t.Errorf("it took %v until %s was %s, and not %v", took, m.name, state, within)
	}
}

// fair looks at how the hub counts: no wrong nonce, and as many nonces by machine as in all.
func (f *fleet) fair(t *testing.T) {
	t.Helper()
	metrics := f.hub.metrics(t)
	if n := metrics[`miner_fleet_offers_total{result="wrong"}`] + metrics[`miner_candidates_rejected_total{engine="fleet"}`]; n != 0 {
		t.Errorf("%g nonces were wrong", n)
	}
	sum := 0.0
	for name, value := range metrics {
		if strings.HasPrefix(name, "miner_fleet_worker_hashes_total") {
			sum += value
		}
	}
	if all := metrics["miner_hashes_total"]; sum == 0 || all > sum || all < 0.9*sum {
		t.Errorf("the machines have evaluated %g nonces, and the hub counts %g", sum, all)
	}
}

// TestFleetHTTP has a fleet seal fifty blocks of the network of 2025, and more while one of its machines is
// killed. When the hub was killed and started again its machines come back, and it serves the next node.
func TestFleetHTTP(t *testing.T) {
	address := freeAddress(t)
	f := startFleet(t, "sha3-rsa", func(t *testing.T, flags ...string) miner {
		_, port, err := net.SplitHostPort(address)
		must(t, err)
		return startMiner(t, append(flags, "--port", port)...)
	})
	seal := func(blocks int, blockTime time.Duration) error {
		node := simulate.Node{Miner: "http://" + address, Blocks: blocks, BlockTime: blockTime, Poll: 5 * time.Millisecond, BlockTimeout: time.Minute}
		return node.Run(t.Context())
	}
	must(t, seal(50, 50*time.Millisecond))
	f.fair(t)

	ended := make(chan error, 1)
	go func() { ended <- seal(20, 500*time.Millisecond) }()
	f.machines[0].kill(t)
	f.becomes(t, f.machines[0], "gone", 8*time.Second)
	must(t, <-ended)
	f.fair(t)
	f.machines[0].miner = f.work(t, f.machines[0], "sha3-rsa")

	f.hub.kill(t)
	f.hub = f.start(t)
	f.back(t)
	must(t, seal(10, 50*time.Millisecond))
	f.fair(t)
}

// kill ends the process as a power cut would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	_ = p.end(t) // which says that it was killed
}

// servers returns the processes of the hub's NATS server.
func (f *fleet) servers(t *testing.T) (pids []int) {
	t.Helper()
	hub := f.hub.command.Process.Pid
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", hub))
	must(t, err)
	for _, file := range all {
		children, err := os.ReadFile(file)
		must(t, err)
		for _, child := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(child)
			must(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// back waits for all machines to come back to a hub that was started again.
func (f *fleet) back(t *testing.T) {
	t.Helper()
	began := time.Now()
	f.complete(t)
	took := time.Since(began)
	t.Logf("all machines are back after %v", took.Round(10*time.Millisecond))
	if took > 6*time.Second {
		t.Errorf("it took %v until all machines were back", took)
	}
}

// TestFleetTrouble has a fleet work for a node of today's network, through all that may befall it: a machine is
// killed, one is suspended, one is cut off, the hub's NATS server is killed, the hub is killed and started again. The node ends with an error if a
// seal is wrong, comes twice, or is of a job that the hub was not told of. For a suspension of half a minute:
//
//	go test -run TestFleetTrouble -v -args -suspension 30s
func TestFleetTrouble(t *testing.T) {
	n := playNode(t, simulate.Trouble{})
	f := startFleet(t, "poseidon2", func(t *testing.T, flags ...string) miner {
		return connectBy(t, connectCommand([]*node{n}, flags...))
	})
	seals := func(more uint64) {
		t.Helper()
		from := n.seals()
		eventually(t, "the node gets seals", func() bool { return n.seals() >= from+more })
	}
	seals(50)
	f.fair(t)
	killed, suspended, cut := f.machines[0], f.machines[1], f.machines[2]

	killed.kill(t)
	suspended.signal(t, syscall.SIGSTOP)
	stopped := time.Now()
	cut.cut(t)
	f.becomes(t, killed, "gone", 8*time.Second)
	f.becomes(t, suspended, "gone", 8*time.Second)
	f.becomes(t, cut, "gone", 8*time.Second)
	cut.logs(t, "the machine that is cut off searches no more", func(e entry) bool {
		return strings.HasPrefix(e.Msg, "the search stops: the hub is silent")
	})
	seals(10) // by the fourth

	eventually(t, "the suspension is over", func() bool { return time.Since(stopped) > *suspension })
	suspended.signal(t, syscall.SIGCONT)
	cut.heal(t)
	killed.miner = f.work(t, killed, "poseidon2")
	suspended.logs(t, "the machine asks before it goes on", func(e entry) bool {
		return e.Msg == "the search stops until the hub has been asked"
	})
	f.complete(t)
	seals(10)
	f.fair(t)

	// The hub's NATS server, a process of its own, ends: nobody notices but for a moment.
	servers := f.servers(t)
	if len(servers) != 1 {
		t.Fatalf("the hub has the servers %v", servers)
	}
	must(t, syscall.Kill(servers[0], syscall.SIGKILL))
	f.hub.logs(t, "the server is back", func(e entry) bool { return e.Msg == "the fleet's NATS server is back" })
	f.complete(t)
	seals(10)
	f.fair(t)

	servers = f.servers(t)
	f.hub.kill(t)
	eventually(t, "the server has ended with its hub", func() bool {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", servers[0])) // which is empty of one that nobody has waited for
		return len(line) == 0
	})
	f.hub = f.start(t)
	f.back(t)
	seals(10)
	f.fair(t)
	if states := f.states(t); len(states) != fleetSize {
		t.Errorf("the machines are %v", states)
	}
}

// TestFleetPool has a fleet find two hundred shares of a pool, some of them while a machine is killed.
func TestFleetPool(t *testing.T) {
	p := playPool(t)
	f := startFleet(t, "poseidon2", func(t *testing.T, flags ...string) miner {
		flags = flags[2:] // pool has one proof of work
		command := exec.Command(binary, append([]string{"pool", "--url", "stratum+tcp://" + p.Address(), "--user", simulate.PoolUser,
			"--keepalive", "2s", "--metrics-port", "0", "--log-format", "json"}, flags...)...)
		return connectBy(t, command)
	})
	shares := func(accepted uint64) {
		t.Helper()
		eventually(t, "the pool accepts shares", func() bool { return p.Tally().Accepted >= accepted })
	}
	shares(100)
	f.machines[3].kill(t)
	f.becomes(t, f.machines[3], "gone", 8*time.Second)
	shares(200)
	f.fair(t)
	if got := p.Tally(); len(got.Refused) > 0 || got.Logins != 1 {
		t.Errorf("the tally is %+v", got)
	}
}

// TestFleetStrangers has those come to a hub who must not: without the token, with another hub's certificate,
// with other messages, and in a flood. None of them disturbs its machines, or fills its log.
func TestFleetStrangers(t *testing.T) {
	f := startFleet(t, "sha3-rsa", startMiner)
	m := f.machines[0]
	other := t.TempDir()
	for file, text := range map[string]string{broker.TokenFile: strings.Repeat("x", 40), broker.FingerprintFile: strings.Repeat("00", 32)} {
		must(t, os.WriteFile(filepath.Join(other, file), []byte(text), 0o600))
	}
	for flag, file := range map[string]string{"--fleet-token-file": broker.TokenFile, "--fleet-cert-sha256-file": broker.FingerprintFile} {
		flags := f.workFlags(m)
		for i := range flags {
			if flags[i] == flag {
				flags[i+1] = filepath.Join(other, file)
			}
		}
		code, stderr := execute(t, exec.Command("ip", append([]string{"netns", "exec", m.namespace, binary}, append(flags, "--pow", "sha3-rsa")...)...))
		if code != 1 || !strings.Contains(stderr, flag) {
			t.Errorf("with another %s the exit code is %d: %s", file, code, stderr)
		}
	}
	f.hub.logs(t, "the stranger was refused", func(e entry) bool {
		return e.Msg == "a stranger was refused by the fleet" && strings.Contains(e.Reason, "token")
	})
	f.oldWorker(t)

	began := len(f.hub.log.String())
	var flood []net.Conn
	for i := range 600 {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", f.port))
		must(t, err)
		defer conn.Close()
		if i%2 == 0 {
			_, _ = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")) // it may be closed already
		}
		flood = append(flood, conn)
	}
	f.complete(t)
	must(t, (simulate.Node{Miner: f.hub.API, Blocks: 5, BlockTime: 50 * time.Millisecond, Poll: 5 * time.Millisecond, BlockTimeout: time.Minute}).Run(t.Context()))
	for _, conn := range flood {
		_ = conn.Close()
	}
	f.hub.logs(t, "strangers speak something else", func(e entry) bool { return e.Msg == "the fleet's NATS server" && strings.Contains(e.Says, "127.0.0.1") })
	if lines := strings.Count(f.hub.log.String()[began:], `"level":"WARN"`); lines > 60 {
		t.Errorf("a flood of 600 connections makes %d lines in the log", lines)
	}
	if f.hub.metrics(t)[`miner_fleet_workers{state="idle"}`] != fleetSize {
		t.Errorf("the machines are %v", f.states(t))
	}
}

// oldWorker comes with messages of another version, and is told of both.
func (f *fleet) oldWorker(t *testing.T) {
	t.Helper()
	known := broker.Credentials{}
	var err error
	known.Token, err = broker.ReadToken(filepath.Join(f.dir, broker.TokenFile))
	must(t, err)
	id, err := broker.OpenIdentity(f.dir)
	must(t, err)
	known.Fingerprint = id.Fingerprint
	dialer, err := broker.ToHub(net.JoinHostPort("127.0.0.1", f.port), wire.DefaultFleet, func() (broker.Credentials, error) { return known, nil })
	must(t, err)
	own := wire.NewID()
	conn, err := dialer.Dial(own, nats.NoReconnect())
	must(t, err)
	defer conn.Close()
	subjects, err := wire.NewSubjects(wire.DefaultFleet)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer, err := conn.RequestWithContext(ctx, subjects.Hello(own), []byte(`{"wire":99,"name":"old"}`))
	must(t, err)
	var welcome wire.Welcome
	must(t, json.Unmarshal(answer.Data, &welcome))
	if !welcome.Final || !strings.Contains(welcome.Error, "99") || !strings.Contains(welcome.Error, strconv.Itoa(wire.Version)) {
		t.Errorf("another version is answered with %+v", welcome)
	}
	f.hub.logs(t, "another version was refused", func(e entry) bool { return e.Msg == "a machine is refused" && strings.Contains(e.Reason, "99") })
}

// TestPageOfFleet looks at the pages of a hub and of one of its machines: all machines, those that a filter leaves,
// and one that is gone.
func TestPageOfFleet(t *testing.T) {
	n := playNode(t, simulate.Trouble{Impossible: true})
	f := startFleet(t, "poseidon2", func(t *testing.T, flags ...string) miner {
		return connectBy(t, connectCommand([]*node{n}, flags...))
	})
	p := openPage(t, f.hub)
	p.until(t, "four machines work", func(v view) bool {
		return v.State == "working" && slices.Equal(v.Machines, []string{"rig1 working", "rig2 working", "rig3 working", "rig4 working"}) && v.MachinesOf == "1 to 4 of 4" && v.Rate > 0
	})
	p.look(t, "fleet")
	f.machines[1].kill(t)
	p.until(t, "one is gone", func(v view) bool { return slices.Contains(v.Machines, "rig2 gone") })
	p.choose(t, "machines-sort", "state")
	p.until(t, "it is the first of those sorted by state", func(v view) bool { return len(v.Machines) == 4 && v.Machines[0] == "rig2 gone" })
	p.choose(t, "machines-state", "gone")
	p.until(t, "it is the only one of that state", func(v view) bool {
		return slices.Equal(v.Machines, []string{"rig2 gone"}) && v.MachinesOf == "1 to 1 of 1 of 4"
	})
	p.choose(t, "machines-filter", "<nobody>")
	p.until(t, "there is none of another name", func(v view) bool { return len(v.Machines) == 0 && v.MachinesOf == "No machine is like that." })

	worker := openPage(t, f.machines[0].miner)
	worker.until(t, "the worker works for the hub", func(v view) bool {
		return v.State == "working" && strings.HasPrefix(v.Hub, f.machines[0].hubSide) && v.Node == "" && v.Pool == "" && len(v.Machines) == 0
	})
	worker.look(t, "worker")
}

// choose has a control of the page have a value, as if somebody had chosen or typed it.
func (p *tab) choose(t *testing.T, id, value string) {
	t.Helper()
	script := fmt.Sprintf("(() => { const c = document.getElementById(%q); c.value = %q; c.dispatchEvent(new Event('input')); return c.value; })()", id, value)
	if got, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](script)); err != nil || got != value {
		t.Fatalf("%s is %q, %v", id, got, err)
	}
}
