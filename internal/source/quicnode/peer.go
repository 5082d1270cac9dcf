package quicnode

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
)

// The delay before a connection is tried again doubles from the least to the most. It is
// the least again after a session with a job. Each delay is longer or shorter by up to
// a fifth, so that the miners of a node that was restarted do not come at once.
const (
	minRetryDelay = time.Second
	maxRetryDelay = 30 * time.Second
	jitter        = 0.2
)

const (
	// firstJobTimeout is how long a node may have no job after it was connected. Then the
	// link connects to the next node as well, and logs that this one is waited for.
	firstJobTimeout = 5 * time.Second
	// writeTimeout is how long it may take to write a frame. A node that reads nothing
	// for so long is treated as lost.
	writeTimeout = 15 * time.Second
	// linger is how long a connection stays open after the last frame was written, so
	// that it arrives.
	linger = 100 * time.Millisecond
	// maxUnsent is how many results may wait to be written.
	maxUnsent = 16
)

// peer keeps a connection to one node. Its goroutine connects, reads jobs, and connects
// again, until letGo is called. It sends events to the link; all else of it belongs to
// the link's goroutine.
type peer struct {
	node   Node
	rank   int // among the nodes
	letGo  context.CancelFunc
	dial   func(ctx context.Context, address string, pin wire.Fingerprint) (conn, error)
	events chan<- event

	// The link's view of it:

	session *session     // nil if there is no connection
	job     *wire.NewJob // the last one of the session, or nil
	reason  error        // why there is no connection
	retry   time.Time    // when there may be one
}

// session is a connection to a node, from its handshake to its end.
type session struct {
	conn    conn
	results chan result // what is to be written
}

// result is a message that a search has led to.
type result struct {
	message wire.JobResult
	search  string    // its name
	found   time.Time // when the winner was
}

// event is what a peer sends to the link.
type event struct {
	peer *peer
	kind eventKind

	session  *session      // connected: the new one
	job      wire.NewJob   // newJob: what the node wants searched
	received time.Time     // newJob: when its frame was complete
	sent     result        // sent: what was written
	after    time.Duration // sent: since the winner was found
	err      error         // lost: why
	retry    time.Time     // lost: when a connection is tried again
}

type eventKind int

const (
	connected eventKind = iota // there is a session
	newJob                     // the node wants something searched
	silent                     // the node has had no job for a while
	sent                       // a result was written
	lost                       // an attempt to connect has failed, or the session is over
)

// run keeps up a connection to the node until ctx is done.
func (p *peer) run(ctx context.Context) {
	delay := minRetryDelay
	for {
		hadJob, err := p.runSession(ctx)
		if hadJob {
			delay = minRetryDelay
		}
		wait := time.Duration(float64(delay) * (1 - jitter + 2*jitter*rand.Float64()))
		delay = min(2*delay, maxRetryDelay)
		if errors.Is(err, errSuspended) { // which says nothing about the node
			wait = 0
		}
		p.emit(ctx, event{kind: lost, err: err, retry: time.Now().Add(wait)})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// emit sends an event to the link, unless the link has let the peer go.
func (p *peer) emit(ctx context.Context, e event) {
	e.peer = p
	select {
	case p.events <- e:
	case <-ctx.Done():
	}
}

// runSession connects to the node, and returns when the session is over. It reports
// whether there was a job, and why the session ended: a [NodeError] if that is fatal.
func (p *peer) runSession(ctx context.Context) (hadJob bool, err error) {
	credentials, err := p.node.Credentials()
	if err != nil {
		return false, err
	}
	defer func() {
		if cause := fatal(err); cause != nil && !p.renewed(credentials) {
			err = &NodeError{p.node.Address, cause}
		}
	}()
	c, err := p.dial(ctx, p.node.Address, credentials.Pin)
	if err != nil {
		return false, fmt.Errorf("connecting: %w", credentials.explain(err))
	}
	s := &session{conn: c, results: make(chan result, maxUnsent)}
	p.emit(ctx, event{kind: connected, session: s})

	ctx, end := context.WithCancelCause(ctx)
	var goroutines sync.WaitGroup
	defer goroutines.Wait()
	goroutines.Go(func() { end(p.write(ctx, s, credentials.Token)) })
	goroutines.Go(func() { end(untilSuspended(ctx)) })
	hadJob, err = p.read(ctx, s)
	// If the writer has failed, that is why reading did.
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	end(err)
	return hadJob, err
}

// renewed says whether the node's credentials are others than those that were of no
// use: a node that is restarted may have made new ones after we had read the old. It
// may be making them at the very moment, so that they cannot be read.
func (p *peer) renewed(used Credentials) bool {
	now, err := p.node.Credentials()
	return err != nil || now != used
}

// read reads what the node sends, until the session is over.
func (p *peer) read(ctx context.Context, s *session) (hadJob bool, err error) {
	waiting := time.AfterFunc(firstJobTimeout, func() { p.emit(ctx, event{kind: silent}) })
	defer waiting.Stop()
	for {
		m, err := wire.Read(s.conn)
		received := time.Now()
		if _, violation := errors.AsType[*wire.ViolationError](err); violation {
			return hadJob, err
		} else if err != nil {
			return hadJob, s.conn.why(err)
		}
		job, ok := m.(wire.NewJob)
		if !ok {
			return hadJob, &wire.ViolationError{Cause: errors.New("a node sends no other message than NewJob")}
		}
		waiting.Stop()
		hadJob = true
		p.emit(ctx, event{kind: newJob, job: job, received: received})
	}
}

// write sends Ready, and then what results there are, until the session is over, and
// closes the connection.
func (p *peer) write(ctx context.Context, s *session, token string) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Now().Add(linger)) })
	defer stop()
	var last time.Time // when something was written
	defer func() {
		cause := context.Cause(ctx)
		if cause == context.Canceled { // and not that the connection is lost
			<-time.After(linger - time.Since(last))
		}
		if _, violation := errors.AsType[*wire.ViolationError](cause); violation {
			s.conn.close(wire.CodeViolation, "not the protocol")
			return
		}
		s.conn.close(wire.CodeDone, "")
	}()

	put := func(m wire.Message) error {
		timeout := writeTimeout
		if ctx.Err() != nil {
			timeout = linger
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(timeout))
		err := wire.Write(s.conn, m)
		last = time.Now()
		return err
	}
	if err := put(wire.Ready{Token: token}); err != nil {
		return s.conn.why(err)
	}
	for {
		select {
		case r := <-s.results:
			if err := put(r.message); err != nil {
				return s.conn.why(err)
			}
			p.emit(ctx, event{kind: sent, sent: r, after: time.Since(r.found)})
		case <-ctx.Done():
			for { // what was found in time
				select {
				case r := <-s.results:
					if put(r.message) != nil {
						return nil
					}
				default:
					return nil
				}
			}
		}
	}
}
