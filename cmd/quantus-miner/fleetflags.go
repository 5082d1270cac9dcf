package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
)

// The default ports of a hub, and of NATS servers.
const (
	hubPort  = 9835
	natsPort = 4222
)

// fleetServersFlags say on which NATS servers of somebody's own a fleet speaks.
type fleetServersFlags struct {
	Fleet      []serverFlag `name:"fleet" group:"Fleet:" env:"MINER_FLEET" placeholder:"URL" help:"Your own NATS server, as nats://HOST:PORT or tls://HOST:PORT, in place of the hub's; a cluster is several of them. With /NAME behind it for one of several fleets."`
	FleetCreds string       `name:"fleet-creds" group:"Fleet:" env:"MINER_FLEET_CREDS" placeholder:"FILE" help:"File with what that server knows us by: NATS's own credentials, or one line user:password."`
}

// check says what is wrong with the flags together.
func (f fleetServersFlags) check() error {
	if f.FleetCreds != "" && len(f.Fleet) == 0 {
		return errors.New("--fleet-creds: needs --fleet, whose credentials they are")
	}
	for _, server := range f.Fleet {
		if server.fleet != f.Fleet[0].fleet {
			return fmt.Errorf("--fleet: must name one fleet, and names %q and %q", f.Fleet[0].fleet, server.fleet)
		}
	}
	return nil
}

// urls returns the servers as NATS takes them, and the fleet's name.
func (f fleetServersFlags) urls() (urls []string, fleet string) {
	for _, server := range f.Fleet {
		urls = append(urls, server.scheme+"://"+server.address)
	}
	return urls, f.Fleet[0].fleet
}

// plainText reports whether credentials may cross a network without encryption, as far as
// the URLs say.
func (f fleetServersFlags) plainText() bool {
	for _, server := range f.Fleet {
		host, _, _ := net.SplitHostPort(server.address)
		ip := net.ParseIP(host)
		if server.scheme == "nats" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return true
		}
	}
	return false
}

// hubFlags have a miner hand out its work to other machines as well.
type hubFlags struct {
	FleetListen *hubAddressFlag `name:"fleet-listen" group:"Fleet:" env:"MINER_FLEET_LISTEN" placeholder:"HOST:PORT" help:"Have other machines mine as well, those that run quantus-miner work: the address that they come to. A port alone is for this machine; without a port ${hub_port}."`
	FleetDir    string          `name:"fleet-dir" group:"Fleet:" env:"MINER_FLEET_DIR" placeholder:"DIR" nofile:"" help:"Directory for the token and the certificate that workers need, which are made when they are not there."`
	fleetProgramFlag
	fleetServersFlags
}

// fleetProgramFlag says where the program is that the hub's own server runs in.
type fleetProgramFlag struct {
	FleetProgram string `name:"fleet-program" group:"Fleet:" env:"MINER_FLEET_PROGRAM" placeholder:"FILE" help:"The program quantus-miner-nats, the server that workers come to. By default the one beside this program, or the one in PATH."`
}

// exists reports whether there is to be a fleet.
func (f hubFlags) exists() bool { return f.FleetListen != nil || len(f.Fleet) > 0 }

// check says what is wrong with the flags together.
func (f hubFlags) check() error {
	switch {
	case f.FleetListen != nil && len(f.Fleet) > 0:
		return errors.New("--fleet-listen, --fleet: only one of them may be given: a server of the hub's own, or somebody else's")
	case f.FleetListen != nil && f.FleetDir == "":
		return errors.New("--fleet-listen: needs --fleet-dir, a directory for the token and the certificate that workers need")
	case f.FleetListen == nil && f.FleetDir != "":
		return errors.New("--fleet-dir: needs --fleet-listen, the address that workers come to")
	}
	return f.fleetServersFlags.check()
}

// serverFlag is the URL of a NATS server, and of a fleet there.
type serverFlag struct {
	scheme, address string
	fleet           string
}

// UnmarshalText implements [encoding.TextUnmarshaler]. No error quotes the text: there may be a
// password in it.
func (f *serverFlag) UnmarshalText(text []byte) error {
	const form = "must be nats://HOST:PORT or tls://HOST:PORT, with /NAME behind it for one of several fleets"
	given := string(bytes.TrimSpace(text)) // of a list, perhaps
	if strings.Contains(given, "@") {
		return errors.New("must not have a user or a password in it, which would be in the log: give them with --fleet-creds")
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New(form)
	}
	address, err := hostPort(u.Host, natsPort)
	if err != nil {
		return errors.New(form)
	}
	fleet := strings.Trim(u.Path, "/")
	if fleet == "" {
		fleet = wire.DefaultFleet
	}
	if _, err := wire.NewSubjects(fleet); err != nil {
		return err
	}
	*f = serverFlag{u.Scheme, address, fleet}
	return nil
}

// String returns the flag as it is given.
func (f serverFlag) String() string {
	text := f.scheme + "://" + f.address
	if f.fleet != wire.DefaultFleet {
		text += "/" + f.fleet
	}
	return text
}

// MarshalText implements [encoding.TextMarshaler], for the log.
func (f serverFlag) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// hostPort returns host:port of what may miss the port. Port 0 is an error.
func hostPort(text string, port uint16) (string, error) {
	host, number, err := splitHostPort(text, port)
	if err == nil && number == 0 {
		err = errors.New("port 0")
	}
	return net.JoinHostPort(host, strconv.Itoa(int(number))), err
}

// splitHostPort returns the host and the port of what may miss the port.
func splitHostPort(text string, defaultPort uint16) (host string, port uint16, err error) {
	var name nodeFlag // which has its own default
	if h, p, split := net.SplitHostPort(text); split == nil {
		number, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return "", 0, err
		}
		host, port = h, uint16(number)
	} else if err := name.UnmarshalText([]byte(text)); err != nil {
		return "", 0, err
	} else {
		host, _, _ = net.SplitHostPort(string(name))
		port = defaultPort
	}
	var valid hostFlag
	err = valid.UnmarshalText([]byte(host))
	return string(valid), port, err
}

// hubFlag is a hub's host:port.
type hubFlag string

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *hubFlag) UnmarshalText(text []byte) error {
	address, err := hostPort(string(bytes.TrimSpace(text)), hubPort)
	if err != nil {
		return fmt.Errorf("must be a host name or an IP address with a port from 1 to 65535, such as hub.example:%d or [::1]:%d", hubPort, hubPort)
	}
	*f = hubFlag(address)
	return nil
}

// hubAddressFlag is where a hub listens.
type hubAddressFlag struct {
	host hostFlag
	port uint16
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *hubAddressFlag) UnmarshalText(text []byte) error {
	if port, err := strconv.ParseUint(string(text), 10, 16); err == nil {
		*f = hubAddressFlag{"127.0.0.1", uint16(port)}
		return nil
	}
	host, port, err := splitHostPort(string(text), hubPort)
	if _, number := strconv.ParseUint(host, 10, 64); err != nil || number == nil { // of a port that there is not
		return fmt.Errorf("must be an address with a port from 0 (any that is free) to 65535: 0.0.0.0:%d or [::]:%d for every interface, 127.0.0.1:%d for this machine alone", hubPort, hubPort, hubPort)
	}
	*f = hubAddressFlag{hostFlag(host), port}
	return nil
}

// String returns the flag as it is given.
func (f hubAddressFlag) String() string {
	return net.JoinHostPort(string(f.host), strconv.Itoa(int(f.port)))
}

// machineFlag is what a machine is called in its fleet.
type machineFlag string

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *machineFlag) UnmarshalText(text []byte) error {
	name := string(text)
	if name == "" || wire.MachineName(name) != name {
		return fmt.Errorf("must be 1 to %d letters, digits, dots, hyphens and underscores, with none of dots and hyphens at either end", wire.MaxName)
	}
	*f = machineFlag(name)
	return nil
}
