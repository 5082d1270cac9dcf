package access

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Hosts are the names that a server is known by, in lower case, beside IP addresses and
// localhost, which are everyone's.
type Hosts []string

// KnownHosts returns the names of this machine, and those that are given. Of these, IP
// addresses and empty ones do not count.
func KnownHosts(names ...string) Hosts {
	var hosts Hosts
	if own, err := os.Hostname(); err == nil {
		own = normal(own)
		short, _, _ := strings.Cut(own, ".")
		// The last is what it is called by multicast DNS (RFC 6762, section 3).
		hosts = append(hosts, own, short, short+".local")
	}
	for _, name := range names {
		if _, err := netip.ParseAddr(name); err != nil && name != "" {
			hosts = append(hosts, normal(name))
		}
	}
	return hosts
}

// normal returns a name as names are compared: in any case, and with a dot at the end
// or without, it is the same (RFC 4343, and RFC 1034, section 3.1).
func normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// known reports whether a request's Host names this machine.
func (h Hosts) known(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil || host == "" { // HTTP/1.0 has none
		return true
	}
	host = normal(host)
	return host == "localhost" || slices.Contains(h, host)
}

// RefuseOtherHosts returns a handler that refuses, with 421, requests for a host that
// is not this one. They are how a web page gets around what keeps pages of other
// origins apart, which is called DNS rebinding: a page of evil.example, whose name
// is then made to stand for the miner's address, is of the miner's origin in the eyes of
// the browser. But the browser asks for evil.example. A node that dials an address, or
// one of the names, is never refused.
func RefuseOtherHosts(next http.Handler, hosts Hosts, refuse Refuse, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hosts.known(r.Host) {
			log.Warn("request refused: it is for a host that is not this one; if it is, name it with --allow-host", "host", r.Host, "client", r.RemoteAddr)
			refuse(w, r, http.StatusMisdirectedRequest,
				"the request is for another host: this one is known by its IP addresses, localhost, its own name, and what --allow-host names")
			return
		}
		next.ServeHTTP(w, r)
	})
}
