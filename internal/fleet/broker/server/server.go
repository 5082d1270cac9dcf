// Package server is the NATS server of a hub, and the program quantus-miner-nats that it runs in:
// a process of its own, as what it is made of would double the size of the miner, whoever has a
// fleet. Package broker starts it.
//
// Who is let in and which limits there are is in server.go, what the program does in serve.go.
package server

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/time/rate"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
)

// What others can make the server hold, and for how long.
const (
	// spareConnections are those of the hub, and of those who have not said yet who they are.
	spareConnections = 128
	// handshakesPerSecond is how many handshakes of TLS are made a second: a fleet that comes
	// back all at once is through in seconds, and a flood costs a part of one core.
	handshakesPerSecond = 1000
	// admission is how long a connection may take to say who it is, after as long for TLS.
	admission = 2 * time.Second
	// maxPending is how many bytes may wait for a client that does not read. The hub's own
	// connection is one: this is what 4,096 workers report in five seconds and more.
	maxPending = 16 << 20
	// writeDeadline is how long a client may take to take what is sent.
	writeDeadline = 5 * time.Second
	// maxSubscriptions is how many a connection may have; a worker needs three.
	maxSubscriptions = 32
	// A connection that is dead without a word is closed after pings that had no answer. Its
	// worker is taken for gone long before.
	pingInterval = 10 * time.Second
	maxPings     = 2
)

// startTime is how long the server may take to be ready, which it is in milliseconds.
const startTime = 10 * time.Second

// natsServer is a NATS server that listens.
type natsServer struct{ *server.Server }

// start starts a server, which listens then. There may be so many connections; 0 stands for those
// of a fleet.
func start(setup broker.Setup, connections int, log *slog.Logger) (*natsServer, error) {
	subjects, err := wire.NewSubjects(setup.Fleet)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(setup.Key)
	if err != nil {
		return nil, fmt.Errorf("the certificate's key: %w", err)
	}
	certificate := tls.Certificate{Certificate: setup.Certificate, PrivateKey: key}
	told := &natsLog{log: log}
	port := int(setup.Port)
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		Host: setup.Host,
		Port: port,

		NoSigs:          true,
		NoLog:           true,
		NoSystemAccount: true,

		TLSConfig:         serverTLS(certificate, network(setup.Host)),
		TLSHandshakeFirst: true, // so that strangers are told nothing
		TLSTimeout:        admission.Seconds(),
		AuthTimeout:       admission.Seconds(),

		CustomClientAuthentication: &doorman{token: sha256.Sum256([]byte(setup.Token)), password: sha256.Sum256([]byte(setup.Password)), subjects: subjects, log: log},

		MaxConn:          cmp.Or(connections, broker.MaxWorkers+spareConnections),
		MaxPayload:       wire.MaxMessage,
		MaxPending:       maxPending,
		MaxSubs:          maxSubscriptions,
		WriteDeadline:    writeDeadline,
		PingInterval:     pingInterval,
		MaxPingsOut:      maxPings,
		MaxClosedClients: 16,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up a NATS server: %w", err)
	}
	s.SetLoggerV2(told, false, false, false)
	s.Start() // which listens before it returns
	err = told.gaveUp()
	if err == nil && !s.ReadyForConnections(startTime) {
		err = errors.New("the NATS server does not start")
	}
	started := &natsServer{s}
	if err != nil {
		started.close()
		return nil, err
	}
	return started, nil
}

// errFlood ends a connection before it costs a signature.
var errFlood = errors.New("too many connections a second")

// errOtherFamily ends a connection by IPv6 to a server that is to listen on an address of IPv4.
var errOtherFamily = errors.New("this server is for IPv4 alone")

// network returns tcp4 for an address of IPv4 and tcp for others. NATS listens on 0.0.0.0 by IPv6 as
// well, past a firewall for IPv4.
func network(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// serverTLS returns the server's configuration of TLS, for connections by a network.
func serverTLS(certificate tls.Certificate, network string) *tls.Config {
	handshakes := rate.NewLimiter(handshakesPerSecond, handshakesPerSecond)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if remote, ok := hello.Conn.RemoteAddr().(*net.TCPAddr); ok && network == "tcp4" && remote.IP.To4() == nil {
				return nil, errOtherFamily
			}
			if !handshakes.Allow() {
				return nil, errFlood
			}
			return nil, nil // that is, this one
		},
	}
}

// close closes all connections and ends the server.
func (s *natsServer) close() {
	s.Shutdown()
	s.WaitForShutdown()
}

// doorman lets the hub and its workers in, each with the subjects that it may use.
type doorman struct {
	token, password [sha256.Size]byte // hashed, so that comparing takes the same time for any
	subjects        wire.Subjects
	log             *slog.Logger
}

// Check implements [server.Authentication].
func (d *doorman) Check(c server.ClientAuthentication) bool {
	user, password := c.GetOpts().Username, sha256.Sum256([]byte(c.GetOpts().Password))
	switch {
	case c.Kind() != server.CLIENT:
		return d.refuse(c, "it is no client")
	case user == broker.HubUser:
		if subtle.ConstantTimeCompare(password[:], d.password[:]) != 1 {
			return d.refuse(c, "it takes itself for the hub")
		}
		d.admit(c, []string{d.subjects.HubMay()}, []string{d.subjects.HubMay()})
		return true
	case subtle.ConstantTimeCompare(password[:], d.token[:]) != 1:
		return d.refuse(c, "it does not know the fleet's token")
	case !wire.ValidID(user):
		return d.refuse(c, "its user name is no instance id")
	}
	d.admit(c, d.subjects.WorkerMayPublish(user), d.subjects.WorkerMaySubscribe(user))
	return true
}

// admit says which subjects a client may use.
func (d *doorman) admit(c server.ClientAuthentication, publish, subscribe []string) {
	c.RegisterUser(&server.User{
		Username: c.GetOpts().Username,
		Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: publish},
			Subscribe: &server.SubjectPermission{Allow: subscribe},
		},
	})
}

// refuse tells of a client that is not let in.
func (d *doorman) refuse(c server.ClientAuthentication, why string) bool {
	remote := "the hub"
	if address := c.RemoteAddress(); address != nil {
		remote = address.String()
	}
	d.log.Warn("a stranger was refused by the fleet", "remote", remote, "reason", why)
	return false
}
