package workers

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// gate is where a worker waits while it is suspended. The zero value is open.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // is closed when the gate opens; nil while it is open
}

// shut closes the gate until open is called.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		g.closed = make(chan struct{})
	}
}

// open opens it.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		close(g.closed)
		g.closed = nil
	}
}

// isOpen reports whether it is.
func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed == nil
}

// wait waits until the gate is open, and reports whether it is: not if the channel was first.
func (g *gate) wait(enough <-chan struct{}) bool {
	g.mu.Lock()
	closed := g.closed
	g.mu.Unlock()
	if closed == nil {
		return true
	}
	select {
	case <-closed:
		return true
	case <-enough:
		return false
	}
}

// errCut is what a worker without a network meets.
var errCut = errors.New("the line is cut")

// dialTime is how long a connection may take to be made.
const dialTime = 2 * time.Second

// Dial implements nats.CustomDialer.
func (w *worker) Dial(network, address string) (net.Conn, error) {
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	if cut || !w.gate.isOpen() {
		return nil, errCut
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	dial := w.fleet.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	own := &conn{Conn: c, gate: &w.gate, closed: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		_ = c.Close() // it is of no use
		return nil, errCut
	}
	w.line = own
	return own, nil
}

// conn is a connection of a worker, on which nothing moves while that is suspended. What is
// written meanwhile waits, as in the buffer of an operating system.
type conn struct {
	net.Conn
	gate   *gate
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	waiting []byte // what waits for the gate to open; nil for nothing
}

// maxWaiting is how many bytes may wait.
const maxWaiting = 1 << 20

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.gate.wait(c.closed) {
		return 0, net.ErrClosed
	}
	return n, err
}

// Write implements [net.Conn].
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.waiting)+len(b) > maxWaiting:
		return 0, os.ErrDeadlineExceeded
	case c.waiting != nil:
		c.waiting = append(c.waiting, b...)
		return len(b), nil
	case c.gate.isOpen():
		return c.Conn.Write(b)
	}
	c.waiting = append([]byte{}, b...)
	go c.flush()
	return len(b), nil
}

// flush writes what waits as soon as the gate is open. It is a goroutine of its own.
func (c *conn) flush() {
	if !c.gate.wait(c.closed) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.Conn.Write(c.waiting); err != nil {
		_ = c.Conn.Close() // which tells those that write
	}
	c.waiting = nil
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// lose ends the worker's connection, and has it make no other until it is mended.
func (w *worker) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	if w.line != nil {
		_ = w.line.Close() // which is all that is wanted
	}
}

// mend lets the worker connect again.
func (w *worker) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}
