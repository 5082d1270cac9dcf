package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/host/priority"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/source/httpapi"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
	"github.com/quantus-network/quantus-miner/internal/watch/console"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
	"github.com/quantus-network/quantus-miner/internal/watch/metrics"
)

// dutyFlags are those of every command that mines until it is told to end.
type dutyFlags struct {
	ReportEvery intervalFlag `env:"MINER_REPORT_EVERY" default:"10s" placeholder:"TIME" help:"Time between two lines with the hash rate in the log, ${default} by default, from 1s; 0 for none."`
	logFlags
	minerFlags
	schedulingFlags
}

// schedulingFlags say how the workers share the machine with others.
type schedulingFlags struct {
	Priority priority.Class  `group:"Sharing the machine:" env:"MINER_PRIORITY" default:"low" placeholder:"CLASS" help:"Priority of the worker threads: idle (only what nobody else wants), low, the default, or normal. On Linux."`
	Affinity priority.CPUSet `group:"Sharing the machine:" env:"MINER_AFFINITY" placeholder:"CPUS" help:"CPUs that the worker threads may use, such as 0-3,8; no more workers run than there are in the list. On Linux."`
	Throttle throttleFlag    `group:"Sharing the machine:" env:"MINER_THROTTLE" default:"100%" placeholder:"PERCENT" help:"Share of its time that each worker may search for, such as 50%."`
}

// check says what is wrong with the flags together, for a proof of work. There may be others
// that search, on other machines.
func (f dutyFlags) check(proof pow.Proof, gpus gpuFlags, others bool) error {
	if err := gpus.check(proof); err != nil {
		return err
	}
	if err := f.workersFlags.check(gpus.joins(proof) || others); err != nil {
		return err
	}
	if err := f.Engine.check(proof); err != nil {
		return err
	}
	if err := f.Affinity.Check(); err != nil {
		return fmt.Errorf("--affinity: %w", err)
	}
	return nil
}

// workers returns how many workers are to run.
func (f dutyFlags) workers() int {
	if cpus := f.Affinity.Len(); cpus > 0 {
		return min(int(f.Workers), cpus)
	}
	return int(f.Workers)
}

// service returns a service as the flags have it, for a proof of work, and its log. Where
// its jobs come from is yet to be said.
func (f dutyFlags) service(proof pow.Proof, s streams) (service, error) {
	// Go ends a program that writes to standard error when nobody reads it any more.
	// A miner whose log's reader has died goes on without.
	signal.Ignore(syscall.SIGPIPE)
	level := new(slog.LevelVar)
	level.Set(f.level())
	log := f.newLogAt(s, level)
	e, err := f.Engine.choose(proof, log)
	if err != nil {
		return service{}, err
	}
	return service{
		proof:       proof,
		engine:      e,
		workers:     f.workers(),
		scheduling:  f.schedulingFlags,
		cpus:        effectiveCPUs(),
		reportEvery: time.Duration(f.ReportEvery),
		streams:     s,
		log:         log,
		level:       level,
		reloads:     takeHangups(s.hangups),
	}, nil
}

// spareThreads is the number of threads that are kept for what is not mining:
// one for the API, one for the network and the timers.
const spareThreads = 2

// shutdownTime is how long requests may take to finish after a signal: far
// longer than an answer takes, but no longer than one waits for a clean end.
const shutdownTime = time.Second

// listen listens on a port, which the given flags choose.
func listen(ctx context.Context, host hostFlag, port portFlag, flags string) (net.Listener, error) {
	address := net.JoinHostPort(string(host), strconv.Itoa(int(port)))
	listener, err := new(net.ListenConfig).Listen(ctx, host.network(), address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s (choose another with %s): %w", address, flags, err)
	}
	return listener, nil
}

// listenForMetrics listens on the port for metrics of a miner that serves nothing else, and tells of it. It
// returns nil if there is none.
func (s service) listenForMetrics(ctx context.Context, host *hostFlag, port *portFlag) (net.Listener, error) {
	if port == nil {
		return nil, nil
	}
	on := hostFlag("127.0.0.1")
	if host != nil {
		on = *host
	}
	listener, err := listen(ctx, on, *port, "--metrics-port and --metrics-host")
	if err != nil {
		return nil, err
	}
	s.log.Info("serving metrics and a live page", "page", s.url(listener))
	if !isLoopback(listener) {
		s.log.Warn("anyone who reaches the port of the metrics can see what this miner does")
	}
	return listener, nil
}

// isLoopback says whether only this machine reaches a listener. None is reached by
// nobody else.
func isLoopback(listener net.Listener) bool {
	if listener == nil {
		return true
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}

// service is a miner with its API, or with the nodes or pools that it connects to, and with
// what shows how it does.
type service struct {
	proof       pow.Proof
	engine      engine.Engine // of this proof of work
	workers     int
	scheduling  schedulingFlags // the zero value is the default
	gpus        gpuFlags        // the zero value is none
	limits      limitFlags      // the zero value has no limits on jobs, and the API's own
	cpus        int             // that this process may use
	api         net.Listener    // nil if there are nodes or pools
	nodes       []quicnode.Node // to mine for
	pools       []stratum.Pool  // or these
	keepAlive   time.Duration   // between two signs of life for a pool; 0 for none
	worksFor    *fleet.Config   // a hub to mine for in place of both, or nil
	fleet       *fleetHub       // whose machines mine as well, or nil
	metrics     net.Listener    // nil for none
	hosts       *access.Hosts   // that requests may be for; nil for addresses and localhost alone
	guard       *access.Guard   // nil for everyone
	tls         *tls.Config     // nil for plain HTTP
	reportEvery time.Duration   // 0 for never
	streams                     // for the keyboard, and for what is read again
	log         *slog.Logger
	level       *slog.LevelVar  // of the log
	reloads     <-chan struct{} // that are asked for; nil for none
	check       func() error    // says what is wrong with the files that are read while the miner runs; nil if there are none
}

// run serves until ctx is done. Then requests in flight are finished, every job
// is cancelled, and all is waited for.
func (s service) run(ctx context.Context) error {
	// The workers never rest. If the Go scheduler had no more threads than they
	// take, a request would wait for one of them to be preempted: 10 ms, and again
	// for each step of an answer. With threads to spare it is the operating system
	// that gives a request its turn, and it does so at once as long as the workers
	// have a lower priority.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), s.workers+spareThreads))
	miner := s.newMiner()
	up, err := s.newUplink(miner)
	if err != nil {
		return err
	}
	show := shown{up: up}
	var hubConn *nats.Conn // if there is a hub
	if s.fleet != nil {
		if show.hub, hubConn, err = s.fleet.connect(s, miner); err != nil {
			return err
		}
		defer hubConn.Close()
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	g, ctx := errgroup.WithContext(ctx)
	// One that panics ends the process, and must not leave the terminal without echo.
	start := func(f func() error) {
		g.Go(func() error {
			defer s.keyboard.Restore()
			return f()
		})
	}
	var sampler *hashrate.Sampler
	if show.hub != nil {
		start(func() error { return runHub(ctx, show.hub, hubConn) })
	}
	if s.metrics != nil || s.keyboard != nil {
		sampler = hashrate.NewSampler(miner, s.proof.Difficulty)
		start(func() error {
			sampler.Run(ctx)
			return nil
		})
	}
	if s.keyboard != nil {
		keys := keys{miner: miner, board: newBoard(sampler, s.setup(&show), s.proof.Difficulty), log: s.log, end: end}
		start(func() error {
			s.keyboard.Run(ctx, keys.press)
			return nil
		})
		s.log.Info("keys", "keys", keysHelp)
	}
	var observer httpapi.Observer
	var servers []*http.Server
	if s.metrics != nil {
		monitor := newMonitor(ctx, sampler, s.setup(&show), s.proof.Difficulty, s.hosts, s.guard, int(s.limits.MaxConnections), s.log)
		observer = monitor
		up.watch(monitor)
		servers = append(servers, monitor.server)
		start(func() error { return s.serve(monitor.server, s.metrics, "metrics") })
	}
	start(func() error {
		miner.Run(ctx)
		return nil
	})
	if s.gpus.joins(s.proof) {
		g.Go(func() error {
			err := s.gpus.join(ctx, s.proof, miner, s.fleet != nil, func(found []*gpu.Device) { show.devices.Store(&found) }, s.log)
			if ctx.Err() != nil { // which ends the service well
				return nil
			}
			return err
		})
	}
	if up.exists() {
		start(func() error { return up.run(ctx) })
	} else {
		server := s.newAPI(miner, observer)
		// First, as the monitor says until then that the miner is not ready.
		servers = append([]*http.Server{server}, servers...)
		start(func() error { return s.serve(server, s.api, "the API") })
	}
	// What starting has left over is given back, as the miner stays for months: a third of
	// its memory. It has time until the first job is being searched.
	defer time.AfterFunc(5*time.Second, debug.FreeOSMemory).Stop()
	if s.reportEvery > 0 {
		start(func() error {
			hashrate.Reports{Miner: miner, Difficulty: s.proof.Difficulty, Interval: s.reportEvery, Log: s.log, More: show.report}.Run(ctx)
			return nil
		})
	}
	if s.supervised() {
		start(func() error {
			s.supervise(ctx, miner, up)
			return nil
		})
	}
	start(func() error {
		<-ctx.Done()
		var err error
		for _, server := range servers {
			err = errors.Join(err, shutDown(server, s.log))
		}
		return err
	})
	return g.Wait()
}

// newAPI returns the server of a miner's API.
func (s service) newAPI(miner *mining.Miner, observer httpapi.Observer) *http.Server {
	requests := s.limits.requests()
	api := httpapi.New(miner, s.log, observer, requests)
	api.Protect(func(next http.Handler, refuse func(http.ResponseWriter, *http.Request, int, string)) http.Handler {
		return s.hosts.Wrap(access.RefusePages(s.guard.Wrap(next, refuse), refuse), refuse)
	})
	return httpapi.NewServer(api, s.log, requests)
}

// newMiner returns a miner with the CPU's crew, scheduled as it is to be.
func (s service) newMiner() *mining.Miner {
	log := s.log
	if s.connects() { // and the link tells of its jobs, of which the miner's are searches, or leases
		var but []string
		if s.worksFor == nil { // most leases have no winner, which is no failure
			but = append(but, "job failed")
		}
		log = slog.New(console.Lowered(log.Handler(), but...))
	}
	var refused sync.Once
	groups := priority.NewGroups()
	crew := &mining.Crew{
		Engine:   s.engine,
		Workers:  s.workers,
		Throttle: s.scheduling.Throttle.share(),
		Replace:  replace(s.proof, s.log),
		Enter: func() {
			if err := groups.Enter(s.scheduling.Priority, s.scheduling.Affinity); err != nil {
				refused.Do(func() { s.log.Warn("workers are not scheduled as they should be", "error", err) })
			}
		},
	}
	miner := mining.New(log)
	if s.workers > 0 { // or GPUs alone are to mine
		miner.Add(crew)
	}
	miner.Limits = s.limits.jobs()
	miner.Difficulty = s.proof.Difficulty
	if s.connects() {
		miner.Limits.Over = shownJobs
	}
	return miner
}

// shownJobs is how many jobs of nodes and pools the metrics and the page show when they are over.
const shownJobs = 32

// shown is what there is to see beside the miner.
type shown struct {
	up      uplink
	hub     *hub.Hub                      // nil for none
	devices atomic.Pointer[[]*gpu.Device] // nil until it is known which there are
}

// report returns what each line with the hash rate has of it.
func (s *shown) report() []any {
	attrs := s.up.report()
	if s.hub != nil {
		attrs = append(attrs, reportOfFleet(s.hub.Overview())...)
	}
	return attrs
}

// setup returns what the metrics tell of how the miner is set up, and of what there is beside it.
func (s service) setup(show *shown) metrics.Setup {
	setup := metrics.Setup{
		CPUs:     s.cpus,
		PoW:      string(s.proof),
		Priority: s.scheduling.Priority.String(),
		Affinity: cmp.Or(s.scheduling.Affinity.String(), "any"),
		Throttle: s.scheduling.Throttle.share(),

		AuthFailures: s.guard.Failures,
	}
	if s.gpus.wanted() {
		for _, state := range gpu.States {
			setup.GPUStates = append(setup.GPUStates, string(state))
		}
		setup.GPUs = func() (gpus []metrics.GPU) {
			if found := show.devices.Load(); found != nil {
				for _, d := range *found {
					gpus = append(gpus, standing(d))
				}
			}
			return gpus
		}
	}
	if show.up.node != nil {
		setup.Node = show.up.node.Status
	}
	if show.up.pool != nil {
		setup.Pool = show.up.pool.Status
	}
	if show.up.hub != nil {
		setup.Hub = show.up.hub.Status
	}
	if show.hub != nil {
		setup.Fleet = show.hub.Overview
	}
	return setup
}

// url returns the URL that a listener is reached by.
func (s service) url(listener net.Listener) string {
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + listener.Addr().String()
}

// serve runs a server until it is shut down.
func (s service) serve(server *http.Server, listener net.Listener, what string) error {
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", what, err)
	}
	return nil
}

// shutDown ends a server, after the requests in flight if they take no longer
// than shutdownTime.
func shutDown(server *http.Server, log *slog.Logger) error {
	grace, cancel := context.WithTimeout(context.Background(), shutdownTime)
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
}
