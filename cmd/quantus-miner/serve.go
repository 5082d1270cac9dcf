package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/httpapi"
	"github.com/quantus-network/quantus-miner/internal/mining"
)

// serveCmd serves the node's API.
type serveCmd struct {
	Port portFlag `short:"p" env:"MINER_PORT" default:"9833" help:"Port to listen on; 0 is any that is free."`
	Host hostFlag `env:"MINER_HOST" default:"127.0.0.1" help:"Host name or address to listen on."`
	minerFlags
}

// spareThreads is the number of threads that are kept for what is not mining:
// one for the API, one for the network and the timers.
const spareThreads = 2

// shutdownTime is how long requests may take to finish after a signal: far
// longer than an answer takes, but no longer than one waits for a clean end.
const shutdownTime = time.Second

// Run serves until the context is done.
func (c *serveCmd) Run(ctx context.Context, s streams) error {
	log := slog.New(slog.NewTextHandler(s.err, nil))
	address := net.JoinHostPort(string(c.Host), strconv.Itoa(int(c.Port)))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening on %s (choose another with --port and --host): %w", address, err)
	}
	log.Info("serving the node's API", "url", "http://"+listener.Addr().String(), "engine", c.Engine.Name(),
		"workers", int(c.Workers), "version", version())
	if err := serve(ctx, c.Engine, int(c.Workers), listener, log); err != nil {
		return err
	}
	log.Info("shut down")
	return nil
}

// serve runs a miner and its API on a listener until ctx is done. Then requests
// in flight are finished, every job is cancelled, and all is waited for.
func serve(ctx context.Context, e engine.Engine, workers int, listener net.Listener, log *slog.Logger) error {
	// The workers never rest. If the Go scheduler had no more threads than they
	// take, a request would wait for one of them to be preempted: 10 ms, and again
	// for each step of an answer. With threads to spare, the operating system
	// gives a request its turn at once: 0.5 ms.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), workers+spareThreads))

	miner := mining.New(e, workers, log)
	server := httpapi.NewServer(httpapi.New(miner, log, nil), log)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		miner.Run(ctx)
		return nil
	})
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving the API: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			// A client that has connected and is silent, or in the middle of a
			// request, must not keep the miner from ending as it was told.
			log.Warn("closing connections with unfinished requests", "after", shutdownTime, "error", err)
			if err := server.Close(); err != nil {
				return fmt.Errorf("closing connections: %w", err)
			}
		}
		return nil
	})
	return g.Wait()
}
