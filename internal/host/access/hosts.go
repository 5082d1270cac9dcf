package access

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Hosts are the names that a server is known by, beside IP addresses and localhost, which
// are everyone's. The nil Hosts have no other name.
type Hosts struct {
	names   []string // as normal returns them
	tls     *tls.Config
	log     *slog.Logger
	records records // bounds the lines in the log
}

// NewHosts returns the names of this machine, those that are given, and those of a
// server's certificate, if it has a configuration of TLS (see [TLS]). Of the names that
// are given, IP addresses and empty ones do not count.
func NewHosts(config *tls.Config, log *slog.Logger, names ...string) *Hosts {
	h := &Hosts{tls: config, log: log}
	if own, err := os.Hostname(); err == nil {
		own = normal(own)
		short, _, _ := strings.Cut(own, ".")
		// The last is what it is called by multicast DNS (RFC 6762, section 3).
		h.names = append(h.names, own, short, short+".local")
	}
	for _, name := range names {
		if _, err := netip.ParseAddr(name); err != nil && name != "" {
			h.names = append(h.names, normal(name))
		}
	}
	return h
}

// normal returns a name as names are compared: in any case, and with a dot at the end
// or without, it is the same (RFC 4343, and RFC 1034, section 3.1).
func normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// known reports whether a request's Host names this machine.
func (h *Hosts) known(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil || host == "" { // HTTP/1.0 has none
		return true
	}
	host = normal(host)
	return host == "localhost" || h != nil && (slices.Contains(h.names, host) || h.certified(host))
}

// certified reports whether the server's certificate is for a name. A browser verifies
// the certificate, so a page of another site cannot use the name. A wildcard does not
// count: it may stand for names of others.
func (h *Hosts) certified(host string) bool {
	if h.tls == nil {
		return false
	}
	certificate, err := h.tls.GetCertificate(nil)
	return err == nil && slices.ContainsFunc(certificate.Leaf.DNSNames, func(name string) bool { return normal(name) == host })
}

// Wrap returns a handler that refuses, with 421, requests for a host that is not this
// one. They are how a web page gets around what keeps pages of other origins apart,
// which is called DNS rebinding: a page of evil.example, whose name is then made to
// stand for the miner's address, is of the miner's origin in the eyes of the browser.
// But the browser asks for evil.example. A node that dials an address, or one of the
// names, is never refused.
func (h *Hosts) Wrap(next http.Handler, refuse Refuse) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.known(r.Host) {
			next.ServeHTTP(w, r)
			return
		}
		h.logRefusal(r)
		refuse(w, r, http.StatusMisdirectedRequest,
			"the request is for another host: this one is known by its IP addresses, localhost, its own name, and what --allow-host names")
	})
}

// logRefusal logs a request that was refused, once a minute for each network.
func (h *Hosts) logRefusal(r *http.Request) {
	if h == nil {
		return
	}
	if count, line := h.records.refused(network(r.RemoteAddr)); line {
		h.log.Warn("request refused: it is for a host that is not this one; if it is, name it with --allow-host",
			"host", shorten(r.Host), "remote", r.RemoteAddr, "requests", count)
	}
}
