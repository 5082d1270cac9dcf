package status

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hub is how the miner stands with the hub that it works for.
type Hub struct {
	Address string    `json:"address"`
	Name    string    `json:"name"`  // of this machine in the fleet, empty before it was told
	State   string    `json:"state"` // "not_connected", "refused", "waiting", "working"
	Since   time.Time `json:"since"` // when it came to that state
	// Reason is why there is no connection, or empty, and NextTry when one is tried, or
	// null.
	Reason  string     `json:"reason"`
	NextTry *time.Time `json:"next_try"`

	Connections uint64 `json:"connections"` // that were made
	Failures    uint64 `json:"failures"`    // connections that were lost, and attempts that failed
	Leases      int    `json:"leases"`      // that the machine holds
	Waiting     int    `json:"waiting"`     // winners that wait for the hub
	Winners     Offers `json:"winners"`

	// Summary says all this for people.
	Summary string `json:"summary"`
}

// Offers counts winners that were offered to a hub by what became of them.
type Offers struct {
	Taken uint64 `json:"taken"`
	Known uint64 `json:"known"`
	Stale uint64 `json:"stale"`
	Wrong uint64 `json:"wrong"`
}

// Fleet is how the machines stand that mine for this one, all together.
type Fleet struct {
	Machines map[string]int `json:"machines"`      // by state
	Rate10s  float64        `json:"hash_rate_10s"` // of all of them
	Rate15m  float64        `json:"hash_rate_15m"`
	Leases   Leases         `json:"leases"`
	Winners  Offers         `json:"winners"`
	Refused  uint64         `json:"refused"` // machines that were refused
}

// Leases counts leases by what became of them.
type Leases struct {
	Sent      uint64 `json:"sent"`
	Exhausted uint64 `json:"exhausted"`
	Won       uint64 `json:"won"`
	TakenBack uint64 `json:"taken_back"`
	Failed    uint64 `json:"failed"`
	Over      uint64 `json:"over"`
}

// Machine is one machine of a fleet.
type Machine struct {
	Name  string `json:"name"`
	ID    string `json:"id"`
	State string `json:"state"` // "working", "idle", "unable", "gone", "out"
	// Reason is why it is gone or out, or empty.
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"` // when it came to that state
	LastSeen time.Time `json:"last_seen"`
	Version  string    `json:"version"`
	Threads  int       `json:"threads"`
	Engines  []string  `json:"engines"` // engine, back end and device of each
	Rate10s  float64   `json:"hash_rate_10s"`
	Rate15m  float64   `json:"hash_rate_15m"`
	Hashes   uint64    `json:"hashes"`
	Leases   int       `json:"leases"`
	Winners  uint64    `json:"winners"`
	Wrong    uint64    `json:"wrong"`
}

// Machines is a page of the list of machines.
type Machines struct {
	Total    int       `json:"total"`    // machines that are known
	Matching int       `json:"matching"` // of them as the request has it
	Offset   int       `json:"offset"`   // of the first here among those
	Machines []Machine `json:"machines"`
}

// orders are what machines can be sorted by, each from what one looks for first.
var orders = map[string]func(a, b Machine) int{
	"name": func(a, b Machine) int { return 0 }, // which is the second criterion of all
	"state": func(a, b Machine) int {
		return cmp.Compare(slices.Index(byUrgency, a.State), slices.Index(byUrgency, b.State))
	},
	"rate":      func(a, b Machine) int { return cmp.Compare(b.Rate10s, a.Rate10s) },
	"rate15m":   func(a, b Machine) int { return cmp.Compare(b.Rate15m, a.Rate15m) },
	"threads":   func(a, b Machine) int { return cmp.Compare(b.Threads, a.Threads) },
	"leases":    func(a, b Machine) int { return cmp.Compare(b.Leases, a.Leases) },
	"winners":   func(a, b Machine) int { return cmp.Compare(b.Winners, a.Winners) },
	"last_seen": func(a, b Machine) int { return a.LastSeen.Compare(b.LastSeen) },
	"version":   func(a, b Machine) int { return cmp.Compare(a.Version, b.Version) },
}

// byUrgency are the states of machines, those first that somebody should look at.
var byUrgency = []string{"out", "gone", "unable", "idle", "working"}

// The bounds of a page.
const (
	defaultPage = 50
	maxPage     = 500
	maxFilter   = 64
)

// listing is which machines a request wants.
type listing struct {
	order         string
	reverse       bool
	filter, state string
	offset, limit int
}

// parseListing reads a request's query.
func parseListing(query url.Values) (l listing, err error) {
	l = listing{order: "name", limit: defaultPage, filter: strings.ToLower(query.Get("filter")), state: query.Get("state")}
	if sort := query.Get("sort"); sort != "" {
		l.order, l.reverse = strings.CutPrefix(sort, "-")
		if orders[l.order] == nil {
			return l, fmt.Errorf("sort: must be one of %s, with a hyphen in front for the other way round", strings.Join(slices.Sorted(maps.Keys(orders)), ", "))
		}
	}
	if l.state != "" && !slices.Contains(byUrgency, l.state) {
		return l, fmt.Errorf("state: must be one of %s", strings.Join(byUrgency, ", "))
	}
	if len(l.filter) > maxFilter {
		return l, fmt.Errorf("filter: must have at most %d bytes", maxFilter)
	}
	number := func(name string, value *int, most int) {
		text := query.Get(name)
		if text == "" || err != nil {
			return
		}
		n, parse := strconv.Atoi(text)
		if parse != nil || n < 0 || n > most {
			err = fmt.Errorf("%s: must be a number from 0 to %d", name, most)
		}
		*value = n
	}
	number("offset", &l.offset, 1<<20)
	number("limit", &l.limit, maxPage)
	return l, err
}

// of returns the page of a list of machines, which it sorts.
func (l listing) of(machines []Machine) Machines {
	page := Machines{Total: len(machines), Machines: []Machine{}}
	machines = slices.DeleteFunc(machines, func(m Machine) bool {
		return l.state != "" && m.State != l.state || !m.matches(l.filter)
	})
	slices.SortFunc(machines, func(a, b Machine) int {
		by := cmp.Or(orders[l.order](a, b), strings.Compare(a.Name, b.Name))
		if l.reverse {
			return -by
		}
		return by
	})
	page.Matching = len(machines)
	page.Offset = min(l.offset, len(machines))
	page.Machines = append(page.Machines, machines[page.Offset:min(page.Offset+l.limit, len(machines))]...)
	return page
}

// matches reports whether a text, in lower case, is part of what the machine is called or has.
func (m Machine) matches(text string) bool {
	if strings.Contains(strings.ToLower(m.Name), text) || strings.HasPrefix(m.ID, text) || strings.Contains(strings.ToLower(m.Version), text) {
		return true
	}
	return slices.ContainsFunc(m.Engines, func(e string) bool { return strings.Contains(strings.ToLower(e), text) })
}

// ServeMachines answers with a page of the list of machines: those of a fleet that has none are
// no machines.
func (b *Board) ServeMachines(w http.ResponseWriter, r *http.Request) {
	l, err := parseListing(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var machines []Machine
	if b.Machines != nil {
		machines = b.Machines()
	}
	writeJSON(w, l.of(machines))
}

// writeJSON answers with JSON.
func writeJSON(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(what) // fails if the reader is gone
}
