package e2e

import (
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/simulate"
)

var (
	troubleTime = flag.Duration("trouble", 30*time.Second, "how long TestTrouble has a node be in trouble")
	troubleSeed = flag.Uint64("trouble-seed", 0, "which trouble TestTrouble makes, and when; 0 is any")
)

// TestTrouble has a miner work for a node that gets from one trouble into another. No
// winner that is found while there is a connection may be lost, nothing may come of a
// job of a connection before, and in the end the miner must have given back all that
// it took. For minutes of it, and the same again:
//
//	go test -run TestTrouble -v -timeout 20m -args -trouble 5m -trouble-seed 7
func TestTrouble(t *testing.T) {
	seed := *troubleSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-trouble-seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	impossible := simulate.Trouble{Impossible: true}
	n := playNode(t, impossible)
	m := connect(t, n)
	eventually(t, "the miner searches", func() bool { return m.metrics(t)["miner_active_jobs"] == 1 })

	// What a connection survives, and every winner with it.
	bearable := map[string]func(*simulate.Trouble){
		"none":    func(*simulate.Trouble) {},
		"repeats": func(t *simulate.Trouble) { t.Repeat = 3 },
		"pieces":  func(t *simulate.Trouble) { t.Pieces = true },
		"fields":  func(t *simulate.Trouble) { t.Fields = true },
		"refusal": func(t *simulate.Trouble) { t.Refuse = true },
		"loss":    func(t *simulate.Trouble) { t.Loss = 0.1 },
		"silence": func(t *simulate.Trouble) { t.Mute = true }, // for seconds
	}
	// What ends a connection, with a winner on its way maybe.
	own := simulate.Trouble{} // the token and the certificate, once they are other ones
	ends := map[string]func(){
		"drop":            func() { n.Drop("") },
		"drop, reason":    func() { n.Drop("auth timeout") },
		"restart":         func() { n.Drop("restart"); n.SwitchOff(); must(t, n.SwitchOn()) },
		"unknown message": func() { n.Say(`{"Goodbye":{}}`) },
		"long frame":      func() { n.Say(string(make([]byte, 1025))) },
		"other files": func() {
			own = n.renew(t)
			n.now(own)
			n.Drop("other files")
		},
		"crash": func() { n.SwitchOff(); must(t, n.SwitchOn()) }, // which takes the miner some seconds to notice
	}
	with := func(change func(*simulate.Trouble)) simulate.Trouble {
		trouble := own
		change(&trouble)
		return trouble
	}
	pick := func(troubles []string) string { return troubles[random.IntN(len(troubles))] }
	bear, end := slices.Sorted(maps.Keys(bearable)), slices.Sorted(maps.Keys(ends))

	const winners = "miner_winners_total"
	found, arrived := m.metrics(t)[winners], n.seals()
	made := make(map[string]int)
	began := time.Now()
	var before resources
	for round := 0; round < len(bear) || time.Since(began) < *troubleTime; round++ {
		name := pick(bear)
		if round < len(bear) {
			name = bear[round]
		}
		made[name]++
		from := n.seals()
		n.now(with(bearable[name]))
		if name == "silence" {
			<-time.After(time.Duration(random.IntN(4000)) * time.Millisecond)
			n.now(own)
		}
		eventually(t, "seals arrive in spite of "+name, func() bool { return n.seals() >= from+5 })
		n.now(with(func(t *simulate.Trouble) { t.Impossible = true }))
		eventually(t, "every winner has arrived in spite of "+name, func() bool {
			return m.metrics(t)[winners]-found == float64(n.seals()-arrived)
		})
		if round == 0 { // as some threads and buffers come with the first work
			eventually(t, "the miner is at rest", func() bool {
				before = footprint(t, m)
				return before.goroutines > 0
			})
		}

		name = pick(end)
		if round < len(end) {
			name = end[round]
		}
		made[name]++
		n.now(own)
		n.works(t)
		admitted := n.Tally().Admitted
		ends[name]()
		n.now(with(func(t *simulate.Trouble) { t.Impossible = true }))
		eventually(t, "the miner is back after "+name, func() bool {
			return n.Tally().Admitted > admitted && n.Tally().Miners == 1 && m.metrics(t)["miner_active_jobs"] == 1
		})
		found, arrived = m.metrics(t)[winners], n.seals()
	}
	tally := n.Tally()
	t.Logf("%v: %+v", made, tally)

	var after resources
	eventually(t, "the miner has given back all that it took", func() bool {
		after = footprint(t, m)
		return after.goroutines == before.goroutines && after.files == before.files
	})
	t.Logf("%+v before, %+v after", before, after)
	m.signal(t, syscall.SIGTERM)
	if err := m.end(t); err != nil {
		t.Errorf("the miner ended with %v", err)
	}
	eventually(t, "the node knows that the miner is gone", func() bool { return n.Tally().Miners == 0 })
}
