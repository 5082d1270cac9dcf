package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// healthCmd asks a miner that runs how it is.
type healthCmd struct {
	MetricsPort portFlag `required:"" env:"MINER_METRICS_PORT" placeholder:"PORT" help:"Port of the miner's metrics."`
	MetricsHost hostFlag `env:"MINER_METRICS_HOST" default:"127.0.0.1" placeholder:"HOST" help:"Host name or address of the miner's metrics; by default 127.0.0.1."`
	TLSCert     string   `name:"tls-cert" env:"MINER_TLS_CERT" placeholder:"FILE" help:"Certificate that the miner has: if there is one, it is asked by HTTPS. The file is not read."`
	Ready       bool     `help:"Ask whether it is ready to mine, and not just whether it is alive: it is not ready without a node or a pool."`
}

// Help is what --help says beyond the summary.
func (c *healthCmd) Help() string {
	return "It is for what keeps a miner running, such as the health check of a container.\n\nExit code 0: it is well. 1: it is not, or gives no answer within 5 seconds."
}

// healthTime is how long an answer may take.
const healthTime = 5 * time.Second

// url returns what to ask. A miner that listens on every address is asked on this machine.
func (c *healthCmd) url() string {
	host := string(c.MetricsHost)
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	scheme, path := "http", "/healthz"
	if c.TLSCert != "" {
		scheme = "https"
	}
	if c.Ready {
		path = "/readyz"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(int(c.MetricsPort))) + path
}

// Run asks.
func (c *healthCmd) Run(ctx context.Context, s streams) error {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(), nil)
	if err != nil {
		return fmt.Errorf("asking the miner: %w", err)
	}
	client := http.Client{Transport: &http.Transport{
		// The certificate is for the names that others know the miner by. Nothing secret is
		// sent, and of the answer nothing but the code counts.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the miner: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("asking the miner: %w", err)
	}
	answer := strings.TrimSpace(string(text))
	if response.StatusCode != http.StatusOK {
		return exitError{exitNo, fmt.Errorf("the miner answers %s: %s", response.Status, answer)}
	}
	if _, err := fmt.Fprintln(s.out, answer); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}
