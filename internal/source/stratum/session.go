package stratum

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/upstream"
	"github.com/quantus-network/quantus-miner/internal/strictjson"
)

const (
	// loginTimeout is how long a pool may take to answer the login.
	loginTimeout = 30 * time.Second
	// jobTimeout is how long a pool may have no job. Then the link connects to the next pool
	// as well.
	jobTimeout = 60 * time.Second
	// silenceTimeout is how long a pool may say nothing. Then the connection is dead.
	silenceTimeout = 5 * time.Minute
	// writeTimeout is how long it may take to write a line.
	writeTimeout = 15 * time.Second
	// linger is how long it may take to write what was found in time, when the session ends.
	linger = 100 * time.Millisecond
	// maxStrange is how many notifications that nobody knows are told of.
	maxStrange = 16
)

// peer is a pool to which a connection is kept up.
type peer = upstream.Peer[session]

// session is a connection to a pool, from the login's answer to its end.
type session struct {
	ctx     context.Context
	conn    net.Conn
	ids     atomic.Uint64 // the last one that a request of ours has
	id      label         // what the pool calls the session
	submits chan request  // shares that are to be written
	replies chan any      // answers that are to be written
	keep    chan struct{} // that the session is to be kept alive is said once

	// The link's:

	work       *work // the last one, or nil
	unanswered []*share
}

// runSession connects to a pool, and returns when the session is over. It reports whether
// there was a job, and why the session ended: a [PoolError] if that is fatal.
func (r *running) runSession(ctx context.Context, p *peer) (hadJob bool, err error) {
	pool := r.pools[p.Rank]
	login, err := pool.Login()
	if err != nil {
		return false, err
	}
	defer func() {
		if fatal(err) && !pool.renewed(login) {
			err = &PoolError{pool.URL, err}
		}
	}()
	conn, err := r.dial(ctx, pool)
	if err != nil {
		return false, fmt.Errorf("connecting: %w", err)
	}
	ctx, end := context.WithCancelCause(ctx)
	s := &session{ctx: ctx, conn: conn, submits: make(chan request, maxUnanswered), replies: make(chan any), keep: make(chan struct{}, 1)}
	s.ids.Store(loginID)
	var goroutines sync.WaitGroup
	defer goroutines.Wait()
	goroutines.Go(func() {
		end(r.write(ctx, s, login)) // first, as reading fails when the connection is closed
		_ = conn.Close()
	})
	goroutines.Go(func() { end(upstream.UntilSuspended(ctx)) })
	in := reader{running: r, peer: p, session: s, secret: login.Password}
	err = in.read(ctx)
	// If the writer has failed, that is why reading did.
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	end(err)
	return in.hadJob, err
}

// loginID is the ID of the login, the first request of a session.
const loginID = 1

// write sends the login, and then what there is to send, until the session is over.
func (r *running) write(ctx context.Context, s *session, login Login) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Now().Add(linger)) })
	defer stop()
	put := func(v any) error {
		timeout := writeTimeout
		if ctx.Err() != nil {
			timeout = linger
		}
		line, err := formatLine(v)
		if err != nil {
			return err
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(timeout))
		if _, err = s.conn.Write(line); errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("the pool has read nothing for %s", timeout)
		}
		return err
	}
	if err := put(request{loginID, "login", loginParams{login.User, login.Password, r.agent}}); err != nil {
		return err
	}
	var keepAlive <-chan time.Time
	for {
		var err error
		select {
		case submit := <-s.submits:
			err = put(submit)
		case reply := <-s.replies:
			err = put(reply)
		case <-s.keep:
			tick := time.NewTicker(r.KeepAlive)
			defer tick.Stop()
			keepAlive = tick.C
		case <-keepAlive:
			err = put(request{s.ids.Add(1), "keepalived", keepAliveParams{s.id}})
		case <-ctx.Done():
			for { // what was found in time
				select {
				case late := <-s.submits:
					if put(late) != nil {
						return nil
					}
				default:
					return nil
				}
			}
		}
		if err != nil {
			return err
		}
	}
}

// reader reads what a pool says in a session.
type reader struct {
	*running
	peer    *peer
	session *session
	secret  string // which the pool may repeat, and the log must not

	loggedIn bool
	early    *work       // that came before the login's answer, or nil
	latest   *work       // or nil
	hadJob   bool        // there was one
	waiting  *time.Timer // runs while there is none, once there was an answer to the login
}

// read reads until the session is over.
func (in *reader) read(ctx context.Context) error {
	lines := bufio.NewReaderSize(in.session.conn, maxLine+1)
	in.waiting = time.AfterFunc(time.Hour, func() {
		in.peer.Call(ctx, func() error { return in.silent(in.peer) })
	})
	in.waiting.Stop()
	defer func() { in.waiting.Stop() }()
	deadline := time.Now().Add(loginTimeout)
	for {
		if in.loggedIn {
			deadline = time.Now().Add(silenceTimeout)
		}
		_ = in.session.conn.SetReadDeadline(deadline)
		line, err := lines.ReadSlice('\n')
		received := time.Now()
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return violation("a line is longer than %d bytes", maxLine)
		case errors.Is(err, os.ErrDeadlineExceeded) && !in.loggedIn:
			return fmt.Errorf("the pool has not answered the login for %s", loginTimeout)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("the pool has said nothing for %s", silenceTimeout)
		case errors.Is(err, io.EOF):
			return errors.New("the pool has closed the connection")
		case err != nil:
			return err
		}
		m, err := parseLine(line[:len(line)-1])
		if err != nil {
			return err
		}
		if err := in.handle(ctx, m, received); err != nil {
			return err
		}
	}
}

// handle draws the consequences of a message.
func (in *reader) handle(ctx context.Context, m message, received time.Time) error {
	switch {
	case m.method == "job":
		return in.notified(ctx, m.params, received)
	case m.method != "" && m.id != nil:
		select {
		case in.session.replies <- newUnknownMethod(m.id):
		case <-ctx.Done():
		}
		return nil
	case m.method != "":
		return in.unknown(ctx, m)
	}
	id, ours := m.number()
	switch {
	case ours && id == loginID && !in.loggedIn:
		return in.login(ctx, m, received)
	case ours && in.loggedIn:
		refused := m.verdict()
		if refused != nil {
			refused.words = in.withoutSecret(refused.words)
		}
		in.peer.Call(ctx, func() error { return in.answered(in.peer, id, refused) })
	}
	return nil
}

// unknown takes a notification that nobody knows. If it may be about what is to be searched the
// session is over, as the search might be for nothing.
func (in *reader) unknown(ctx context.Context, m message) error {
	name := tidy(m.method)
	for _, about := range []string{"difficulty", "target", "extranonce"} {
		if strings.Contains(strings.ToLower(m.method), about) {
			return violation("it notifies of %q, which this miner does not know and would miss", name)
		}
	}
	in.peer.Call(ctx, func() error { return in.notifiedOf(in.peer, name) })
	return nil
}

// login takes the answer to the login.
func (in *reader) login(ctx context.Context, m message, received time.Time) error {
	o, err := strictjson.Parse(m.result)
	// A session without a status is one.
	if refused := m.verdict(); refused != nil && (m.refused != nil || m.status() != "" || member(o, "id") == nil) {
		return &RefusedError{in.withoutSecret(refused.words)}
	}
	if err != nil {
		return violation("the answer to the login is %w", err)
	}
	s := in.session
	if s.id, err = parseLabel(member(o, "id"), "the session's id"); err != nil {
		return err
	}
	in.loggedIn = true
	in.peer.Connected(ctx, s, func() { in.connected(in.peer) })
	in.waiting.Reset(jobTimeout)
	if in.KeepAlive > 0 && hasKeepAlive(member(o, "extensions")) {
		s.keep <- struct{}{}
	}
	if in.early != nil {
		in.search(ctx, *in.early, received)
	}
	if job := member(o, "job"); job != nil {
		w, err := parseWork(job)
		// What the pool has sent in between may be newer than its answer.
		if err == nil && in.early != nil && w.follows(in.early) != nil {
			return nil
		}
		if err != nil {
			return err
		}
		in.search(ctx, w, received)
	}
	return nil
}

// hasKeepAlive says whether a pool wants to be told that we are there.
func hasKeepAlive(extensions json.RawMessage) bool {
	var names []any
	if json.Unmarshal(extensions, &names) != nil {
		return false
	}
	for _, name := range names {
		if text, ok := name.(string); ok && strings.EqualFold(text, "keepalive") {
			return true
		}
	}
	return false
}

// notified takes a job, or that there is none.
func (in *reader) notified(ctx context.Context, params json.RawMessage, received time.Time) error {
	o, err := strictjson.Parse(params)
	if err != nil {
		return violation("the parameters of a job are %w", err)
	}
	if _, given := o["job"]; !given {
		return violation("a notification of a job has none")
	}
	job := member(o, "job")
	if job == nil {
		in.early, in.latest = nil, nil
		if in.loggedIn {
			in.waiting.Reset(jobTimeout)
			in.peer.Call(ctx, func() error { return in.noJob(in.peer) })
		}
		return nil
	}
	w, err := parseWork(job)
	if err != nil {
		return err
	}
	w.clean = string(member(o, "clean_jobs")) != "false"
	if !in.loggedIn {
		if err := in.check(w, in.early); err != nil {
			return err
		}
		in.early = &w
		return nil
	}
	if err := in.check(w, in.latest); err != nil {
		return err
	}
	in.search(ctx, w, received)
	return nil
}

// check holds a job to the one before. One that is the same changes nothing, whatever its seq.
func (in *reader) check(w work, last *work) error {
	if last != nil && last.puzzle == w.puzzle {
		return nil
	}
	return w.follows(last)
}

// search has a job searched.
func (in *reader) search(ctx context.Context, w work, received time.Time) {
	in.waiting.Stop()
	in.hadJob = true
	if last := in.latest; last != nil && last.puzzle == w.puzzle && last.seq != nil && (w.seq == nil || *w.seq < *last.seq) {
		w.seq = last.seq // it never goes down
	}
	in.latest = &w
	in.peer.Call(ctx, func() error { return in.newWork(in.peer, w, received) })
}

// withoutSecret returns a pool's words without the password.
func (in *reader) withoutSecret(words string) string {
	if len(in.secret) > 3 { // or it would be anywhere
		words = strings.ReplaceAll(words, in.secret, "…")
	}
	return words
}
