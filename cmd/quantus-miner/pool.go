package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
)

// poolCmd mines for pools.
type poolCmd struct {
	URL []poolFlag `name:"url" short:"o" env:"MINER_POOL_URL" required:"" placeholder:"URL" help:"Pool to mine for: stratum+ssl://HOST:PORT, or stratum+tcp://HOST:PORT without encryption. More of them, repeated or separated by commas, are fallbacks in this order."`
	loginFlags
	poolTrustFlags
	KeepAlive   intervalFlag `name:"keepalive" env:"MINER_POOL_KEEPALIVE" default:"30s" placeholder:"TIME" help:"Time between two signs of life for a pool that asks for them, ${default} by default; 0 for none."`
	MetricsPort *portFlag    `env:"MINER_METRICS_PORT" placeholder:"PORT" help:"Port for Prometheus metrics, and for a live page at /; 0 is any that is free. Without it there are none."`
	MetricsHost *hostFlag    `env:"MINER_METRICS_HOST" placeholder:"HOST" help:"Host name or address for the metrics; by default 127.0.0.1. Needs --metrics-port."`
	hostsFlags
	dutyFlags
	gpuFlags `set:"gpu_default=auto"`
	hubFlags
}

// Help is what --help says beyond the summary.
func (c *poolCmd) Help() string {
	return "The pool pays to the address in --user; the miner takes no fee. With several pools give --user, the password and the SHA-256 once, for all of them, or once for each, in their order. " +
		"A file with a password is read again before each connection.\n\n" +
		"Exit code 0: ended by a signal. 1: the only pool refuses the login or has another certificate than the SHA-256 says, or no engine is left. " +
		"A pool that is out of reach, or one of several, is tried again for as long as it takes."
}

// Validate implements the parser's check of the command as a whole.
func (c *poolCmd) Validate() error {
	if c.MetricsHost != nil && c.MetricsPort == nil {
		return errors.New("--metrics-host: needs --metrics-port, without which there are no metrics")
	}
	if err := c.loginFlags.checkFor(len(c.URL)); err != nil {
		return err
	}
	if err := c.poolTrustFlags.checkFor(c.URL); err != nil {
		return err
	}
	if err := c.hubFlags.check(); err != nil {
		return err
	}
	return c.dutyFlags.check(pow.Poseidon2, c.gpuFlags, c.hubFlags.exists())
}

// pools returns the pools to mine for, and an error if their files cannot be read.
func (c *poolCmd) pools() (pools []stratum.Pool, err error) {
	roots, err := c.roots()
	if err != nil {
		return nil, err
	}
	for i, url := range c.URL {
		// Now, and not when a fallback is needed, is somebody there to set it right.
		if _, err := c.login(i); err != nil {
			return nil, err
		}
		pool := stratum.Pool{URL: url.String(), Address: url.address(), Login: func() (stratum.Login, error) { return c.login(i) }}
		if url.secure {
			pool.TLS = stratum.TLS(url.host, roots, c.pin(i))
		}
		pools = append(pools, pool)
	}
	return pools, nil
}

// Run mines until the context is done.
func (c *poolCmd) Run(ctx context.Context, s streams) error {
	svc, err := c.service(pow.Poseidon2, s)
	if err != nil {
		return err
	}
	svc.limits.MaxConnections = monitorConnections
	svc.hosts = c.hosts(nil, svc.log, c.MetricsHost)
	svc.gpus = c.gpuFlags
	svc.keepAlive = time.Duration(c.KeepAlive)
	svc.check = func() error {
		_, err := c.pools()
		return err
	}
	if svc.pools, err = c.pools(); err != nil {
		return err
	}
	c.warn(svc.log)
	if svc.metrics, err = svc.listenForMetrics(ctx, c.MetricsHost, c.MetricsPort); err != nil {
		return err
	}
	if svc.metrics != nil {
		defer svc.metrics.Close() // again, if all goes well
	}
	if svc.fleet, err = c.hubFlags.open(pow.Poseidon2, svc.log); err != nil {
		return err
	}
	defer svc.fleet.close()
	svc.log.Info("mining for pools", "pools", c.URL, "users", c.User, "pow", svc.proof, "engine", svc.engine.Name(), "kernel", svc.engine.Backend(),
		"workers", svc.workers, "priority", c.Priority, "affinity", cmp.Or(c.Affinity.String(), "any"),
		"throttle", c.Throttle.String(), "version", version(), "revision", revision())
	if err := svc.run(ctx); err != nil {
		return adviseOnPool(err)
	}
	svc.log.Info("shut down")
	return nil
}

// warn tells of what may be a mistake.
func (c *poolCmd) warn(log *slog.Logger) {
	for _, file := range c.PasswordFile {
		access.WarnExposed(log, file, access.SecretMode)
	}
	for _, user := range c.User {
		if warning := user.warning(); warning != "" {
			log.Warn(warning, "user", user)
		}
	}
}

// adviseOnPool says what to do about an error that ends pool.
func adviseOnPool(err error) error {
	advice := ""
	switch {
	case errors.As(err, new(*stratum.RefusedError)):
		advice = "the words are the pool's. Give the address that it is to pay to, and a name for this machine, as --user ADDRESS.RIG, and see the pool's own page for what it wants as a password"
	case errors.As(err, new(*stratum.PinError)):
		advice = "if this is the pool that you mean, and its certificate is a new one, give that one's SHA-256 with --tls-cert-sha256; if not, another one answers at its address, and has not been told who you are"
	case errors.Is(err, mining.ErrNoEngine):
		advice = "see the log for what is wrong with them, and suspect the machine's memory or overclocking"
	default:
		return err
	}
	return fmt.Errorf("%w\n%s", err, advice)
}
