package access

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBrowsers(t *testing.T) {
	const host = "miner.example:9834"
	for _, c := range []struct {
		name         string
		header       string // "Name: value", one a line
		pages, sites bool   // let in by RefusePages and by RefuseOtherSites
	}{
		{name: "no browser", pages: true, sites: true},
		{name: "address typed in", header: "Sec-Fetch-Site: none\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document", pages: true, sites: true},
		{name: "the browser itself", header: "Sec-Fetch-Site: none\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: empty", pages: true, sites: true},
		{name: "own page's events", header: "Sec-Fetch-Site: same-origin\nSec-Fetch-Mode: cors\nSec-Fetch-Dest: empty", sites: true},
		{name: "own page's POST", header: "Sec-Fetch-Site: same-origin\nOrigin: http://" + host, sites: true},
		{name: "own page, other letters", header: "Origin: http://" + strings.ToUpper(host), sites: true},
		{name: "own page, by TLS", header: "Origin: https://" + host, sites: true},
		{name: "link elsewhere", header: "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document", sites: true},
		{name: "link at a neighbour", header: "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document", sites: true},
		{name: "fetch elsewhere", header: "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\nSec-Fetch-Dest: empty"},
		{name: "fetch by a neighbour", header: "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: cors\nSec-Fetch-Dest: empty"},
		{name: "image elsewhere", header: "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: image"},
		{name: "frame elsewhere", header: "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe"},
		{name: "document that is not navigated to", header: "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\nSec-Fetch-Dest: document"},
		{name: "form elsewhere", header: "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\nOrigin: http://evil.example"},
		{name: "unheard of", header: "Sec-Fetch-Site: near-site"},
		{name: "two values", header: "Sec-Fetch-Site: none\nSec-Fetch-Site: cross-site"},
		{name: "empty value", header: "Sec-Fetch-Site: "},
		{name: "old browser elsewhere", header: "Origin: http://evil.example"},
		{name: "other port", header: "Origin: http://miner.example:1"},
		{name: "no port", header: "Origin: http://miner.example"},
		{name: "page without an origin", header: "Origin: null"},
		{name: "empty origin", header: "Origin: "},
		{name: "no URL", header: "Origin: http://%zz"},
		{name: "two origins", header: "Origin: http://" + host + "\nOrigin: http://evil.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, m := range []struct {
				name    string
				wrap    func(http.Handler, Refuse) http.Handler
				in      bool
				message string
			}{
				{"RefusePages", RefusePages, c.pages, "refused: requests on behalf of web pages are refused\n"},
				{"RefuseOtherSites", RefuseOtherSites, c.sites, "refused: requests on behalf of pages of other sites are refused\n"},
			} {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Host = host
				for line := range strings.Lines(c.header) {
					name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
					r.Header.Add(name, value)
				}
				code, message := http.StatusForbidden, m.message
				if m.in {
					code, message = http.StatusNoContent, ""
				}
				if w := answer(m.wrap, r); w.Code != code || w.Body.String() != message {
					t.Errorf("%s: %d %s, want %d %s", m.name, w.Code, w.Body, code, message)
				}
			}
		})
	}
}

// TestNoHost has neither a host nor a page with one.
func TestNoHost(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "" // as HTTP/1.0 allows
	r.Header.Set("Origin", "null")
	if w := answer(RefuseOtherSites, r); w.Code != http.StatusForbidden {
		t.Errorf("answered %d", w.Code)
	}
}
