package hub_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/mining"
)

// TestSlow has a machine lose most of its speed, and get it back: the log says each once. That there is no job for a while
// says nothing of its speed.
func TestSlow(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		w := r.work("a", cpu(rule, 1000))
		defer w.leave()
		gpu := func() *mining.Crew { return &mining.Crew{Name: "gpu0", Engine: cpu(rule, 5000), Workers: 1} }
		device := gpu()
		w.miner.Add(device)
		r.submit(mining.Request{ID: "job", Anywhere: true, GoOn: true})
		<-time.After(5 * time.Minute)
		r.miner.Cancel("job")
		<-time.After(30 * time.Second)
		r.submit(mining.Request{ID: "next", Anywhere: true, GoOn: true})
		<-time.After(5 * time.Minute)
		if n := r.log.Count("machine is slow"); n != 0 {
			t.Errorf("it is said %d times to be slow", n)
		}
		w.miner.Remove(device)
		<-time.After(time.Minute)
		if n := r.log.Count("machine is slow"); n != 1 {
			t.Errorf("it is said %d times to be slow", n)
		}
		w.miner.Add(gpu())
		<-time.After(time.Minute)
		if n, m := r.log.Count("machine is slow"), r.log.Count("machine is as fast as before"); n != 1 || m != 1 {
			t.Errorf("it is said %d times to be slow, and %d times to be as fast as before", n, m)
		}
	})
}

// TestStalled has a machine make no progress, though it reports: its leases are others' after a while, and it gets
// others later.
func TestStalled(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		w := r.work("a", &steady{book: rule, perNonce: time.Minute, batch: 1})
		defer w.leave()
		all := nonces(1, 100)
		job := r.submit(mining.Request{ID: "job", Range: all})
		<-time.After(25 * time.Second)
		if m := r.machine("a"); m.State != hub.Working {
			t.Errorf("after 25 s: %+v", m)
		}
		<-time.After(6 * time.Second)
		if m := r.machine("a"); m.State != hub.Unable || m.Leases != 0 || r.log.Count("machine makes no progress") != 1 {
			t.Errorf("after 31 s: %+v", m)
		}
		good := r.work("b", cpu(rule, 1000))
		defer good.leave()
		if s := r.over(job); s.Err != mining.ErrExhausted || s.Evaluated != 100 {
			t.Errorf("%+v", s)
		}
		<-time.After(time.Minute)
		if m := r.machine("a"); m.State != hub.Idle {
			t.Errorf("later: %+v", m)
		}
	})
}

// TestPaused has the hub's miner be paused: machines stop at once, and go on when it goes on.
func TestPaused(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		w := r.work("a", cpu(rule, 1000))
		defer w.leave()
		job := r.submit(mining.Request{ID: "job", Range: nonces(1, 20_000)})
		<-time.After(5500 * time.Millisecond)
		r.miner.Pause()
		synctest.Wait()
		if n := w.miner.Current().Running; n != 0 {
			t.Errorf("paused it searches %d leases", n)
		}
		<-time.After(time.Minute)
		r.miner.Resume()
		synctest.Wait()
		if n := w.miner.Current().Running; n != 2 {
			t.Errorf("then it searches %d leases", n)
		}
		if s := r.over(job); s.Err != mining.ErrExhausted || s.Evaluated != 20_000 {
			t.Errorf("%+v", s)
		}
		if err := rule.check(nonces(1, 20_000), true); err != nil {
			t.Error(err)
		}
	})
}
