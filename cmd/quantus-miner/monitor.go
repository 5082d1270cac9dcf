package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/host/connlimit"
	"github.com/quantus-network/quantus-miner/internal/host/cpuname"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
	"github.com/quantus-network/quantus-miner/internal/u512"
	"github.com/quantus-network/quantus-miner/internal/watch/dashboard"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
	"github.com/quantus-network/quantus-miner/internal/watch/metrics"
	"github.com/quantus-network/quantus-miner/internal/watch/status"
)

// monitor is what shows how a miner does: its server, and those who are told by others
// what no overview of the miner has.
type monitor struct {
	*metrics.Exporter
	board  *status.Board
	server *http.Server
}

// Fetched implements [httpapi.Observer].
func (m *monitor) Fetched(jobID string, waited time.Duration) {
	m.Exporter.Fetched(waited)
	m.board.Fetched(jobID, waited)
}

// Sent takes what became of a winner that a link has sent.
func (m *monitor) Sent(job string, nonce u512.Uint, after time.Duration) {
	m.Exporter.Sent(after)
	m.board.Sent(job, nonce, after)
}

// Settled takes what became of a pool's share.
func (m *monitor) Settled(s stratum.Share) {
	if s.Answered {
		m.ShareAnswered(s.Latency)
	}
	what := s.Outcome.String()
	if s.Outcome == stratum.Other {
		what = "refused"
	}
	m.board.Settled(s.Search, s.Nonce, what, s.Age)
}

// newMonitor returns the monitor of a sampler's miner, whose server shows how the miner
// does to those whom the guard lets in, on so many connections. Its health is for
// everyone who asks for one of its hosts. The miner is ready until ctx is done, but not while it has no node or pool to
// work for if it needs one.
func newMonitor(ctx context.Context, sampler *hashrate.Sampler, setup metrics.Setup, difficulty hashrate.Difficulty, hosts *access.Hosts, guard *access.Guard, connections int, log *slog.Logger) *monitor {
	miner := sampler.Miner()
	exporter := metrics.New(sampler, metrics.Build{Version: version(), Revision: revision()}, setup)
	board := newBoard(sampler, setup, difficulty)

	refuse := func(w http.ResponseWriter, _ *http.Request, code int, message string) { http.Error(w, message, code) }
	guarded := func(h http.Handler) http.Handler { return access.RefuseOtherSites(guard.Wrap(h, refuse), refuse) }
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", guarded(exporter.Handler(log)))
	mux.Handle("GET /api/v1/status", guarded(board))
	if setup.Fleet != nil {
		mux.Handle("GET /api/v1/machines", guarded(http.HandlerFunc(board.ServeMachines)))
	}
	mux.Handle("GET /", guarded(dashboard.New(sampler, dashboard.Facts{
		Go:   runtime.Version(),
		OS:   runtime.GOOS,
		Arch: runtime.GOARCH,
		CPU:  cpuname.Read(),
		CPUs: setup.CPUs,
	}, board)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		why := idle(setup)
		switch {
		case ctx.Err() != nil:
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
		case !miner.Working():
			http.Error(w, "no engine is left", http.StatusServiceUnavailable)
		case miner.Paused():
			http.Error(w, "paused at the terminal", http.StatusServiceUnavailable)
		case setup.Fleet != nil && len(miner.Current().Crews) == 0:
			http.Error(w, status.NoMachine, http.StatusServiceUnavailable)
		case why != "":
			http.Error(w, why, http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ok")
		}
	})

	known := hosts.Wrap(mux, refuse)
	// Pages that are open would keep the server from being shut down.
	open, closePages := context.WithCancel(context.WithoutCancel(ctx))
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if connlimit.Refused(w, r) {
				refuse(w, r, http.StatusServiceUnavailable, "too many connections are open")
				return
			}
			known.ServeHTTP(w, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return open },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second, // which the page's events extend
		IdleTimeout:       3 * time.Minute,  // longer than scrapes are apart
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(closePages)
	connlimit.Apply(server, connections, log)
	return &monitor{exporter, board, server}
}

// newBoard returns the board of a sampler's miner.
func newBoard(sampler *hashrate.Sampler, setup metrics.Setup, difficulty hashrate.Difficulty) *status.Board {
	program := status.Program{Version: version(), Revision: revision(), PoW: setup.PoW, Difficulty: difficulty}
	var node func() status.Node
	if setup.Node != nil {
		node = func() status.Node { return nodeStatus(setup.Node()) }
	}
	board := status.New(sampler, program, node)
	if setup.Pool != nil {
		board.Pool = func() status.Pool { return poolStatus(setup.Pool()) }
	}
	if setup.Hub != nil {
		board.Hub = func() status.Hub { return hubStatus(setup.Hub()) }
	}
	if setup.Fleet != nil {
		board.Fleet = func() status.Fleet { return fleetStatus(setup.Fleet()) }
		board.Machines = func() []status.Machine { return machinesOf(setup.Fleet()) }
	}
	if setup.GPUs != nil {
		board.GPUs = func() (devices []status.Device) {
			for _, g := range setup.GPUs() {
				devices = append(devices, gpuStatus(g))
			}
			return devices
		}
	}
	return board
}

// gpuStatus returns how a GPU stands as the page and the status have it.
func gpuStatus(g metrics.GPU) status.Device {
	return status.Device{Name: g.Name, Engine: gpu.Name, Backend: g.Backend, GPU: &status.GPU{
		Model:    g.Model,
		Driver:   g.Driver,
		State:    g.State,
		Reason:   g.Reason,
		Restarts: g.Restarts,
		Launch:   g.Launch.Seconds(),
		Queued:   g.Queued,
	}}
}

// poolStatus returns how a link to a pool stands as the page and the status have it.
func poolStatus(s stratum.Status) status.Pool {
	pool := status.Pool{
		URL:         s.Server,
		Fallback:    s.Fallback,
		State:       s.State.String(),
		Since:       s.Since,
		Connections: s.Connections,
		Failures:    s.Failures,
		Jobs:        s.Jobs,
		Difficulty:  s.Difficulty,
		Shares: status.Shares{
			Accepted:       s.Shares[stratum.Accepted],
			Stale:          s.Shares[stratum.Stale],
			Duplicate:      s.Shares[stratum.Duplicate],
			LowDifficulty:  s.Shares[stratum.LowDifficulty],
			Other:          s.Shares[stratum.Other],
			Unacknowledged: s.Shares[stratum.Unacknowledged],
		},
		Summary: s.String(),
	}
	if s.Latency > 0 {
		latency := s.Latency.Round(time.Microsecond).Seconds()
		pool.Latency = &latency
	}
	if s.Reason != nil {
		pool.Reason = s.Reason.Error()
		next := s.Retry.UTC().Truncate(time.Millisecond)
		pool.NextTry = &next
	}
	return pool
}

// nodeStatus returns how a link stands as the page and the status have it.
func nodeStatus(s quicnode.Status) status.Node {
	node := status.Node{
		Address:     s.Server,
		Fallback:    s.Fallback,
		State:       s.State.String(),
		Since:       s.Since,
		Connections: s.Connections,
		Failures:    s.Failures,
		Jobs:        s.Jobs,
		Results:     s.Results,
		Summary:     s.String(),
	}
	if s.Reason != nil {
		node.Reason = s.Reason.Error()
		next := s.Retry.UTC().Truncate(time.Millisecond)
		node.NextTry = &next
	}
	return node
}
