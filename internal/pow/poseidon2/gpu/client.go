package gpu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/host/program"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// Times that a process may take.
const (
	// helloTime is for its start.
	helloTime = 10 * time.Second
	// listTime is for listing devices: drivers load compilers for it.
	listTime = 30 * time.Second
	// openTime is for compiling the kernel, which takes seconds, on a machine that is busy.
	openTime = 2 * time.Minute
	// killTime is for its end once it was killed. A process that waits for a driver within
	// the operating system's kernel does not end.
	killTime = 5 * time.Second
)

// client is a running process of quantus-miner-gpu.
type client struct {
	*program.Process
	hello   wire.Hello
	replies chan wire.Reply // closed when no more come
	// silent is for how long it had been silent in searches when the last one ended: jobs may change
	// more often than a device that hangs would be noticed in one. It is of who has the device's turn.
	silent time.Duration
	failed error         // why; to be read when replies is closed
	exited chan struct{} // closed when the process has ended
}

// start starts a process and waits for its first message. What it says on its standard
// error goes to the log.
func start(ctx context.Context, path string, log *slog.Logger) (*client, error) {
	p, err := program.Start(path)
	if err != nil {
		return nil, err
	}
	c := &client{Process: p, replies: make(chan wire.Reply, 16), exited: make(chan struct{})}
	var reads sync.WaitGroup
	reads.Go(func() {
		defer c.Messages.Close()
		relay(c.Messages, log)
	})
	reads.Go(func() {
		defer c.Out.Close()
		c.read(bufio.NewReader(c.Out))
	})
	go func() {
		defer close(c.exited)
		_ = c.Wait() // what it died of is known below
		reads.Wait()
	}()

	reply, err := c.receive(ctx, helloTime, "its first message")
	switch {
	case err != nil:
	case reply.Hello == nil:
		err = errors.New("its first message is another one than it must be: is it quantus-miner-gpu?")
	case reply.Hello.Protocol != wire.Version:
		err = fmt.Errorf("it speaks version %d of the messages, and this program %d: both must be of the same release", reply.Hello.Protocol, wire.Version)
	default:
		c.hello = *reply.Hello
		return c, nil
	}
	return nil, errors.Join(fmt.Errorf("%s: %w", path, err), c.end())
}

// read hands on replies until there are no more.
func (c *client) read(from io.Reader) {
	defer close(c.replies)
	for {
		reply, err := wire.Read[wire.Reply](from)
		if err != nil {
			c.failed = err
			return
		}
		if reply.Failure != nil {
			c.failed = errors.New(reply.Failure.Message)
			return
		}
		c.replies <- reply
	}
}

// receive waits for a reply.
func (c *client) receive(ctx context.Context, timeout time.Duration, what string) (wire.Reply, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case reply, ok := <-c.replies:
		if !ok {
			return reply, c.cause()
		}
		return reply, nil
	case <-timer.C:
		return wire.Reply{}, fmt.Errorf("waiting for %s: there is none after %s", what, timeout)
	case <-ctx.Done():
		return wire.Reply{}, ctx.Err()
	}
}

// cause returns why no more replies come.
func (c *client) cause() error {
	if !errors.Is(c.failed, io.EOF) {
		return c.failed
	}
	select {
	case <-c.exited:
		return fmt.Errorf("the process has ended: %s", c.ProcessState)
	case <-time.After(killTime):
		return errors.New("the process has closed its output")
	}
}

// send says something to the process. It does not wait for the process to read it.
func (c *client) send(r wire.Request) error { return wire.Write(c.In, r) }

// end ends the process, and waits for that, but not for ever.
func (c *client) end() error {
	c.Kill()
	go func() { // what is left
		for range c.replies {
		}
	}()
	select {
	case <-c.exited:
		return nil
	case <-time.After(killTime):
		return errUndead
	}
}

// errUndead says that a process does not end although it was killed.
var errUndead = errors.New("the process cannot be killed: its driver hangs within the operating system, which only a restart of the machine cures")

// The ration of a process's lines: drivers may repeat themselves for ever.
const (
	lineBurst    = 20
	lineInterval = 10 * time.Second
	longestLine  = 1 << 10
)

// relay logs what a process says on its standard error, so many lines at once, and one
// more each interval.
func relay(messages io.Reader, log *slog.Logger) {
	reader := bufio.NewReaderSize(messages, longestLine)
	left, omitted, since := lineBurst, 0, time.Now()
	for {
		line, rest, err := reader.ReadLine()
		text := strings.TrimSpace(string(line))
		for rest && err == nil { // of which only the beginning is of interest
			_, rest, err = reader.ReadLine()
		}
		if text != "" {
			if more := int(time.Since(since) / lineInterval); more > 0 {
				left, since = min(lineBurst, left+more), time.Now()
			}
			if left == 0 {
				omitted++
			} else {
				left--
				attrs := []any{"text", text}
				if omitted > 0 {
					attrs = append(attrs, "lines_omitted", omitted)
				}
				omitted = 0
				log.Warn("the GPU process says", attrs...)
			}
		}
		if err != nil {
			return
		}
	}
}
