package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleetTest runs a test in a bubble with a hub.
func fleetTest(t *testing.T, rule *book, test func(t *testing.T, r *rig)) {
	bubble(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.stop()
		r := newRig(t, b, rule)
		defer r.end()
		defer func() {
			if t.Failed() {
				t.Log(r.log)
			}
		}()
		synctest.Wait() // until the hub listens
		test(t, r)
	})
}

// cpu returns an engine of so many nonces a second.
func cpu(rule *book, rate float64) *steady {
	return &steady{book: rule, perNonce: time.Duration(float64(time.Second) / rate), batch: max(1, uint64(rate/100))}
}

// TestRange has three machines of unlike speeds search a range: each nonce once, and counted once. Leases
// are as long as they should be, for each of them.
func TestRange(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		slow, fast := r.work("slow", cpu(rule, 1000)), r.work("fast", cpu(rule, 100_000), cpu(rule, 1_000_000))
		defer slow.leave()
		defer fast.leave()
		await(t, "the machines", 5*time.Second, func() bool { return len(r.hub.Overview().Machines) == 2 })
		all := nonces(1, 50_000_000)
		job := r.submit(mining.Request{ID: "job", Range: all})
		<-time.After(20 * time.Second)
		before := r.hub.Overview()
		<-time.After(20 * time.Second)
		after := r.hub.Overview()
		for i, m := range after.Machines {
			if want := []float64{1_100_000, 1000}[i]; m.Rate10s < 0.98*want || m.Rate10s > 1.02*want || m.Leases != 2 || m.State != hub.Working {
				t.Errorf("%s: %+v, want a rate of %.0f", m.Name, m, want)
			}
		}
		// Two machines, leases of 2 to 5 s, in 20 s.
		if n := after.Leases.Exhausted - before.Leases.Exhausted; n < 8 || n > 20 {
			t.Errorf("%d leases in 20 s", n)
		}
		if s := r.over(job); s.Err != mining.ErrExhausted || s.Evaluated != 50_000_000 {
			t.Errorf("%+v, want exhausted after all nonces", s)
		}
		if err := rule.check(all, false); err != nil {
			t.Error(err)
		}
		o := r.miner.Overview()
		threads := map[mining.Thread]uint64{}
		for i, thread := range o.Jobs[0].Threads {
			threads[thread] = o.Jobs[0].Workers[i]
		}
		a, b := threads[mining.Thread{Engine: hub.EngineName, Worker: "fast"}], threads[mining.Thread{Engine: hub.EngineName, Worker: "slow"}]
		if len(threads) != 2 || a+b != 50_000_000 || r.machine("fast").Hashes != a || r.machine("slow").Hashes != b {
			t.Errorf("by machine: %v, and the hub: %+v", threads, r.hub.Overview().Machines)
		}
	})
}

// TestRandomFleet has machines of random speeds join, leave, die and be cut off at random while a range is
// searched. Every nonce is searched, and counted once; without accidents it is searched once.
func TestRandomFleet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type event struct {
			after   time.Duration
			kind    string
			rate    float64
			threads int
		}
		var events []event
		accidents := false
		for range rapid.IntRange(1, 20).Draw(rt, "events") {
			e := event{
				after:   time.Duration(rapid.IntRange(0, 4000).Draw(rt, "after")) * time.Millisecond,
				kind:    rapid.SampledFrom([]string{"join", "join", "join", "leave", "die", "cut", "heal", "hang up"}).Draw(rt, "kind"),
				rate:    float64(rapid.SampledFrom([]int{100, 3000, 100_000}).Draw(rt, "rate")),
				threads: rapid.IntRange(1, 3).Draw(rt, "threads"),
			}
			accidents = accidents || e.kind != "join"
			events = append(events, e)
		}
		all := nonces(7, 7+rapid.Uint64Range(0, 1_000_000).Draw(rt, "span"))
		rule := new(book)
		var s mining.Snapshot
		var o mining.Overview
		var machines []hub.Machine
		var log string
		bubble(t, func(t *testing.T) {
			b := newBroker(t)
			defer b.stop()
			r := newRig(t, b, rule)
			defer r.end()
			job := r.submit(mining.Request{ID: "job", Range: all})
			last := r.work("last", cpu(rule, 20_000))
			var present, cut []*worker
			for i, e := range events {
				<-time.After(e.after)
				if e.kind == "join" {
					engine := cpu(rule, e.rate)
					engine.threads = e.threads
					present = append(present, r.work(fmt.Sprint("rig", i%3), engine))
					continue
				}
				if len(present) == 0 {
					continue
				}
				w := present[0]
				present = present[1:]
				switch e.kind {
				case "leave":
					w.leave()
				case "die":
					w.die()
				case "cut":
					w.line.cut()
					cut = append(cut, w)
				case "hang up":
					w.line.hangUp()
					present = append(present, w)
				case "heal":
					for _, w := range cut {
						w.line.heal()
					}
					present, cut = append(append(present, w), cut...), nil
				}
			}
			s, o = r.over(job), r.miner.Overview()
			for _, w := range append(append(present, cut...), last) {
				w.leave()
			}
			machines, log = r.hub.Overview().Machines, r.log.String()
		})
		span := all.End.SubWrap(all.Start).Sat64() + 1
		if err := rule.check(all, accidents); err != nil || s.Err != mining.ErrExhausted || s.Evaluated != span {
			rt.Fatalf("%v; %+v, want %d nonces\n%s", err, s, span, log)
		}
		sum := uint64(0)
		for _, n := range o.Jobs[0].Workers {
			sum += n
		}
		if sum != span || o.Evaluated != span {
			rt.Fatalf("threads %d, all %d, want %d: %+v", sum, o.Evaluated, span, machines)
		}
	})
}

// TestSilence cuts a machine off that holds leases. It is missed after five seconds, stops as well by then, and what
// it had not told of others search; when the line is healed it works again within three seconds.
func TestSilence(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		a, b := r.work("a", cpu(rule, 1000)), r.work("b", cpu(rule, 1000))
		defer a.leave()
		defer b.leave()
		all := nonces(1, 100_000)
		job := r.submit(mining.Request{ID: "job", Range: all})
		<-time.After(24200 * time.Millisecond) // both its leases have just begun, or are to
		a.line.cut()
		<-time.After(6 * time.Second)
		if m := r.machine("a"); m.State != hub.Gone || m.Leases != 0 {
			t.Errorf("the machine that was cut off: %+v", m)
		}
		if s := a.link.Status(); s.State != upstream.NotConnected || s.Leases != 0 || a.miner.Current().Running != 0 {
			t.Errorf("it stands at %q with %d jobs", s, a.miner.Current().Running)
		}
		if a.log.Count("the hub is silent") != 1 || r.log.Count("machine is gone") != 1 {
			t.Errorf("its log:\n%s", a.log)
		}
		<-time.After(20 * time.Second)
		a.line.heal()
		healed := time.Now()
		await(t, "the machine to work again", 10*time.Second, func() bool { return r.machine("a").State == hub.Working })
		if took := time.Since(healed); took > 3*time.Second {
			t.Errorf("it was back after %s", took)
		}
		if s := r.over(job); s.Err != mining.ErrExhausted || s.Evaluated != 100_000 {
			t.Errorf("%+v, want exhausted after all nonces", s)
		}
		if err := rule.check(all, true); err != nil {
			t.Error(err)
		}
	})
}
