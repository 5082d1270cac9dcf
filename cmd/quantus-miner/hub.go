package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker"
	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
)

// fleetHub is what a hub's connection is made by, and what workers reach it by.
type fleetHub struct {
	fleet   string
	address string
	broker  *broker.Broker // nil with somebody's own servers
	dial    func() (*nats.Conn, error)
	log     *slog.Logger
}

// open returns the fleet that the flags ask for, or nil if they ask for none, and tells how
// machines join it. It is to be closed.
func (f hubFlags) open(proof pow.Proof, log *slog.Logger) (*fleetHub, error) {
	switch {
	case f.FleetListen != nil:
		return f.listen(proof, log)
	case len(f.Fleet) > 0:
		return f.join(log)
	}
	return nil, nil
}

// listen starts a NATS server.
func (f hubFlags) listen(proof pow.Proof, log *slog.Logger) (*fleetHub, error) {
	id, err := broker.OpenIdentity(f.FleetDir)
	if err != nil {
		return nil, fmt.Errorf("--fleet-dir: %w", err)
	}
	access.WarnExposed(log, filepath.Join(f.FleetDir, broker.TokenFile), access.SecretMode)
	program, err := broker.FindProgram(f.FleetProgram)
	if err != nil {
		return nil, fmt.Errorf("--fleet-program: %w", err)
	}
	b, err := broker.Start(broker.Config{Program: program, Host: string(f.FleetListen.host), Port: f.FleetListen.port, Identity: id, Fleet: wire.DefaultFleet, Log: log})
	if err != nil {
		return nil, fmt.Errorf("listening for workers on %s (choose another with --fleet-listen): %w", f.FleetListen, err)
	}
	address := reachable(b.Address())
	log.Info("machines join the fleet with this command, and with copies of these files", "command", workCommand(address, proof),
		"files", []string{filepath.Join(f.FleetDir, broker.TokenFile), filepath.Join(f.FleetDir, broker.FingerprintFile)})
	options := f.options(log)
	return &fleetHub{fleet: wire.DefaultFleet, address: address, broker: b, dial: func() (*nats.Conn, error) { return b.Connect(options...) }, log: log}, nil
}

// reachable returns how other machines reach an address that is listened on, as far as this one knows.
func reachable(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return address.String()
	}
	name, err := os.Hostname()
	if err != nil {
		name = "HOST"
	}
	return net.JoinHostPort(name, fmt.Sprint(tcp.Port))
}

// workCommand returns the command that joins a fleet.
func workCommand(address string, proof pow.Proof) string {
	command := fmt.Sprintf("quantus-miner work --hub %s --fleet-token-file %s --fleet-cert-sha256-file %s", address, broker.TokenFile, broker.FingerprintFile)
	if proof != pow.Poseidon2 { // the default
		command += " --pow " + string(proof)
	}
	return command
}

// join uses somebody's own NATS servers.
func (f hubFlags) join(log *slog.Logger) (*fleetHub, error) {
	dialer, address, err := f.dialer(log)
	if err != nil {
		return nil, err
	}
	_, fleet := f.urls()
	options := append(f.options(log.With("servers", f.Fleet)),
		nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(time.Second), nats.ReconnectJitter(time.Second, time.Second),
		nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(2))
	return &fleetHub{fleet: fleet, address: address, dial: func() (*nats.Conn, error) { return dialer.Dial(wire.NewID(), options...) }, log: log}, nil
}

// options are those of a hub's connection, which is made again for as long as it takes.
func (f hubFlags) options(log *slog.Logger) []nats.Option {
	told := func(what string) nats.ConnErrHandler {
		return func(_ *nats.Conn, err error) {
			if err != nil { // it was not closed by us
				log.Warn(what, "reason", err)
			}
		}
	}
	objection := told("the fleet's NATS server has an objection")
	return []nats.Option{
		nats.Name("quantus-miner hub"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectBufSize(-1), // what is late is said anew
		nats.DisconnectErrHandler(told("connection to the fleet's NATS server lost")),
		nats.ReconnectErrHandler(told("cannot connect to the fleet's NATS server")),
		nats.ErrorHandler(func(conn *nats.Conn, _ *nats.Subscription, err error) { objection(conn, err) }),
	}
}

// dialer returns what connects to somebody's own NATS servers, and what these are called.
func (f fleetServersFlags) dialer(log *slog.Logger) (dialer broker.Dialer, address string, err error) {
	if f.FleetCreds != "" {
		if err := broker.CheckCredentials(f.FleetCreds); err != nil {
			return broker.Dialer{}, "", fmt.Errorf("--fleet-creds: %w", err)
		}
		access.WarnExposed(log, f.FleetCreds, access.SecretMode)
		if f.plainText() {
			log.Warn("credentials may cross the network in plain text: unless the NATS server asks for TLS, say tls:// in --fleet")
		}
	}
	urls, fleet := f.urls()
	if dialer, err = broker.ToServers(urls, fleet, f.FleetCreds); err != nil {
		return broker.Dialer{}, "", fmt.Errorf("--fleet: %w", err)
	}
	return dialer, f.Fleet[0].String(), nil
}

// connect returns the hub of a service's miner, and its connection, which may not be there yet.
func (f *fleetHub) connect(s service, miner *mining.Miner) (h *hub.Hub, conn *nats.Conn, err error) {
	if conn, err = f.dial(); err != nil {
		return nil, nil, err
	}
	h, err = hub.New(conn, miner, hub.Config{Fleet: f.fleet, PoW: string(s.proof), Reference: s.engine, Address: f.address, Log: f.log})
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return h, conn, nil
}

// runHub runs a hub once it has its connection, until ctx is done.
func runHub(ctx context.Context, h *hub.Hub, conn *nats.Conn) error {
	connected := conn.StatusChanged(nats.CONNECTED)
	if !conn.IsConnected() {
		select {
		case <-connected:
		case <-ctx.Done():
			return nil
		}
	}
	conn.RemoveStatusListener(connected)
	return h.Run(ctx)
}

// close ends the server.
func (f *fleetHub) close() {
	if f != nil && f.broker != nil {
		f.broker.Close()
	}
}
