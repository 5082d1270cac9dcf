package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/host/program"
)

// MaxWorkers is how many workers may be connected.
const MaxWorkers = 4096

// Times of the server's process.
const (
	// firstRetry is how long after its end it is started again, with a fleet at a standstill. It
	// grows fourfold each time, up to lastRetry, and shrinks again when the process has run for
	// steady.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
	steady     = time.Minute
	// pingInterval and maxPings are how it is noticed that it hangs.
	pingInterval = 5 * time.Second
	maxPings     = 2
	// patience is how long it may take to let the hub in, and to take what it is sent.
	patience = 10 * time.Second
)

// Config is what a broker has to know.
type Config struct {
	// Program is the path of quantus-miner-nats.
	Program string
	// Host and Port are where to listen; port 0 is any that is free.
	Host string
	Port uint16
	// Identity is what hub and workers know each other by.
	Identity Identity
	// Fleet is the fleet's name.
	Fleet string
	// Log is where the server tells of who was refused, and of what goes wrong.
	Log *slog.Logger
}

// FindProgram returns the path of quantus-miner-nats: the given one, or the one beside this
// program, or the one in PATH.
func FindProgram(path string) (string, error) {
	found, err := program.Find("quantus-miner-nats", path)
	if err != nil {
		return "", fmt.Errorf("looking for the fleet's NATS server, which every release has beside quantus-miner: %w", err)
	}
	return found, nil
}

// Broker is a NATS server in a process of its own, which is started again when it ends.
type Broker struct {
	program  string
	setup    Setup // with the port that is listened on
	address  net.Addr
	subjects wire.Subjects
	log      *slog.Logger

	end   context.CancelFunc
	ended chan struct{} // closed when there is no process any more

	mu      sync.Mutex
	waiting *process // for the hub to connect; nil for none
}

// Start starts a broker, which is ready then.
func Start(c Config) (*Broker, error) {
	subjects, err := wire.NewSubjects(c.Fleet)
	if err != nil {
		return nil, err
	}
	setup := Setup{
		Wire: SetupVersion, Host: c.Host, Port: c.Port, Fleet: c.Fleet,
		Token: c.Identity.Token, Password: rand.Text(), Certificate: c.Identity.Certificate.Certificate,
	}
	if setup.Key, err = keyOf(c.Identity.Certificate); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	b := &Broker{program: c.Program, setup: setup, subjects: subjects, log: c.Log, end: end, ended: make(chan struct{})}
	p, err := start(ctx, b.program, b.setup, b.log)
	if err != nil {
		end()
		return nil, err
	}
	b.address, b.setup.Port = net.TCPAddrFromAddrPort(p.address), p.address.Port()
	b.waiting = p
	go b.run(ctx, p)
	return b, nil
}

// keyOf returns the key of a certificate in PKCS #8.
func keyOf(c tls.Certificate) ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("the certificate's key: %w", err)
	}
	return key, nil
}

// run sees to it that there is a process, until ctx is done. The first is running.
func (b *Broker) run(ctx context.Context, p *process) {
	defer close(b.ended)
	for retry := firstRetry; ; {
		began := time.Now()
		err := p.await(ctx)
		level := slog.LevelError
		if p.ProcessState.Success() { // the hub has closed its connection, and may have told why
			level = slog.LevelDebug
		}
		if time.Since(began) >= steady {
			retry = firstRetry
		}
		for p = nil; p == nil; {
			if ctx.Err() != nil {
				return
			}
			b.log.Log(ctx, level, "THE FLEET'S NATS SERVER HAS ENDED, and is started again; until then no machine reaches the hub", "error", err, "retry_delay", retry)
			select {
			case <-time.After(retry):
			case <-ctx.Done():
				return
			}
			retry = min(4*retry, lastRetry)
			level = slog.LevelError
			p, err = start(ctx, b.program, b.setup, b.log)
		}
		b.mu.Lock()
		b.waiting = p
		b.mu.Unlock()
		b.log.Info("the fleet's NATS server is back", "address", b.address)
	}
}

// Address returns where the broker listens.
func (b *Broker) Address() net.Addr { return b.address }

// Connect returns the hub's own connection, which does not go through the network. When the
// server's process has ended it is made again with the next one, if the options want that.
func (b *Broker) Connect(options ...nats.Option) (*nats.Conn, error) {
	own := []nats.Option{
		nats.InProcessServer(connector{b}),
		nats.UserInfo(HubUser, b.setup.Password),
		nats.CustomInboxPrefix(b.subjects.Inbox(wire.NewID())),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPings), nats.Timeout(patience), nats.FlusherTimeout(patience),
	}
	conn, err := nats.Connect("", append(own, options...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to the fleet's NATS server: %w", err)
	}
	return conn, nil
}

// errNone says that the hub has to wait for its connection.
var errNone = errors.New("its process is not running yet")

// connector makes the hub's connections.
type connector struct{ broker *Broker }

// InProcessConn implements [nats.InProcessConnProvider]: a process has one connection, and the end
// of either is the end of the other.
func (c connector) InProcessConn() (net.Conn, error) {
	b := c.broker
	b.mu.Lock()
	p := b.waiting
	b.waiting = nil
	b.mu.Unlock()
	if p == nil {
		return nil, errNone
	}
	return p.connect()
}

// Close closes all connections and ends the server.
func (b *Broker) Close() {
	b.end()
	<-b.ended
}
