package quicnode

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/quicnode/wire"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
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

// peer is a node to which a connection is kept up.
type peer = upstream.Peer[session]

// session is a connection to a node, from its handshake to its end.
type session struct {
	conn    conn
	results chan result // what is to be written

	job *wire.NewJob // the last one, or nil; the link's
}

// result is a message that a search has led to.
type result struct {
	message wire.JobResult
	search  string    // its name
	found   time.Time // when the winner was
}

// runSession connects to a node, and returns when the session is over. It reports
// whether there was a job, and why the session ended: a [NodeError] if that is fatal.
func (r *running) runSession(ctx context.Context, p *peer) (hadJob bool, err error) {
	node := r.nodes[p.Rank]
	credentials, err := node.Credentials()
	if err != nil {
		return false, err
	}
	defer func() {
		if cause := fatal(err); cause != nil && !node.renewed(credentials) {
			err = &NodeError{node.Address, cause}
		}
	}()
	c, err := r.dial(ctx, node.Address, credentials.Pin)
	if err != nil {
		return false, fmt.Errorf("connecting: %w", credentials.explain(err))
	}
	s := &session{conn: c, results: make(chan result, maxUnsent)}
	p.Connected(ctx, s, func() { r.log.Info("connected to the node", "node", p.Server) })

	ctx, end := context.WithCancelCause(ctx)
	var goroutines sync.WaitGroup
	defer goroutines.Wait()
	goroutines.Go(func() { end(r.write(ctx, p, s, credentials.Token)) })
	goroutines.Go(func() { end(upstream.UntilSuspended(ctx)) })
	hadJob, err = r.read(ctx, p, s)
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
func (n Node) renewed(used Credentials) bool {
	now, err := n.Credentials()
	return err != nil || now != used
}

// read reads what the node sends, until the session is over.
func (r *running) read(ctx context.Context, p *peer, s *session) (hadJob bool, err error) {
	waiting := time.AfterFunc(firstJobTimeout, func() { p.Call(ctx, func() error { return r.silent(p) }) })
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
		p.Call(ctx, func() error { return r.newJob(p, job, received) })
	}
}

// write sends Ready, and then what results there are, until the session is over, and
// closes the connection.
func (r *running) write(ctx context.Context, p *peer, s *session, token string) error {
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
		case sent := <-s.results:
			if err := put(sent.message); err != nil {
				return s.conn.why(err)
			}
			after := time.Since(sent.found)
			p.Call(ctx, func() error { return r.sent(p, sent, after) })
		case <-ctx.Done():
			for { // what was found in time
				select {
				case late := <-s.results:
					if put(late.message) != nil {
						return nil
					}
				default:
					return nil
				}
			}
		}
	}
}
