package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
)

// crowd speaks for many machines, on one connection.
type crowd struct {
	conn     *nats.Conn
	subjects wire.Subjects
	ids      []string
	began    time.Time

	mu    sync.Mutex
	job   uint64          // the latest, by its number
	heard map[string]bool // the subjects of the machines that have a lease of it
	times []time.Duration
	all   chan struct{}
}

// newCrowd has so many machines join a hub.
func newCrowd(t testing.TB, r *rig, n int) *crowd {
	conn, err := nats.Connect("", nats.InProcessServer(r.broker))
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := wire.NewSubjects("test")
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{conn: conn, subjects: subjects, all: make(chan struct{}, 1)}
	s, err := conn.Subscribe(subjects.Orders(wire.Any), c.hear)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		id := wire.NewID()
		hello, err := wire.Encode(wire.Hello{Wire: wire.Version, Name: fmt.Sprint("rig", i), PoW: "test", Threads: 8})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		answer, err := conn.RequestWithContext(ctx, subjects.Hello(id), hello)
		cancel()
		if err != nil {
			t.Fatalf("machine %d: %v", i, err)
		}
		if w, err := wire.Decode[wire.Welcome](answer.Data); err != nil || w.Error != "" {
			t.Fatalf("machine %d: %s (%v)", i, answer.Data, err)
		}
		c.ids = append(c.ids, id)
	}
	return c
}

// hear counts the first lease of the latest job for each machine.
func (c *crowd) hear(msg *nats.Msg) {
	var o struct{ Lease *struct{ Job uint64 } }
	if json.Unmarshal(msg.Data, &o) != nil || o.Lease == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Lease.Job > c.job {
		c.job, c.heard = o.Lease.Job, map[string]bool{}
	}
	if o.Lease.Job < c.job || c.heard[msg.Subject] {
		return
	}
	c.heard[msg.Subject] = true
	c.times = append(c.times, time.Since(c.began))
	if len(c.heard) == len(c.ids) {
		c.all <- struct{}{}
	}
}

// report has all machines report.
func (c *crowd) report(t testing.TB, hub string) {
	text, err := wire.Encode(wire.Report{Hub: hub, State: wire.Able})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range c.ids {
		if err := c.conn.Publish(c.subjects.Report(id), text); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkNewJob measures the time from a new job to a lease of it in the hands of each of 2,000 machines, which
// are told by the server of the hub, in this process. It takes no part of what machines or networks need.
func BenchmarkNewJob(b *testing.B) {
	for _, machines := range []int{20, 2000} {
		b.Run(fmt.Sprint("machines=", machines), func(b *testing.B) {
			broker := newBroker(b)
			defer broker.stop()
			r := newRig(b, broker, new(book))
			defer r.end()
			await(b, "the hub", 10*time.Second, func() bool { return r.log.Count("the fleet has a hub") == 1 })
			c := newCrowd(b, r, machines)
			defer c.conn.Close()
			var times []time.Duration
			i := 0
			for b.Loop() {
				b.StopTimer()
				r.miner.Cancel(fmt.Sprint("job ", i))
				c.report(b, r.hub.Overview().ID)
				i++
				await(b, "the last job to be over", 10*time.Second, func() bool { return r.hub.Overview().Machines[0].Leases == 0 })
				c.mu.Lock()
				c.times, c.began = nil, time.Now()
				c.mu.Unlock()
				b.StartTimer()
				r.submit(mining.Request{ID: fmt.Sprint("job ", i), Anywhere: true, GoOn: true})
				<-c.all
				b.StopTimer()
				c.mu.Lock()
				times = append(times, c.times...)
				c.mu.Unlock()
				b.StartTimer()
			}
			slices.Sort(times)
			at := func(share float64) float64 { return times[int(share*float64(len(times)-1))].Seconds() * 1000 }
			b.ReportMetric(at(0.5), "ms-p50")
			b.ReportMetric(at(0.99), "ms-p99")
		})
	}
}

// BenchmarkReports measures what the reports of 2,000 machines cost a hub, each of two leases.
func BenchmarkReports(b *testing.B) {
	broker := newBroker(b)
	defer broker.stop()
	r := newRig(b, broker, new(book))
	defer r.end()
	await(b, "the hub", 10*time.Second, func() bool { return r.log.Count("the fleet has a hub") == 1 })
	c := newCrowd(b, r, 2000)
	defer c.conn.Close()
	r.submit(mining.Request{ID: "job", Anywhere: true, GoOn: true})
	id := r.hub.Overview().ID
	for b.Loop() {
		c.report(b, id)
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
		if err := c.conn.FlushWithContext(ctx); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
}

// BenchmarkOverview measures a look at 2,000 machines.
func BenchmarkOverview(b *testing.B) {
	broker := newBroker(b)
	defer broker.stop()
	r := newRig(b, broker, new(book))
	defer r.end()
	await(b, "the hub", 10*time.Second, func() bool { return r.log.Count("the fleet has a hub") == 1 })
	c := newCrowd(b, r, 2000)
	defer c.conn.Close()
	r.submit(mining.Request{ID: "job", Anywhere: true, GoOn: true})
	for b.Loop() {
		if n := len(r.hub.Overview().Machines); n != 2000 {
			b.Fatal(n)
		}
	}
}
