package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"syscall"
	"time"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker"
)

// patience is how long an address may be in use: the server of a hub that was killed ends with
// it, and not in the same moment.
const patience = 2 * time.Second

// Serve is what quantus-miner-nats does. It reads its setup, says where it listens, and joins in
// and out to the server as the hub's own connection, until in ends: it returns nil then. What
// there is to log it writes to messages, as JSON.
func Serve(version string, in io.Reader, out, messages io.Writer) error {
	log := slog.New(slog.NewJSONHandler(messages, &slog.HandlerOptions{Level: slog.LevelDebug}))
	from := bufio.NewReaderSize(in, broker.MaxLine)
	setup, err := broker.ReadLine[broker.Setup](from)
	var s *natsServer
	if err == nil {
		s, err = listen(setup, log)
	}
	answer := broker.Answer{Wire: broker.SetupVersion, Program: version}
	if err != nil { // which the hub tells of
		answer.Error = err.Error()
		return broker.WriteLine(out, answer)
	}
	defer s.close()
	answer.Address = s.Addr().String()
	if err := broker.WriteLine(out, answer); err != nil {
		return fmt.Errorf("telling the hub: %w", err)
	}
	if first, err := from.ReadByte(); err != nil { // the hub is not there any more
		return nil
	} else if first != broker.Connect {
		return fmt.Errorf("the hub says %q, and not that it connects", first)
	}
	conn, err := s.InProcessConn()
	if err != nil {
		return fmt.Errorf("connecting the hub: %w", err)
	}
	defer conn.Close()
	ended := make(chan error, 2)
	go func() {
		// Of no interest is why: the hub has ended, or has given this connection up.
		_, _ = io.CopyBuffer(writer{conn}, reader{from}, make([]byte, broker.MaxLine))
		ended <- nil
	}()
	go func() {
		_, err := io.CopyBuffer(writer{out}, reader{conn}, make([]byte, broker.MaxLine))
		ended <- errors.Join(errors.New("the hub's own connection has ended"), err)
	}()
	return <-ended
}

// reader and writer hide what else an end of a connection can do: copying is to take the buffer
// that it is given.
type (
	reader struct{ io.Reader }
	writer struct{ io.Writer }
)

// listen starts a server, if need be once its address is free.
func listen(setup broker.Setup, log *slog.Logger) (*natsServer, error) {
	for began := time.Now(); ; {
		s, err := start(setup, 0, log)
		if !inUse(err) || time.Since(began) > patience {
			return s, err
		}
		time.Sleep(patience / 40)
	}
}

// inUse reports whether an error is that an address is in use.
func inUse(err error) bool {
	const onWindows = syscall.Errno(10048) // WSAEADDRINUSE, which package syscall does not name
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, onWindows)
}
