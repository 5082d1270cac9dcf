package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// connectCmd mines for nodes that it connects to.
type connectCmd struct {
	Node []nodeFlag `aliases:"node-addr" env:"MINER_NODE_ADDR" required:"" placeholder:"HOST:PORT" help:"Node to mine for; without a port ${node_port}. IPv6 addresses are in brackets. More of them, repeated or separated by commas, are fallbacks in this order."`
	trustFlags
	MetricsPort *portFlag `env:"MINER_METRICS_PORT" placeholder:"PORT" help:"Port for Prometheus metrics, and for a live page at /; 0 is any that is free. Without it there are none."`
	MetricsHost *hostFlag `env:"MINER_METRICS_HOST" placeholder:"HOST" help:"Host name or address for the metrics; by default 127.0.0.1. Needs --metrics-port."`
	PoW         pow.Proof `name:"pow" env:"MINER_POW" enum:"${pows}" default:"poseidon2" placeholder:"NAME" help:"Proof of work: poseidon2, the default, which is that of today's network, or sha3-rsa, for tests."`
	hostsFlags
	dutyFlags
	gpuFlags `set:"gpu_default=auto"`
	hubFlags
	needlessFlags
}

// Help is what --help says beyond the summary.
func (c *connectCmd) Help() string {
	return "A token and a SHA-256 are needed, each in a file or as it is. With several nodes give each of the two once, for all of them, or once for each, in their order. " +
		"Files are read again before each connection.\n\n" +
		"Exit code 0: ended by a signal. 1: a node refuses the token, has another certificate or speaks another protocol, or no engine is left. " +
		"A node that is out of reach is tried again for as long as it takes."
}

// nodeFlag is a node's host:port.
type nodeFlag string

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *nodeFlag) UnmarshalText(text []byte) error {
	address := string(bytes.TrimSpace(text)) // of a list, perhaps
	host, port, err := net.SplitHostPort(address)
	if err != nil { // as it has none
		host, port = address, strconv.Itoa(wire.DefaultPort)
		// An IPv6 address that ends with a port and misses its brackets is one as well.
		if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
			host = "" // refused below
		}
	}
	var name hostFlag
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || name.UnmarshalText([]byte(host)) != nil {
		return errors.New("must be a host name or an IP address with a port from 1 to 65535, such as 127.0.0.1:9833 or [::1]:9833")
	}
	*f = nodeFlag(net.JoinHostPort(string(name), port))
	return nil
}

// pinFlag is a certificate's fingerprint.
type pinFlag wire.Fingerprint

// String returns the flag as it is given.
func (f pinFlag) String() string { return wire.Fingerprint(f).String() }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *pinFlag) UnmarshalText(text []byte) error {
	pin, err := wire.ParseFingerprint(string(text))
	*f = pinFlag(pin)
	return err
}

// Validate implements the parser's check of the command as a whole.
func (c *connectCmd) Validate() error {
	if c.MetricsHost != nil && c.MetricsPort == nil {
		return errors.New("--metrics-host: needs --metrics-port, without which there are no metrics")
	}
	if err := c.checkFor(len(c.Node)); err != nil {
		return err
	}
	if err := c.hubFlags.check(); err != nil {
		return err
	}
	return c.dutyFlags.check(c.PoW, c.gpuFlags, c.hubFlags.exists())
}

// withoutTokens returns a text without the tokens and passwords that a command line and the
// variables have: the parser quotes what it cannot make sense of. A token may be where the
// SHA-256 should be, and a password in a pool's URL.
func withoutTokens(text string, args []string) string {
	tokens := []string{os.Getenv("MINER_AUTH_TOKEN"), os.Getenv("MINER_TLS_CERT_SHA256"), os.Getenv("MINER_POOL_PASSWORD"), credentialsIn(os.Getenv("MINER_POOL_URL"))}
	for _, url := range strings.Split(os.Getenv("MINER_FLEET"), ",") {
		tokens = append(tokens, credentialsIn(url))
	}
	for i, arg := range args {
		tokens = append(tokens, credentialsIn(arg))
		for _, flag := range []string{"--auth-token", "--password", "-p"} {
			if token, found := strings.CutPrefix(arg, flag+"="); found {
				tokens = append(tokens, token)
			} else if arg == flag && i+1 < len(args) {
				tokens = append(tokens, args[i+1])
			}
		}
	}
	for _, token := range tokens {
		if len(token) > 3 { // or it would be anywhere
			quoted := strconv.Quote(token)
			text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], "…")
			text = strings.ReplaceAll(text, token, "…")
		}
	}
	return text
}

// credentialsIn returns the user and the password in a URL, if it has them.
func credentialsIn(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	credentials, _, found := strings.Cut(rest, "@")
	if !found {
		return ""
	}
	return credentials
}

// monitorConnections is how many connections the port of the metrics takes: pages that
// are open, and scrapers.
const monitorConnections = 64

// nodes returns the nodes to mine for, and an error if their files cannot be read.
func (c *connectCmd) nodes() (nodes []quicnode.Node, err error) {
	for i, node := range c.Node {
		// Now, and not when a fallback is needed, is somebody there to set it right.
		if _, err := c.credentials(i); err != nil {
			return nil, err
		}
		nodes = append(nodes, quicnode.Node{
			Address:     string(node),
			Credentials: func() (quicnode.Credentials, error) { return c.credentials(i) },
		})
	}
	return nodes, nil
}

// Run mines until the context is done.
func (c *connectCmd) Run(ctx context.Context, s streams) error {
	svc, err := c.service(c.PoW, s)
	if err != nil {
		return err
	}
	c.needlessFlags.logIgnored(svc.log)
	svc.limits.MaxConnections = monitorConnections
	svc.hosts = c.hosts(nil, svc.log, c.MetricsHost)
	svc.gpus = c.gpuFlags
	svc.check = func() error {
		_, err := c.nodes()
		return err
	}
	if svc.nodes, err = c.nodes(); err != nil {
		return err
	}
	for i := range c.AuthTokenFile {
		access.WarnExposed(svc.log, fileOf(c.AuthTokenFile, i), access.SecretMode)
	}
	if svc.metrics, err = svc.listenForMetrics(ctx, c.MetricsHost, c.MetricsPort); err != nil {
		return err
	}
	if svc.metrics != nil {
		defer svc.metrics.Close() // again, if all goes well
	}
	if svc.fleet, err = c.hubFlags.open(c.PoW, svc.log); err != nil {
		return err
	}
	defer svc.fleet.close()
	svc.log.Info("mining for nodes", "nodes", c.Node, "pow", svc.proof, "engine", svc.engine.Name(), "kernel", svc.engine.Backend(),
		"workers", svc.workers, "priority", c.Priority, "affinity", cmp.Or(c.Affinity.String(), "any"),
		"throttle", c.Throttle.String(), "version", version(), "revision", revision())
	if err := svc.run(ctx); err != nil {
		return advise(err)
	}
	svc.log.Info("shut down")
	return nil
}

// advise says what to do about an error that ends connect.
func advise(err error) error {
	advice := ""
	switch {
	case errors.Is(err, quicnode.ErrTokenRefused):
		advice = "give the token in this node's own file miner-auth-token with --auth-token-file; another node, or another chain of the same node, has another one"
	case errors.Is(err, quicnode.ErrSwapped):
		advice = "give the node's own file miner-auth-token with --auth-token-file, and its miner-tls-cert-sha256 with --tls-cert-sha256-file"
	case errors.As(err, new(*wire.PinError)):
		advice = "if this is the node that you mean, and it was set up anew, give its own file miner-tls-cert-sha256 with --tls-cert-sha256-file; if not, another one answers at its address, and the token must not get there"
	case errors.Is(err, quicnode.ErrVersion):
		advice = "node and miner must be of the same time: update whichever is older; a node that takes --external-miner-url wants quantus-miner serve instead"
	case errors.Is(err, mining.ErrNoEngine):
		advice = "see the log for what is wrong with them, and suspect the machine's memory or overclocking"
	default:
		return err
	}
	return fmt.Errorf("%w\n%s", err, advice)
}
