package dashboard

import (
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
	"github.com/quantus-network/quantus-miner/internal/watch/status"
)

//go:embed page.html
var page string

// Facts are what does not change, or hardly ever, while the miner runs.
type Facts struct {
	Go   string `json:"go"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu"`
	CPUs int    `json:"cpus"`
}

// New returns the page and its events, for the miner of a running sampler, which stands
// as its board says.
func New(sampler *hashrate.Sampler, facts Facts, board *status.Board) http.Handler {
	mux := http.NewServeMux()
	policy := securityPolicy(page)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-cache") // a new version has a new page
		_, _ = w.Write([]byte(page))            // fails if the reader is gone
	})
	mux.Handle("GET /events", &events{sampler: sampler, facts: facts, board: board})
	return mux
}

// securityPolicy lets a page run its own script and style, by their hashes, and
// ask this server for data. Nothing else: no markup that found its way into a job
// ID could do anything.
func securityPolicy(page string) string {
	hash := func(element string) string {
		_, rest, _ := strings.Cut(page, "<"+element+">")
		text, _, _ := strings.Cut(rest, "</"+element+">")
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + hash("script"),
		"style-src " + hash("style"),
		"connect-src 'self'",
		"img-src data:", // the icon
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}
