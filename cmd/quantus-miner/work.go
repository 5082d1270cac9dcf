package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker"
	fleetwire "github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// workCmd mines for a hub.
type workCmd struct {
	Hub  hubFlag     `env:"MINER_HUB_ADDR" placeholder:"HOST:PORT" help:"Hub to mine for; without a port ${hub_port}."`
	Name machineFlag `env:"MINER_NAME" placeholder:"NAME" help:"What this machine is called in its fleet; by default the host's name."`
	hubTrustFlags
	fleetServersFlags
	MetricsPort *portFlag `env:"MINER_METRICS_PORT" placeholder:"PORT" help:"Port for Prometheus metrics, and for a live page at /; 0 is any that is free. Without it there are none."`
	MetricsHost *hostFlag `env:"MINER_METRICS_HOST" placeholder:"HOST" help:"Host name or address for the metrics; by default 127.0.0.1. Needs --metrics-port."`
	PoW         pow.Proof `name:"pow" env:"MINER_POW" enum:"${pows}" default:"poseidon2" placeholder:"NAME" help:"Proof of work, which must be the hub's: poseidon2, the default, or sha3-rsa."`
	hostsFlags
	dutyFlags
	gpuFlags `set:"gpu_default=auto"`
}

// hubTrustFlags say what a hub and its workers know each other by.
type hubTrustFlags struct {
	FleetTokenFile      string `name:"fleet-token-file" group:"Trust:" env:"MINER_FLEET_TOKEN_FILE" placeholder:"FILE" help:"File with the token that the hub knows its workers by: its own file fleet-token."`
	FleetCertSHA256File string `name:"fleet-cert-sha256-file" group:"Trust:" env:"MINER_FLEET_CERT_SHA256_FILE" placeholder:"FILE" help:"File with the SHA-256 of the hub's certificate: its own file fleet-cert-sha256."`
}

// Help is what --help says beyond the summary.
func (c *workCmd) Help() string {
	return "A hub is a miner that was started with --fleet-listen, or with --fleet as this one is. It logs the command that is to be run here, and wrote the two files into its --fleet-dir. " +
		"Files are read again before each connection.\n\n" +
		"Exit code 0: ended by a signal. 1: the hub refuses the token or this machine, or has another certificate, or no engine is left. " +
		"A hub that is out of reach is tried again for as long as it takes."
}

// Validate implements the parser's check of the command as a whole.
func (c *workCmd) Validate() error {
	if c.MetricsHost != nil && c.MetricsPort == nil {
		return errors.New("--metrics-host: needs --metrics-port, without which there are no metrics")
	}
	switch {
	case c.Hub == "" && len(c.Fleet) == 0:
		return errors.New("--hub: is needed, the address of the hub, or --fleet")
	case c.Hub != "" && len(c.Fleet) > 0:
		return errors.New("--hub, --fleet: only one of them may be given")
	case c.Hub == "" && c.FleetTokenFile != "":
		return errors.New("--fleet-token-file: needs --hub; for your own NATS server say --fleet-creds")
	case c.Hub == "" && c.FleetCertSHA256File != "":
		return errors.New("--fleet-cert-sha256-file: needs --hub; your own NATS server is known by the authorities of this system")
	case c.Hub != "" && c.FleetTokenFile == "":
		return errors.New("--fleet-token-file: is needed, the hub's own file fleet-token")
	case c.Hub != "" && c.FleetCertSHA256File == "":
		return errors.New("--fleet-cert-sha256-file: is needed, the hub's own file fleet-cert-sha256")
	}
	if err := c.fleetServersFlags.check(); err != nil {
		return err
	}
	return c.dutyFlags.check(c.PoW, c.gpuFlags, false)
}

// credentials returns what hub and worker know each other by. Files are read anew each time. No
// error quotes the token, nor a file that may be one.
func (f hubTrustFlags) credentials() (known broker.Credentials, err error) {
	if filepath.Base(f.FleetTokenFile) == broker.FingerprintFile {
		return broker.Credentials{}, fmt.Errorf("--fleet-token-file: %s: is the hub's file with the SHA-256 of its certificate: its token is in %s", f.FleetTokenFile, broker.TokenFile)
	}
	if known.Token, err = broker.ReadToken(f.FleetTokenFile); err != nil {
		return broker.Credentials{}, fmt.Errorf("--fleet-token-file: %w", err)
	}
	content, err := access.Read(f.FleetCertSHA256File, maxPin, 0) // which is public
	if err != nil {
		return broker.Credentials{}, fmt.Errorf("--fleet-cert-sha256-file: %w", err)
	}
	if line, err := access.Line(content); err == nil && line == known.Token {
		return broker.Credentials{}, fmt.Errorf("--fleet-cert-sha256-file: %s: is the file with the token: the SHA-256 of the hub's certificate is in its file %s", f.FleetCertSHA256File, broker.FingerprintFile)
	}
	pin, err := wire.ParseFingerprint(string(content))
	if err != nil {
		return broker.Credentials{}, fmt.Errorf("--fleet-cert-sha256-file: %s: %w", f.FleetCertSHA256File, err)
	}
	known.Fingerprint = broker.Fingerprint(pin)
	return known, nil
}

// check says what is wrong with the files that are read again.
func (c *workCmd) check() error {
	switch {
	case c.Hub != "":
		_, err := c.credentials()
		return err
	case c.FleetCreds != "":
		if err := broker.CheckCredentials(c.FleetCreds); err != nil {
			return fmt.Errorf("--fleet-creds: %w", err)
		}
	}
	return nil
}

// hub returns what the link to the hub has to know.
func (c *workCmd) hub(svc service) (config fleet.Config, err error) {
	config = fleet.Config{Fleet: fleetwire.DefaultFleet, Hub: string(c.Hub), Name: string(c.Name), Version: version(), PoW: string(c.PoW), Fatal: wrongSecrets, Log: svc.log}
	if config.Name == "" {
		name, err := os.Hostname()
		if err != nil {
			return fleet.Config{}, fmt.Errorf("--name: is needed, as this host does not say its name: %w", err)
		}
		config.Name = fleetwire.MachineName(name)
	}
	var dialer broker.Dialer
	if c.Hub != "" {
		access.WarnExposed(svc.log, c.FleetTokenFile, access.SecretMode)
		dialer, err = broker.ToHub(string(c.Hub), config.Fleet, c.credentials)
	} else {
		_, config.Fleet = c.urls()
		dialer, config.Hub, err = c.dialer(svc.log)
	}
	config.Dial = func(id string, options ...nats.Option) (*nats.Conn, error) { return dialer.Dial(id, options...) }
	return config, err
}

// Run mines until the context is done.
func (c *workCmd) Run(ctx context.Context, s streams) error {
	svc, err := c.service(c.PoW, s)
	if err != nil {
		return err
	}
	svc.limits.MaxConnections = monitorConnections
	svc.hosts = c.hosts(nil, svc.log, c.MetricsHost)
	svc.gpus = c.gpuFlags
	svc.check = c.check
	if err := c.check(); err != nil { // now somebody is there to set it right
		return err
	}
	config, err := c.hub(svc)
	if err != nil {
		return err
	}
	svc.worksFor = &config
	if svc.metrics, err = svc.listenForMetrics(ctx, c.MetricsHost, c.MetricsPort); err != nil {
		return err
	}
	if svc.metrics != nil {
		defer svc.metrics.Close() // again, if all goes well
	}
	svc.log.Info("mining for a hub", "hub", config.Hub, "name", config.Name, "pow", svc.proof, "engine", svc.engine.Name(), "kernel", svc.engine.Backend(),
		"workers", svc.workers, "priority", c.Priority, "affinity", cmp.Or(c.Affinity.String(), "any"),
		"throttle", c.Throttle.String(), "version", version())
	if err := svc.run(ctx); err != nil {
		return adviseOnHub(err)
	}
	svc.log.Info("shut down")
	return nil
}

// wrongSecrets reports whether an error of a connection stays until somebody sets the worker's files right.
func wrongSecrets(err error) bool {
	_, pinned := errors.AsType[*broker.PinError](err)
	return pinned || errors.Is(err, nats.ErrAuthorization)
}

// adviseOnHub says what to do about an error that ends work.
func adviseOnHub(err error) error {
	advice := ""
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		advice = "give the token in this hub's own file fleet-token with --fleet-token-file, or what your own NATS server knows this machine by with --fleet-creds"
	case errors.As(err, new(*broker.PinError)):
		advice = "if this is the hub that you mean, and it was set up anew, give its own file fleet-cert-sha256 with --fleet-cert-sha256-file; if not, another one answers at its address, and the token must not get there"
	case errors.As(err, new(*fleet.RefusedError)):
		advice = "the words are the hub's: it and this machine must be of one release, and have the same --pow"
	case errors.Is(err, mining.ErrNoEngine):
		advice = "see the log for what is wrong with them, and suspect the machine's memory or overclocking"
	default:
		return err
	}
	return fmt.Errorf("%w\n%s", err, advice)
}
