package hub_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// TestLimit has as many machines join as a hub takes, and more. One that is gone is forgotten when there is no
// room.
func TestLimit(t *testing.T) {
	const limit = 4096
	fleetTest(t, new(book), func(t *testing.T, r *rig) {
		c := newCrowd(t, r, limit)
		defer c.conn.Close()
		hello := func(want string) {
			t.Helper()
			text, err := wire.Encode(wire.Hello{Wire: wire.Version, Name: "late", PoW: "test"})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			answer, err := c.conn.RequestWithContext(ctx, c.subjects.Hello(wire.NewID()), text)
			if err != nil || !strings.Contains(string(answer.Data), want) {
				t.Errorf("%s (%v), want %q", answer.Data, err, want)
			}
		}
		hello("as many as a hub takes")
		<-time.After(10 * time.Second)
		o := r.hub.Overview()
		for _, m := range o.Machines {
			if m.State != hub.Gone || m.Reason == "" {
				t.Fatalf("%+v", m)
			}
		}
		hello(`"name":"late"`)
		if n := len(r.hub.Overview().Machines); n != limit {
			t.Errorf("%d machines are known", n)
		}
	})
}

// TestForgotten has a machine be gone: it is known for a day.
func TestForgotten(t *testing.T) {
	fleetTest(t, new(book), func(t *testing.T, r *rig) {
		c := newCrowd(t, r, 1)
		c.conn.Close()
		<-time.After(24 * time.Hour)
		if o := r.hub.Overview(); len(o.Machines) != 1 || o.Machines[0].State != hub.Gone || time.Since(o.Machines[0].LastSeen) < 23*time.Hour {
			t.Errorf("%+v", o.Machines)
		}
		<-time.After(time.Hour)
		if n := len(r.hub.Overview().Machines); n != 0 || r.miner.Workers() != 0 {
			t.Errorf("a day later %d machines are known", n)
		}
	})
}

// TestAnyMessages has a hub hear whatever comes, of machines and of what is none: a good one finishes a range
// beside that.
func TestAnyMessages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		small := rapid.Uint64Range(0, 40)
		ids := []string{strings.Repeat("a", 32), strings.Repeat("b", 32), "c"}
		type message struct {
			kind, id, text string
			report         wire.Report
			found          wire.Found
		}
		var messages []message
		for range rapid.IntRange(1, 40).Draw(rt, "messages") {
			m := message{kind: rapid.SampledFrom([]string{"hello", "text", "report", "found"}).Draw(rt, "kind"), id: rapid.SampledFrom(ids).Draw(rt, "id")}
			switch m.kind {
			case "text":
				m.text = rapid.String().Draw(rt, "text")
			case "report":
				m.report.State = rapid.SampledFrom([]wire.State{wire.Able, wire.Unable, wire.Leaving, "", "able"}).Draw(rt, "state")
				for range rapid.IntRange(0, 3).Draw(rt, "leases") {
					m.report.Leases = append(m.report.Leases, wire.Progress{
						// None that is exhausted or failed: that would be believed.
						Number: small.Draw(rt, "number"), Tried: rapid.Uint64().Draw(rt, "tried"), End: rapid.SampledFrom([]wire.End{"", wire.Won, wire.Dropped}).Draw(rt, "end"),
					})
				}
			case "found":
				m.found = wire.Found{Job: small.Draw(rt, "job"), Nonce: wire.Nonce(u512.From64(small.Draw(rt, "nonce")))}
			}
			messages = append(messages, m)
		}
		rule := new(book)
		var s mining.Snapshot
		bubble(t, func(t *testing.T) {
			b := newBroker(t)
			defer b.stop()
			r := newRig(t, b, rule)
			defer r.end()
			synctest.Wait()
			job := r.submit(mining.Request{ID: "job", Range: nonces(1, 20_000)})
			conn, err := nats.Connect("", nats.InProcessServer(b))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			id := r.hub.Overview().ID
			for i, m := range messages {
				text, kind := m.text, m.kind
				var say wire.Message
				switch m.kind {
				case "hello":
					say = wire.Hello{Wire: wire.Version, Name: fmt.Sprint(i % 3), PoW: "test"}
				case "report":
					m.report.Hub = id
					say = m.report
				case "found":
					m.found.Hub = id
					say = m.found
				default:
					kind = []string{"hello", "report", "found"}[i%3]
				}
				if say != nil {
					bytes, err := wire.Encode(say)
					if err != nil {
						continue
					}
					text = string(bytes)
				}
				if err := conn.Publish("qm.v1.test.w."+m.id+"."+kind, []byte(text)); err != nil {
					t.Error(err)
				}
				<-time.After(300 * time.Millisecond)
			}
			w := r.work("good", cpu(rule, 1000))
			s = r.over(job)
			w.leave()
		})
		if err := rule.check(nonces(1, 20_000), true); err != nil || s.Err != mining.ErrExhausted || s.Evaluated != 20_000 {
			rt.Fatalf("%v; %+v", err, s)
		}
	})
}
