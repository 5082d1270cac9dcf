package broker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/host/program"
)

const (
	// answerTime is how long a process may take to answer. It takes two seconds if the address
	// is in use.
	answerTime = 20 * time.Second
	// endTime is how long it may take to end when its input has.
	endTime = 5 * time.Second
)

// process is a running quantus-miner-nats.
type process struct {
	*program.Process
	from    *bufio.Reader // its output
	address netip.AddrPort
	exited  chan struct{} // closed when the process has ended and all that it said was logged
}

// start starts a process, which listens then.
func start(ctx context.Context, path string, setup Setup, log *slog.Logger) (*process, error) {
	child, err := program.Start(path)
	if err != nil {
		return nil, err
	}
	p := &process{Process: child, from: bufio.NewReaderSize(child.Out, MaxLine), exited: make(chan struct{})}
	told := make(chan struct{})
	go func() {
		defer close(told)
		relay(p.Messages, log)
	}()
	go func() {
		defer close(p.exited)
		_ = p.Wait() // what it died of is known by its state
		<-told
		_, _ = p.Messages.Close(), p.Out.Close()
	}()
	late := time.AfterFunc(answerTime, p.Kill)
	interrupted := context.AfterFunc(ctx, p.Kill)
	address, err := p.listens(setup)
	if !interrupted() {
		err = ctx.Err()
	} else if !late.Stop() {
		err = fmt.Errorf("waiting for its first line: there is none after %s", answerTime)
	}
	if err != nil {
		p.Kill()
		<-p.exited
		return nil, err
	}
	p.address = address
	return p, nil
}

// listens sets the process up, and returns where it listens.
func (p *process) listens(setup Setup) (netip.AddrPort, error) {
	unheard := WriteLine(p.In, setup)
	answer, err := ReadLine[Answer](p.from) // which another program may have said nevertheless
	switch {
	case err == nil && answer.Error == "" && unheard != nil:
		return netip.AddrPort{}, fmt.Errorf("%s: %w", p.Path, unheard)
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("%s: %w: is it quantus-miner-nats?", p.Path, err)
	case answer.Error != "": // which is about the address, and not about the program
		return netip.AddrPort{}, errors.New(answer.Error)
	}
	address, err := netip.ParseAddrPort(answer.Address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%s: listening: %w", p.Path, err)
	}
	return address, nil
}

// await waits for the end of the process, which is ended when ctx is done, and returns how it ended.
func (p *process) await(ctx context.Context) error {
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.endSoon()
		<-p.exited
	}
	return fmt.Errorf("the process has ended: %s", p.ProcessState)
}

// endSoon ends the process by the end of its input, or kills it if that has no effect.
func (p *process) endSoon() {
	_ = p.In.Close()
	time.AfterFunc(endTime, p.Kill) // which does nothing if it has ended
}

// connect has the hub's connection begin.
func (p *process) connect() (net.Conn, error) {
	if _, err := p.In.Write([]byte{Connect}); err != nil {
		return nil, err
	}
	c := &conn{process: p, late: [2]*time.Timer{time.AfterFunc(math.MaxInt64, p.Kill), time.AfterFunc(math.MaxInt64, p.Kill)}}
	return c, c.SetDeadline(time.Time{})
}

// conn is the hub's connection: the input and output of a process, which ends with it. So it does when a
// deadline passes, as pipes have none on every system, and what has missed one is of no use any more.
type conn struct {
	*process
	late [2]*time.Timer // of reads, and of writes
}

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) { return c.from.Read(b) }

// Write implements [net.Conn].
func (c *conn) Write(b []byte) (int, error) { return c.In.Write(b) }

// Close implements [net.Conn]. Reads end when the process has.
func (c *conn) Close() error {
	c.endSoon()
	return c.SetDeadline(time.Time{})
}

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error { return set(c.late[0], t) }

// SetWriteDeadline implements [net.Conn].
func (c *conn) SetWriteDeadline(t time.Time) error { return set(c.late[1], t) }

func set(late *time.Timer, t time.Time) error {
	if t.IsZero() {
		late.Stop()
	} else {
		late.Reset(time.Until(t))
	}
	return nil
}

// LocalAddr implements [net.Conn].
func (c *conn) LocalAddr() net.Addr { return pipe{} }

// RemoteAddr implements [net.Conn].
func (c *conn) RemoteAddr() net.Addr { return pipe{} }

// pipe is an address that nobody else reaches.
type pipe struct{}

// Network implements [net.Addr].
func (pipe) Network() string { return "pipe" }

// String implements [net.Addr].
func (pipe) String() string { return "pipe" }

// longestMessage is the longest line that is logged, in bytes. Of a longer one there is the beginning.
const longestMessage = 4 << 10

// relay logs what a process says, which is JSON of its log, or the text of a panic. It is as much as
// strangers cause: the log rations warnings.
func relay(messages io.Reader, log *slog.Logger) {
	reader := bufio.NewReaderSize(messages, longestMessage)
	for {
		line, rest, err := reader.ReadLine()
		level, message, attrs, ok := parse(line)
		switch {
		case ok:
			log.Log(context.Background(), level, message, attrs...)
		case len(bytes.TrimSpace(line)) > 0:
			log.Warn("the fleet's NATS server", "says", strings.TrimSpace(string(line)))
		}
		for rest && err == nil {
			_, rest, err = reader.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

// parse returns what a line of a JSON log has: a level, a message, and attributes in their order, which are
// texts, numbers and truth values.
func parse(line []byte) (level slog.Level, message string, attrs []any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return 0, "", nil, false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return 0, "", nil, false
		}
		value, err := d.Token()
		if _, nested := value.(json.Delim); err != nil || nested {
			return 0, "", nil, false
		}
		switch text := fmt.Sprint(value); key {
		case slog.TimeKey: // now
		case slog.LevelKey:
			if level.UnmarshalText([]byte(text)) != nil {
				return 0, "", nil, false
			}
		case slog.MessageKey:
			message = text
		default:
			attrs = append(attrs, key.(string), value)
		}
	}
	_, err := d.Token()
	return level, message, attrs, err == nil && message != ""
}
