package access

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What a browser says about a request, and no page can change: of what origin the
// page is that it is for (Origin, in the Fetch standard); how that is related to the
// server, and what the answer is to be (Sec-Fetch-*, in W3C's Fetch Metadata).
const (
	headerOrigin = "Origin"
	headerSite   = "Sec-Fetch-Site"
	headerMode   = "Sec-Fetch-Mode"
	headerDest   = "Sec-Fetch-Dest"
)

// RefusePages returns a handler for a server that has no page of its own: it refuses,
// with 403, what a browser asks for on behalf of any page. A miner on a machine where
// somebody browses could be put to work by each page that is visited otherwise.
//
// There is no origin that is let in, not even the server's own, because of DNS rebinding
// (see [Hosts]). By plain HTTP a browser says nothing about a GET of such a
// page, which is why requests for other hosts are refused as well.
func RefusePages(next http.Handler, refuse Refuse) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// "none" is an address that a person has typed in, and no link.
		byPage := slices.ContainsFunc(r.Header.Values(headerSite), func(site string) bool { return site != "none" })
		if byPage || len(r.Header.Values(headerOrigin)) > 0 {
			refuse(w, r, http.StatusForbidden, "requests on behalf of web pages are refused")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// RefuseOtherSites returns a handler for a server that has a page: it refuses, with
// 403, what a browser asks for on behalf of a page of another origin. Links from
// there may lead to the page, but it cannot be put in a frame.
func RefuseOtherSites(next http.Handler, refuse Refuse) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := func(site string) bool { return site == "same-origin" || site == "none" }
		followed := r.Header.Get(headerMode) == "navigate" && r.Header.Get(headerDest) == "document"
		bySite := allOf(r.Header.Values(headerSite), own) || followed
		sameHost := func(origin string) bool {
			page, err := url.Parse(origin) // "null" has no host
			return err == nil && page.Host != "" && strings.EqualFold(page.Host, r.Host)
		}
		if !bySite || !allOf(r.Header.Values(headerOrigin), sameHost) {
			refuse(w, r, http.StatusForbidden, "requests on behalf of pages of other sites are refused")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allOf reports whether all values of a header are as they should be.
func allOf(values []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(values, func(value string) bool { return !ok(value) })
}
