package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/quantus-network/quantus-miner/internal/host/access"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/httpapi"
)

// serveCmd serves the node's API.
type serveCmd struct {
	Port        portFlag  `short:"p" env:"MINER_PORT" default:"9833" help:"Port to listen on; 0 is any that is free."`
	Host        hostFlag  `env:"MINER_HOST" default:"127.0.0.1" help:"Host name or address to listen on; 0.0.0.0 is every IPv4 address, :: every address of both kinds."`
	MetricsPort *portFlag `env:"MINER_METRICS_PORT" placeholder:"PORT" help:"Port for Prometheus metrics, and for a live page at /; 0 is any that is free. Without it there are none."`
	MetricsHost *hostFlag `env:"MINER_METRICS_HOST" placeholder:"HOST" help:"Host name or address for the metrics; by default that of --host. Needs --metrics-port."`
	hostsFlags
	powFlags
	dutyFlags
	gpuFlags `set:"gpu_default=none"`
	hubFlags
	accessFlags
	limitFlags
}

// accessFlags say who may talk to the miner.
type accessFlags struct {
	AuthFile string `group:"Access:" env:"MINER_AUTH_FILE" placeholder:"FILE" help:"File of credentials, one of which every request must have then: lines user:hash, as htpasswd -B writes them, or tokens of 16 to 256 characters. Mode 0640 or stricter."`
	TLSCert  string `name:"tls-cert" group:"Access:" env:"MINER_TLS_CERT" placeholder:"FILE" help:"Certificate for HTTPS, in PEM, with the chain if there is one. It is read again when it changes."`
	TLSKey   string `name:"tls-key" group:"Access:" env:"MINER_TLS_KEY" placeholder:"FILE" help:"Key of that certificate, in PEM. Mode 0640 or stricter."`
}

// hostsFlags say what the miner is called.
type hostsFlags struct {
	AllowHost []nameFlag `group:"Access:" env:"MINER_ALLOW_HOST" placeholder:"NAME" help:"Name that requests may be for, beside IP addresses, localhost, this machine's name, that of --host or --metrics-host, and those of --tls-cert. Requests for other names are refused with 421. May be repeated."`
}

// nameFlag is a host name.
type nameFlag string

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *nameFlag) UnmarshalText(text []byte) error {
	text = bytes.TrimSpace(text) // of a list, perhaps
	if !hostName.Match(text) {
		return errors.New("must be a host name such as miner.example, without a port")
	}
	*f = nameFlag(text)
	return nil
}

// hosts returns the names that requests may be for, those that are listened on and those
// of the certificate included.
func (f hostsFlags) hosts(config *tls.Config, log *slog.Logger, listened ...*hostFlag) *access.Hosts {
	var names []string
	for _, host := range f.AllowHost {
		names = append(names, string(host))
	}
	for _, host := range listened {
		if host != nil {
			names = append(names, string(*host))
		}
	}
	return access.NewHosts(config, log, names...)
}

// open returns the guard and the configuration of TLS that the flags ask for, each
// nil if they ask for none.
func (f accessFlags) open(log *slog.Logger) (guard *access.Guard, config *tls.Config, err error) {
	if f.AuthFile != "" {
		if guard, err = access.NewGuard(f.AuthFile, log); err != nil {
			return nil, nil, fmt.Errorf("--auth-file: %w", err)
		}
	}
	if f.TLSCert != "" {
		if config, err = access.TLS(f.TLSCert, f.TLSKey, log); err != nil {
			return nil, nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
	}
	return guard, config, nil
}

// limitFlags bound what clients can make the miner hold.
type limitFlags struct {
	MaxRunning     countFlag    `group:"Limits:" env:"MINER_MAX_RUNNING" default:"64" placeholder:"N" help:"Jobs that may run at the same time, ${default} by default. They share the workers."`
	MaxJobs        countFlag    `group:"Limits:" env:"MINER_MAX_JOBS" default:"4096" placeholder:"N" help:"Jobs that may be known, ${default} by default: those that run, and those that ended within the last five minutes."`
	AbandonAfter   intervalFlag `group:"Limits:" env:"MINER_ABANDON_AFTER" default:"5m" placeholder:"TIME" help:"Give a running job up when nobody has asked about it for so long, ${default} by default, from 1s; 0 for never."`
	MaxConnections countFlag    `group:"Limits:" env:"MINER_MAX_CONNECTIONS" default:"512" placeholder:"N" help:"Connections that may be open at the same time on each port, ${default} by default. As many again are told so; the rest is closed."`
	MaxJobID       countFlag    `name:"max-job-id" group:"Limits:" env:"MINER_MAX_JOB_ID" default:"256" placeholder:"BYTES" help:"Length of a job_id in bytes, ${default} by default; at most a quarter of --max-header."`
	MaxBody        sizeFlag     `group:"Limits:" env:"MINER_MAX_BODY" default:"8KiB" placeholder:"SIZE" help:"Size of a request's body, from 1KiB to 1MiB, ${default} by default."`
	MaxHeader      sizeFlag     `group:"Limits:" env:"MINER_MAX_HEADER" default:"8KiB" placeholder:"SIZE" help:"Size of a request's header, from 1KiB to 1MiB, ${default} by default."`
	RequestTimeout durationFlag `group:"Limits:" env:"MINER_REQUEST_TIMEOUT" default:"10s" placeholder:"TIME" help:"Time in which a request must arrive, its header in half of it; ${default} by default."`
}

// jobs returns the limits on jobs.
func (f limitFlags) jobs() mining.Limits {
	return mining.Limits{Running: int(f.MaxRunning), Known: int(f.MaxJobs), AbandonAfter: time.Duration(f.AbandonAfter)}
}

// requests returns the limits on requests.
func (f limitFlags) requests() httpapi.Limits {
	return httpapi.Limits{
		JobID:       int(f.MaxJobID),
		Body:        int(f.MaxBody),
		Header:      int(f.MaxHeader),
		Connections: int(f.MaxConnections),
		Request:     time.Duration(f.RequestTimeout),
	}
}

// Validate implements the parser's check of the command as a whole.
func (c *serveCmd) Validate() error {
	if c.MetricsHost != nil && c.MetricsPort == nil {
		return errors.New("--metrics-host: needs --metrics-port, without which there are no metrics")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert, --tls-key: each needs the other")
	}
	if err := c.hubFlags.check(); err != nil {
		return err
	}
	if err := c.dutyFlags.check(c.PoW, c.gpuFlags, c.hubFlags.exists()); err != nil {
		return err
	}
	// Each byte of a job_id in a path can take three (%41), and other fields are there, too.
	if 4*int(c.MaxJobID) > int(c.MaxHeader) {
		return fmt.Errorf("--max-job-id: must not exceed a quarter of --max-header, %d bytes, or the result of some jobs could not be asked for", int(c.MaxHeader)/4)
	}
	return nil
}

// Run serves until the context is done.
func (c *serveCmd) Run(ctx context.Context, s streams) error {
	svc, err := c.service(c.PoW, s)
	if err != nil {
		return err
	}
	log := svc.log
	svc.limits = c.limitFlags
	svc.gpus = c.gpuFlags
	svc.check = func() error {
		_, _, err := c.accessFlags.open(log)
		return err
	}
	if svc.guard, svc.tls, err = c.accessFlags.open(log); err != nil {
		return err
	}
	svc.hosts = c.hosts(svc.tls, log, &c.Host, c.MetricsHost)
	if svc.api, err = listen(ctx, c.Host, c.Port, "--port and --host"); err != nil {
		return err
	}
	defer svc.api.Close() // again, if all goes well
	if c.MetricsPort != nil {
		host := c.Host
		if c.MetricsHost != nil {
			host = *c.MetricsHost
		}
		if svc.metrics, err = listen(ctx, host, *c.MetricsPort, "--metrics-port and --metrics-host"); err != nil {
			return err
		}
		defer svc.metrics.Close()
		log.Info("serving metrics and a live page", "page", svc.url(svc.metrics))
	}
	if svc.fleet, err = c.hubFlags.open(c.PoW, log); err != nil {
		return err
	}
	defer svc.fleet.close()
	log.Info("serving the node's API", "url", svc.url(svc.api), "pow", svc.proof, "engine", svc.engine.Name(),
		"kernel", svc.engine.Backend(), "workers", svc.workers, "priority", c.Priority, "affinity", cmp.Or(c.Affinity.String(), "any"),
		"throttle", c.Throttle.String(), "version", version(), "revision", revision())
	if svc.guard == nil && !(isLoopback(svc.api) && isLoopback(svc.metrics)) {
		log.Warn("anyone who reaches this port can make the miner work: let nobody but the node reach it, or ask for credentials with --auth-file")
	} else if svc.guard != nil && svc.tls == nil && !(isLoopback(svc.api) && isLoopback(svc.metrics)) {
		log.Warn("credentials cross the network in plain text: unless something else encrypts them, say --tls-cert and --tls-key")
	}
	if err := svc.run(ctx); err != nil {
		return err
	}
	log.Info("shut down")
	return nil
}
