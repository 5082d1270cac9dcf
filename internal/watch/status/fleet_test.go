package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/quantus-network/quantus-miner/internal/mining"
)

// fleetOfFive returns a fleet of five, in no order.
func fleetOfFive() []Machine {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	machine := func(name, state string, rate float64, seen time.Duration) Machine {
		return Machine{
			Name: name, ID: fmt.Sprintf("%032x", len(name)*1000+int(rate)), State: state, Since: now, LastSeen: now.Add(-seen), Version: "v1.2.3",
			Threads: 8, Engines: []string{"cpu-simd avx512 cpu"}, Rate10s: rate, Rate15m: rate / 2, Hashes: 1e6, Leases: 2, Winners: uint64(rate),
		}
	}
	five := []Machine{
		machine("rig-b", "working", 3, time.Second), machine("Cellar", "working", 9, time.Second), machine("rig-a", "gone", 0, time.Hour),
		machine("attic", "out", 0, 2*time.Hour), machine("rig-c", "idle", 1, time.Second),
	}
	five[1].Engines = []string{"gpu CUDA gpu0"}
	five[3].Reason = "it has reported a wrong nonce"
	return five
}

// TestMachines asks for pages of the list in many ways.
func TestMachines(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../../api/status.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b := &Board{Machines: fleetOfFive}
	for _, c := range []struct {
		query    string
		names    []string
		matching int
	}{
		{"", []string{"Cellar", "attic", "rig-a", "rig-b", "rig-c"}, 5},
		{"sort=-name", []string{"rig-c", "rig-b", "rig-a", "attic", "Cellar"}, 5},
		{"sort=rate", []string{"Cellar", "rig-b", "rig-c", "attic", "rig-a"}, 5},
		{"sort=-rate", []string{"rig-a", "attic", "rig-c", "rig-b", "Cellar"}, 5},
		{"sort=state", []string{"attic", "rig-a", "rig-c", "Cellar", "rig-b"}, 5},
		{"sort=last_seen&limit=2", []string{"attic", "rig-a"}, 5},
		{"sort=winners&limit=1&offset=1", []string{"rig-b"}, 5},
		{"filter=RIG", []string{"rig-a", "rig-b", "rig-c"}, 3},
		{"filter=cuda", []string{"Cellar"}, 1},
		{"filter=rig&state=working", []string{"rig-b"}, 1},
		{"state=unable", []string{}, 0},
		{"offset=7", []string{}, 5},
		{"limit=0", []string{}, 5},
	} {
		w := httptest.NewRecorder()
		b.ServeMachines(w, httptest.NewRequest("GET", "/api/v1/machines?"+c.query, nil))
		var value any
		var page Machines
		if err := json.Unmarshal(w.Body.Bytes(), &value); err != nil {
			t.Fatal(c.query, err)
		}
		if err := doc.Components.Schemas["Machines"].Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
			t.Errorf("%s: the answer breaks the contract: %v", c.query, err)
		}
		if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&page); err != nil {
			t.Fatal(c.query, err)
		}
		names := []string{}
		for _, m := range page.Machines {
			names = append(names, m.Name)
		}
		if diff := cmp.Diff(c.names, names); diff != "" || page.Total != 5 || page.Matching != c.matching {
			t.Errorf("%s: %d of %d (-want +got):\n%s", c.query, page.Matching, page.Total, diff)
		}
	}
	for _, query := range []string{"sort=colour", "sort=--name", "state=asleep", "limit=501", "limit=-1", "limit=x", "offset=1048577", "filter=" + fmt.Sprintf("%065d", 1)} {
		w := httptest.NewRecorder()
		b.ServeMachines(w, httptest.NewRequest("GET", "/api/v1/machines?"+query, nil))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s is answered with %d", query, w.Code)
		}
	}
}

// TestFleet holds the status of a hub, and of a worker, to golden files.
func TestFleet(t *testing.T) {
	inBubble(t, nil, func(m *mining.Miner, b *Board) {
		b.Fleet = func() Fleet {
			return Fleet{
				Machines: map[string]int{"working": 2, "idle": 1, "unable": 0, "gone": 1, "out": 1}, Rate10s: 13, Rate15m: 6.5,
				Leases: Leases{Sent: 100, Exhausted: 80, Won: 2, TakenBack: 3, Failed: 1, Over: 10}, Winners: Offers{Taken: 2, Known: 1, Stale: 4}, Refused: 5,
			}
		}
		golden(t, "testdata/fleet.json", ask(t, b))
	})
	inBubble(t, nil, func(m *mining.Miner, b *Board) {
		hub := Hub{
			Address: "hub.example:9835", Name: "rig-a", State: "working", Since: time.Now(), Connections: 2, Failures: 1, Leases: 2, Waiting: 1,
			Winners: Offers{Taken: 7}, Summary: "working for the hub hub.example:9835",
		}
		b.Hub = func() Hub { return hub }
		golden(t, "testdata/worker.json", ask(t, b))
		next := time.Now().UTC().Truncate(time.Millisecond)
		hub.State, hub.Reason, hub.NextTry, hub.Summary = "not_connected", "connection refused", &next, "not connected to hub.example:9835: connection refused"
		if s := b.Status(); s.State != "not_connected" || s.Reason != hub.Summary {
			t.Errorf("the state is %s: %s", s.State, s.Reason)
		}
		hold(t, []byte(ask(t, b)))
	})
}
