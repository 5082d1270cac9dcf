package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

const (
	// lookInterval is the time between two looks at how long the hub has been silent.
	lookInterval = 250 * time.Millisecond
	// askTime is for how long an answer of the hub is waited for.
	askTime = 2 * time.Second
	// askAgain is after which time a hub is asked again that did not answer.
	askAgain = time.Second
	// askIdle is after which time a worker without a lease asks whether the hub still knows it.
	askIdle = time.Minute
	// askRefused is after which time a worker asks again that was refused.
	askRefused = 30 * time.Second
	// A connection is tried again after so long: the workers of a hub that was restarted are back
	// within 3 s, and do not come in the same instant.
	minRetry, maxRetry = 200 * time.Millisecond, 1800 * time.Millisecond
	// closeTime is for how long the end of a connection is waited for.
	closeTime = time.Second
	// pingInterval is the time between two pings of the connection, of which two may be unanswered.
	pingInterval = 2 * time.Second
)

// options are those of the connection.
func (r *running) options() []nats.Option {
	lost := func(was string) nats.ConnErrHandler {
		return func(_ *nats.Conn, err error) { r.call(func() error { return r.disconnected(was, err) }) }
	}
	connected := func(*nats.Conn) { r.do(r.connects) }
	return []nats.Option{
		nats.Name(r.config.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(func(int) time.Duration {
			return minRetry + rand.N(maxRetry-minRetry)
		}),
		nats.ReconnectBufSize(-1), // what was said to a hub that is lost is said again to the one that is found
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(connected),
		nats.ReconnectHandler(connected),
		nats.DisconnectErrHandler(lost("connection to the hub lost")),
		nats.ReconnectErrHandler(lost("cannot connect to the hub")),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			r.do(func() { r.log().Warn("the hub's NATS server has an objection", "reason", err) })
		}),
	}
}

// closeConnection closes the connection, and waits for its goroutines.
func (r *running) closeConnection() {
	closed := make(chan struct{})
	r.conn.SetClosedHandler(func(*nats.Conn) { close(closed) })
	r.conn.Close()
	select {
	case <-closed:
	case <-time.After(closeTime):
	}
}

// subscribe has the goroutine hear the hub.
func (r *running) subscribe() error {
	orders := func(msg *nats.Msg) {
		if o, err := wire.Decode[wire.Orders](msg.Data); err == nil {
			r.call(func() error { return r.ordered(o) })
		} else {
			r.do(func() { r.log().Warn("the hub gives orders that cannot be read", "reason", err) })
		}
	}
	beacon := func(msg *nats.Msg) {
		if b, err := wire.Decode[wire.Beacon](msg.Data); err == nil {
			r.do(func() { r.sees(b) })
		}
	}
	for subject, handle := range map[string]nats.MsgHandler{r.subjects.Orders(r.id): orders, r.subjects.Beacon(): beacon} {
		if _, err := r.conn.Subscribe(subject, handle); err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
	}
	return nil
}

// connects is what follows when there is a connection.
func (r *running) connects() {
	r.connected = true
	r.status.Connections++
	r.doubt()
}

// disconnected is what follows when there is none: the search goes on for as long as the hub waits for
// this worker.
func (r *running) disconnected(was string, err error) error {
	if err == nil {
		err = errors.New("the connection is closed")
	}
	r.connected, r.welcomed = false, false
	r.status.Failures++
	if r.config.Fatal != nil && r.config.Fatal(err) {
		r.refused = err
		return fmt.Errorf("connecting to the hub %s: %w", r.config.Hub, err)
	}
	if r.status.Reason == nil || r.status.Reason.Error() != err.Error() { // or it would be told every second
		r.log().Warn(was, "reason", err)
	}
	r.status.Reason, r.status.Retry = err, time.Now().Add(maxRetry)
	return nil
}

// doubt has the hub asked whether it still is what it was: until it answers nothing new is begun.
func (r *running) doubt() {
	r.welcomed, r.early, r.asking = false, nil, false
	r.ask()
}

// ask says hello, unless the answer to that is waited for already.
func (r *running) ask() {
	if r.asking || !r.connected {
		return
	}
	r.asking, r.asked = true, time.Now()
	r.asks++
	number := r.asks
	hello := wire.Hello{
		Wire: wire.Version, Name: wire.Tidy(r.config.Name, wire.MaxText), Version: wire.Tidy(r.config.Version, wire.MaxText), PoW: r.config.PoW,
		Threads: min(r.miner.Workers(), wire.MaxThreads),
	}
	for _, c := range r.miner.Current().Crews {
		if len(hello.Engines) < wire.MaxEngines {
			hello.Engines = append(hello.Engines, wire.Engine{Name: c.Engine, Backend: wire.Tidy(c.Backend, wire.MaxText), Device: c.Name})
		}
	}
	r.goroutines.Go(func() {
		var welcome wire.Welcome
		err := r.request(r.subjects.Hello(r.id), hello, &welcome)
		r.call(func() error {
			if number != r.asks {
				return nil // it was asked again since
			}
			return r.answered(welcome, err)
		})
	})
}

// request asks the hub something. It may be called by any goroutine.
func (r *running) request(subject string, question wire.Message, answer any) error {
	text, err := wire.Encode(question)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, askTime)
	defer cancel()
	msg, err := r.conn.RequestWithContext(ctx, subject, text)
	if err != nil {
		return err
	}
	switch answer := answer.(type) {
	case *wire.Welcome:
		*answer, err = wire.Decode[wire.Welcome](msg.Data)
	case *wire.Verdict:
		*answer, err = wire.Decode[wire.Verdict](msg.Data)
	}
	return err
}

// answered is what follows from the answer to a hello, or when there is none.
func (r *running) answered(w wire.Welcome, err error) error {
	r.asking = false
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return r.unanswered(errors.New("there is no hub on the NATS server"))
	case err != nil && r.connected:
		// The connection may be of no use, though nobody has said so.
		_ = r.conn.ForceReconnect() // fails if it is closed
		return r.unanswered(fmt.Errorf("the hub does not answer: %w", err))
	case err != nil:
		return nil
	case w.Wire != wire.Version || w.Error != "":
		return r.refuse(w)
	}
	if r.refused != nil || !r.welcomed {
		r.log().Info("connected to the hub", "name", w.Name, "hub_id", w.Hub)
	}
	if r.hub != w.Hub {
		r.dropAll() // leases of a hub that was restarted
		r.ended = nil
		r.hub = w.Hub
	}
	r.welcomed, r.refused, r.heard = true, nil, time.Now()
	r.status.Name, r.status.Retry = w.Name, time.Time{}
	early := r.early
	r.early = nil
	for _, o := range early {
		if err := r.ordered(o); err != nil {
			return err
		}
	}
	r.offerAgain()
	return nil
}

// unanswered is what follows when the hub does not answer.
func (r *running) unanswered(why error) error {
	if r.status.Reason == nil || r.status.Reason.Error() != why.Error() {
		r.log().Warn("no answer of the hub", "reason", why)
	}
	r.status.Reason, r.status.Retry = why, time.Now().Add(askAgain)
	return nil
}

// refuse is what follows when the hub refuses this machine: for good, or for a while.
func (r *running) refuse(w wire.Welcome) error {
	why := w.Error
	if why == "" {
		why = fmt.Sprintf("it speaks version %d of the messages, and this worker version %d: both must be of a release with the same", w.Wire, wire.Version)
	}
	refused := &RefusedError{r.config.Hub, why}
	if r.refused == nil || r.refused.Error() != refused.Error() {
		r.log().Error("the hub refuses this machine", "reason", why)
	}
	r.refused = refused
	r.dropAll()
	if w.Final || w.Wire != wire.Version {
		return refused
	}
	return nil
}

// look is what follows from the time that has passed.
func (r *running) look(now time.Time) {
	silent := now.Sub(r.heard)
	if silent >= wire.Silence && len(r.leases) > 0 {
		r.log().Warn("the search stops: the hub is silent, and has given others what was searched here", "silent", silent.Round(100*time.Millisecond))
		r.dropAll()
	}
	if !r.connected || r.asking {
		return
	}
	wait := askAgain
	switch {
	case r.refused != nil:
		wait = askRefused
	case r.welcomed && silent >= wire.Silence:
		r.status.Reason = fmt.Errorf("the hub is silent for %s", silent.Round(time.Second))
		r.doubt()
		return
	case r.welcomed && len(r.leases) == 0:
		wait = askIdle
	case r.welcomed:
		return
	}
	if now.Sub(r.asked) >= wait {
		r.ask()
	}
}

// watchSuspension has the hub asked before the search goes on, after this process or its machine was stopped.
func (r *running) watchSuspension() {
	for r.untilSuspended(r.ctx) != nil {
		r.do(func() {
			r.log().Warn("the search stops until the hub has been asked", "reason", upstream.ErrSuspended)
			r.dropAll()
			r.doubt()
		})
	}
}

// sees is what follows from a beacon: jobs that are over are searched no more.
func (r *running) sees(b wire.Beacon) {
	if b.Hub != r.hub {
		if r.welcomed { // the hub was restarted, and not its NATS server
			r.doubt()
		}
		return
	}
	r.heard, r.beacon = time.Now(), b
	for _, l := range r.leases {
		if r.over(l.Job) {
			r.drop(l)
		}
	}
}
