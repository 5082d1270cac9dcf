// Package kat holds known answers, for tests: what an independent
// implementation of the consensus rule computed. The files in testdata are as
// they came; their notes say how they were made.
package kat

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

//go:embed testdata/qpow_sha3.json
var headersFile []byte

//go:embed testdata/qpow_sha3_search.json
var searchesFile []byte

// Header is what follows from a header, and from some nonces with it.
type Header struct {
	Name   string
	Header [32]byte
	// Rehashes is how often a candidate for n was replaced by its hash.
	Rehashes     int
	M, N, Target u512.Uint
	Nonces       []Nonce
}

// Nonce is what follows from a nonce.
type Nonce struct {
	Label              string
	Nonce, Y, Distance u512.Uint
}

// Search is the result of a search in ascending order.
type Search struct {
	Name       string
	Header     [32]byte
	Threshold  u512.Uint
	Start, End u512.Uint // inclusive
	// Found says whether there is a winner: Nonce, at this Distance.
	Found           bool
	Nonce, Distance u512.Uint
	// HashCount is the number of nonces evaluated, the winner included.
	HashCount uint64
}

// Headers returns the known answers about headers and nonces.
func Headers(t testing.TB) []Header {
	t.Helper()
	var file struct {
		Cases []struct {
			Name, Header string
			Rehashes     int
			M, N, Target string
			Nonces       []struct{ Label, Nonce, Y, Distance string }
		}
	}
	decode(t, headersFile, &file)
	var headers []Header
	for _, c := range file.Cases {
		h := Header{c.Name, header(t, c.Header), c.Rehashes, number(t, c.M), number(t, c.N), number(t, c.Target), nil}
		for _, n := range c.Nonces {
			h.Nonces = append(h.Nonces, Nonce{n.Label, number(t, n.Nonce), number(t, n.Y), number(t, n.Distance)})
		}
		headers = append(headers, h)
	}
	return notEmpty(t, headers)
}

// Searches returns the known answers about searches.
func Searches(t testing.TB) []Search {
	t.Helper()
	var file struct {
		Cases []struct {
			Name, Header, Threshold string
			NonceStart              string `json:"nonce_start"`
			NonceEnd                string `json:"nonce_end"`
			Expected                struct {
				Status, Nonce, Distance string
				HashCount               uint64 `json:"hash_count"`
			}
		}
	}
	decode(t, searchesFile, &file)
	var searches []Search
	for _, c := range file.Cases {
		s := Search{Name: c.Name, Header: header(t, c.Header), Start: number(t, c.NonceStart), End: number(t, c.NonceEnd), HashCount: c.Expected.HashCount}
		var err error
		if s.Threshold, err = u512.ParseDecimal(c.Threshold); err != nil {
			t.Fatalf("%s: threshold %q: %v", c.Name, c.Threshold, err)
		}
		switch c.Expected.Status {
		case "found":
			s.Found, s.Nonce, s.Distance = true, number(t, c.Expected.Nonce), number(t, c.Expected.Distance)
		case "exhausted":
		default:
			t.Fatalf("%s: status %q", c.Name, c.Expected.Status)
		}
		searches = append(searches, s)
	}
	return notEmpty(t, searches)
}

func decode(t testing.TB, file []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(file, v); err != nil {
		t.Fatalf("decoding known answers: %v", err)
	}
}

func notEmpty[T any](t testing.TB, answers []T) []T {
	t.Helper()
	if len(answers) == 0 {
		t.Fatal("no known answers")
	}
	return answers
}

func number(t testing.TB, s string) u512.Uint {
	t.Helper()
	x, err := u512.ParseHex(s)
	if err != nil {
		t.Fatalf("known answer %q: %v", s, err)
	}
	return x
}

func header(t testing.TB, s string) (header [32]byte) {
	t.Helper()
	if n, err := hex.Decode(header[:], []byte(s)); n != len(header) || err != nil {
		t.Fatalf("known header %q: %v", s, err)
	}
	return header
}
