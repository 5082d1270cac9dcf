package simulate

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// maxPoolLine is the longest line that pools and miners take, its end included.
	maxPoolLine = 16 << 10
	// methodNotFound is the code of JSON-RPC for methods that nobody knows.
	methodNotFound = -32601
)

// poolSession is a connection of a miner's to a pool. The pool's mu guards it.
type poolSession struct {
	outbox
	conn net.Conn

	id, extranonce string
	loggedIn       bool
	keepsAlive     bool // as it is asked for
	jobs           givenJobs
	awaiting       map[string]time.Time // shares that wait for an answer, by the requests' ids
	held           []heldAnswer
	due            map[string]*time.Timer // what the miner has to do by some time

	mute     bool // nothing is sent to it any more
	poisoned bool // it was sent what must end it
	ours     bool // the pool ends it
}

// open reports whether the miner is to be told anything; the pool's mu is held.
func (s *poolSession) open() bool { return s.loggedIn && !s.mute && !s.poisoned && !s.ours }

// close ends a session; the pool's mu is held.
func (s *poolSession) close() {
	s.ours = true
	_ = s.conn.Close()
}

// serve accepts connections until the listener is closed.
func (p *Pool) serve() {
	p.power.Lock()
	defer p.power.Unlock()
	if !p.over {
		p.running.Go(func() { p.accept(p.listener) })
	}
}

// accept serves the connections that come to a listener.
func (p *Pool) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil { // it is closed
			return
		}
		p.running.Go(func() { p.talk(conn) })
	}
}

// closeTimeout is how long the pool may take to send its last answers.
const closeTimeout = time.Second

// Close ends the pool for good, once it has sent the answers that it owes. When it returns
// there is no connection any more.
func (p *Pool) Close() {
	p.power.Lock()
	defer p.power.Unlock()
	p.over = true
	p.mu.Lock()
	p.off = true
	for s := range p.sessions {
		if s.open() {
			s.ours = true
			s.send(nil)
		} else {
			s.close()
		}
	}
	p.mu.Unlock()
	_ = p.listener.Close()
	late := time.AfterFunc(closeTimeout, p.Drop)
	defer late.Stop()
	p.running.Wait()
}

// switchOff closes the listener and all connections, and waits for them; power is held.
func (p *Pool) switchOff() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.off = true
	p.mu.Unlock()
	p.Drop()
	p.running.Wait()
}

// Restart ends the pool, and starts another one at the same address, which knows nothing of
// sessions and jobs, and gives other jobs the same names.
func (p *Pool) Restart() error {
	p.power.Lock()
	defer p.power.Unlock()
	if p.over {
		return nil
	}
	p.switchOff()
	listener, err := p.listen()
	if err != nil { // as another took the port
		return err
	}
	p.mu.Lock()
	p.off = false
	p.startOver()
	p.mu.Unlock()
	p.listener = listener
	p.running.Go(func() { p.accept(listener) })
	return nil
}

// Drop closes all connections.
func (p *Pool) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sessions {
		s.close()
	}
}

// talk talks with a miner for as long as it is connected.
func (p *Pool) talk(conn net.Conn) {
	log := p.log.With("miner", conn.RemoteAddr().String())
	s := &poolSession{
		outbox: newOutbox(), conn: conn,
		awaiting: make(map[string]time.Time), due: make(map[string]*time.Timer),
	}
	p.mu.Lock()
	if p.off {
		s.close()
	}
	p.sessions[s] = struct{}{}
	p.mu.Unlock()
	gone := make(chan struct{})
	err := p.listenTo(s, gone)
	close(gone)
	_ = conn.Close()

	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
	for _, timer := range s.due {
		timer.Stop()
	}
	well := s.loggedIn && !s.ours && !s.poisoned && !s.mute && p.trouble == (PoolTrouble{})
	switch {
	case errors.Is(err, ErrMisbehaved):
		p.fail(err) // which ends the pool
	case well:
		p.tally.Left++
		if p.Stay {
			p.fail(misbehaviour("it leaves a session in which nothing was wrong: %v", err))
		}
	}
	log.Info("a miner is gone", "error", err)
}

// listenTo reads what a miner says until it is gone, or misbehaves.
func (p *Pool) listenTo(s *poolSession, gone <-chan struct{}) error {
	if err := s.conn.SetDeadline(time.Now().Add(readyTimeout)); err != nil {
		return err
	}
	plain := bufio.NewReader(s.conn)
	first, err := plain.Peek(1)
	if err != nil {
		return err
	}
	var conn net.Conn = peeked{s.conn, plain}
	if first[0] == 0x16 { // a handshake of TLS, and no JSON
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{p.identity.Certificate}, MinVersion: tls.VersionTLS12})
	}
	in := bufio.NewReaderSize(conn, maxPoolLine)
	m, err := readPoolLine(in)
	if err != nil {
		return fmt.Errorf("waiting for a login: %w", err)
	}
	answer, err := p.login(s, m)
	if err != nil {
		return err
	}
	if answer != nil { // and no session
		if _, err := conn.Write(answer); err != nil {
			return err
		}
		_, err := readPoolLine(in)
		if err == nil {
			return misbehaviour("it goes on after its login was refused")
		}
		return err
	}
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	p.running.Go(func() { p.write(s, conn, gone) })
	for {
		m, err := readPoolLine(in)
		if err != nil {
			return err
		}
		if err := p.handle(s, m); err != nil {
			return err
		}
	}
}

// peeked is a connection of which something was read already.
type peeked struct {
	net.Conn
	from *bufio.Reader
}

// Read implements [net.Conn].
func (c peeked) Read(b []byte) (int, error) { return c.from.Read(b) }

// readPoolLine reads a message.
func readPoolLine(from *bufio.Reader) (m poolMessage, err error) {
	text, err := from.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return m, misbehaviour("a line of more than %d bytes", maxPoolLine)
	}
	if err != nil {
		return m, err
	}
	return readPoolMessage(text[:len(text)-1])
}

// write sends what there is to be sent, until the miner is gone. An empty line closes the
// connection.
func (p *Pool) write(s *poolSession, conn net.Conn, gone <-chan struct{}) {
	for {
		select {
		case <-gone:
			return
		case <-s.more:
		}
		for _, text := range s.take() {
			if len(text) == 0 {
				_ = s.conn.Close()
				return
			}
			for i, piece := range p.wrong().pieces(text) {
				if i > 0 {
					select {
					case <-gone:
						return
					case <-time.After(pieceDelay):
					}
				}
				if err := s.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
					return
				}
				if _, err := conn.Write(piece); err != nil {
					_ = s.conn.Close() // as it does not read, or is gone
					return
				}
			}
		}
	}
}

// wrong returns what is wrong at the moment.
func (p *Pool) wrong() PoolTrouble {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trouble
}

// keptAlive has a miner owe the next sign of life; mu is held.
func (p *Pool) keptAlive(s *poolSession) {
	if s.keepsAlive {
		p.owes(s, "keepalived", p.Keepalive+p.Grace, "no keepalived for %s", p.Keepalive+p.Grace)
	}
}

// owes has it be misbehaviour unless the miner does something by some time; mu is held.
func (p *Pool) owes(s *poolSession, what string, in time.Duration, format string, args ...any) {
	if timer, ok := s.due[what]; ok {
		timer.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(in, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, there := p.sessions[s]; there && s.due[what] == timer && !s.ours {
			p.fail(misbehaviour(format, args...))
		}
	})
	s.due[what] = timer
}

// settled reports whether a miner owed something, which it has done; mu is held.
func (s *poolSession) settled(what string) bool {
	timer, ok := s.due[what]
	if ok {
		timer.Stop()
		delete(s.due, what)
	}
	return ok
}

// handle does what a miner asks for.
func (p *Pool) handle(s *poolSession, m poolMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case s.ours: // and what it says is of no interest
		return nil
	case m.method == "" && !s.settled("answer "+canonical(m.id)):
		return misbehaviour("an answer to %s, which was not asked", m.id)
	case m.method == "" && m.code != methodNotFound:
		return misbehaviour("an unknown method was answered with code %d", m.code)
	case m.method == "":
		p.tally.Answers++
		return nil
	case m.method == "submit":
		return p.submit(s, m)
	case m.method == "keepalived":
		return p.keepalive(s, m)
	}
	return misbehaviour("it says %q", m.method)
}

// keepalive answers a sign of life; mu is held.
func (p *Pool) keepalive(s *poolSession, m poolMessage) error {
	params, err := m.texts([]string{"id"})
	switch {
	case err != nil:
		return err
	case params["id"] != s.id:
		return misbehaviour("keepalived of another session, %q", params["id"])
	case !s.keepsAlive && !s.mute:
		return misbehaviour("keepalived, which was not among the extensions")
	}
	p.tally.Keepalives++
	p.keptAlive(s)
	if !s.mute {
		status := []string{"KEEPALIVED", "OK"}[p.tally.Keepalives%2]
		odd := p.oddly()
		s.send(line(odd, member{"id", m.id}, member{"result", object(odd, member{"status", text(odd, status)})}))
	}
	return nil
}

// poison sends a miner what must end its session, and keeps the time for it; mu is held.
func (p *Pool) poison(s *poolSession, name string, text []byte) {
	if !s.open() {
		return
	}
	s.send(text)
	s.poisoned = true
	p.owes(s, "leave", p.Grace, "it does not end a session after this: %s", name)
}
