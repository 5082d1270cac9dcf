package broker

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
)

// What others can make the server hold, and for how long.
const (
	// MaxWorkers is how many workers may be connected.
	MaxWorkers = 4096
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

// hubUser is the user's name of the hub's own connection, which is no instance id.
const hubUser = "hub"

// Config is what a broker has to know.
type Config struct {
	// Host and Port are where to listen; port 0 is any that is free.
	Host string
	Port uint16
	// Identity is what hub and workers know each other by.
	Identity Identity
	// Fleet is the fleet's name.
	Fleet string
	// Log is where the server tells of who was refused, and of what goes wrong.
	Log *slog.Logger

	connections int // how many there may be; 0 for a fleet's
}

// Broker is a NATS server in this process.
type Broker struct {
	server   *server.Server
	subjects wire.Subjects
	password string // the hub's
}

// Start starts a broker, which is ready then.
func Start(c Config) (*Broker, error) {
	subjects, err := wire.NewSubjects(c.Fleet)
	if err != nil {
		return nil, err
	}
	b := &Broker{subjects: subjects, password: rand.Text()}
	log := &natsLog{log: c.Log}
	port := int(c.Port)
	if port == 0 {
		port = server.RANDOM_PORT
	}
	b.server, err = server.NewServer(&server.Options{
		Host: c.Host,
		Port: port,

		NoSigs:          true,
		NoLog:           true,
		NoSystemAccount: true,

		TLSConfig:         serverTLS(c.Identity.Certificate, network(c.Host)),
		TLSHandshakeFirst: true, // so that strangers are told nothing
		TLSTimeout:        admission.Seconds(),
		AuthTimeout:       admission.Seconds(),

		CustomClientAuthentication: &doorman{token: sha256.Sum256([]byte(c.Identity.Token)), password: sha256.Sum256([]byte(b.password)), subjects: subjects, log: c.Log},

		MaxConn:          cmp.Or(c.connections, MaxWorkers+spareConnections),
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
	b.server.SetLoggerV2(log, false, false, false)
	b.server.Start() // which listens before it returns
	err = log.gaveUp()
	if err == nil && !b.server.ReadyForConnections(startTime) {
		err = errors.New("the NATS server does not start")
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
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

// Address returns where the broker listens.
func (b *Broker) Address() net.Addr { return b.server.Addr() }

// Connect returns the hub's own connection, which does not go through the network.
func (b *Broker) Connect(options ...nats.Option) (*nats.Conn, error) {
	own := []nats.Option{
		nats.InProcessServer(b.server),
		nats.UserInfo(hubUser, b.password),
		nats.CustomInboxPrefix(b.subjects.Inbox(wire.NewID())),
	}
	conn, err := nats.Connect("", append(own, options...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to this process's own NATS server: %w", err)
	}
	return conn, nil
}

// Close closes all connections and ends the server.
func (b *Broker) Close() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
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
	case user == hubUser:
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
	remote := "this process"
	if address := c.RemoteAddress(); address != nil {
		remote = address.String()
	}
	d.log.Warn("a stranger was refused by the fleet", "remote", remote, "reason", why)
	return false
}
