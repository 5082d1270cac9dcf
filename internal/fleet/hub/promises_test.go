package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/fleet/wire"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// TestNewJob has a job replaced by another. When all is quiet again, at the same instant, every machine
// searches the new one and nothing else; a machine that joins later does as well.
func TestNewJob(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		var workers []*worker
		defer func() {
			for _, w := range workers {
				w.leave()
			}
		}()
		for i := range 20 {
			workers = append(workers, r.work(fmt.Sprint("rig", i), cpu(rule, 1000)))
		}
		<-time.After(5 * time.Second)
		header := byte(0)
		next := func() {
			header++
			r.submit(mining.Request{ID: fmt.Sprint("job ", header), Header: [32]byte{header}, Anywhere: true, GoOn: true})
			synctest.Wait()
		}
		all := func(when string, leases int) {
			t.Helper()
			for i, w := range workers {
				o := w.miner.Current()
				if len(o.Jobs) != leases || slices.ContainsFunc(o.Jobs, func(j mining.JobOverview) bool { return j.Job.Header() != [32]byte{header} }) {
					t.Errorf("%s worker %d has %d jobs, want %d of the present one", when, i, len(o.Jobs), leases)
				}
				if s := w.link.Status(); s.State != upstream.Working || s.Jobs != uint64(header) || s.Name != fmt.Sprint("rig", i) {
					t.Errorf("%s worker %d stands at %+v", when, i, s)
				}
			}
		}
		next()
		all("at the first job,", 2)
		<-time.After(8300 * time.Millisecond)
		all("after a while,", 2)
		r.miner.Cancel(fmt.Sprint("job ", header))
		next()
		all("at the second job,", 1) // the other lease has time
		<-time.After(300 * time.Millisecond)
		all("a moment later,", 2)
		workers = append(workers, r.work("rig20", cpu(rule, 1000)))
		synctest.Wait()
		workers[20].link.Status()
		if o := workers[20].miner.Current(); len(o.Jobs) != 2 {
			t.Errorf("who joins in the middle of a job has %d jobs", len(o.Jobs))
		}
		r.miner.Cancel(fmt.Sprint("job ", header))
		synctest.Wait()
		for i, w := range workers {
			if n := w.miner.Current().Running; n != 0 {
				t.Errorf("without a job worker %d has %d", i, n)
			}
		}
		if f := r.hub.Overview().Fanout; f.Count != 40 || f.Counts[0] != 40 {
			t.Errorf("the first leases of a job came after %+v, want 40 at once", f)
		}
		// What was evaluated of a job that is over is in the totals nevertheless: 20 machines, 8.6 s.
		<-time.After(2 * time.Second)
		if n := r.miner.Overview().Evaluated; n < 20*8600*99/100 || n > 20*8600 {
			t.Errorf("%d nonces in all, want 172,000", n)
		}
	})
}

// TestWinner has a job end with its winner, which a machine has found, and the others stop.
func TestWinner(t *testing.T) {
	rule := &book{finds: 123_456}
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		a, b := r.work("a", cpu(rule, 1000)), r.work("b", cpu(rule, 10_000))
		defer a.leave()
		defer b.leave()
		job := r.submit(mining.Request{ID: "job", Range: nonces(1, 1_000_000)})
		if s := r.over(job); s.Status != mining.Completed || s.Nonce != u512.From64(123_456) || s.Evaluated < 118_000 {
			t.Errorf("%+v, want nonce 123456", s)
		}
		<-time.After(2 * time.Second)
		if n := a.miner.Current().Running + b.miner.Current().Running; n != 0 {
			t.Errorf("%d jobs go on", n)
		}
		o := r.hub.Overview()
		if o.Winners != (hub.WinnerCounts{Taken: 1}) || o.Leases.Won != 1 || o.Machines[0].Winners+o.Machines[1].Winners != 1 || r.miner.Overview().Winners != 1 {
			t.Errorf("%+v", o)
		}
		if l := o.Leases; l.Sent != l.Exhausted+l.Won+l.Over {
			t.Errorf("leases: %+v", l)
		}
	})
}

// TestManyWinners has a job go on after winners: each comes once, also as machines are cut off, whose leases
// others search again, and who offer again what they had found.
func TestManyWinners(t *testing.T) {
	rule := &book{finds: 100}
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		var workers []*worker
		for i := range 3 {
			workers = append(workers, r.work(fmt.Sprint("rig", i), cpu(rule, 2000)))
		}
		job := r.submit(mining.Request{ID: "job", Range: nonces(1, 200_000), GoOn: true})
		seen := make(map[u512.Uint]int)
		trouble := time.NewTicker(7 * time.Second)
		for i, over := 0, false; !over; {
			select {
			case w := <-job.Winners():
				seen[w.Nonce]++
			case <-trouble.C:
				w := workers[i/2%3]
				if i%2 == 0 {
					w.line.cut()
				} else {
					w.line.heal()
				}
				i++
			case <-job.Done():
				over = true
			}
		}
		for _, w := range workers {
			w.leave()
		}
		for more := true; more; {
			select {
			case w := <-job.Winners():
				seen[w.Nonce]++
			default:
				more = false
			}
		}
		for n := uint64(100); n <= 200_000; n += 100 {
			if seen[u512.From64(n)] != 1 {
				t.Fatalf("winner %d came %d times", n, seen[u512.From64(n)])
			}
		}
		if len(seen) != 2000 {
			t.Errorf("%d winners", len(seen))
		}
		if o := r.hub.Overview(); o.Winners.Taken != 2000 || o.Winners.Wrong+o.Winners.Stale != 0 {
			t.Errorf("%+v", o.Winners)
		}
	})
}

// TestWinnersBesideThreads has a machine be cut off beside a thread of the hub, which searches its leases again, with
// winners of which some have come: each comes once.
func TestWinnersBesideThreads(t *testing.T) {
	rule := &book{finds: 100}
	bubble(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.stop()
		r := newRig(t, b, rule, &mining.Crew{Engine: cpu(rule, 1000), Workers: 1})
		defer r.end()
		synctest.Wait()
		// Its two threads search with a gap between them: what is behind it is found, and not believed.
		machine := cpu(rule, 1000)
		machine.threads = 2
		w := r.work("a", machine)
		job := r.submit(mining.Request{ID: "job", Range: nonces(1, 50_000), GoOn: true})
		seen := make(map[u512.Uint]int)
		cut := time.After(10500 * time.Millisecond)
		for over := false; !over; {
			select {
			case w := <-job.Winners():
				seen[w.Nonce]++
			case <-cut:
				w.line.cut()
			case <-job.Done():
				over = true
			}
		}
		w.leave()
		for more := true; more; {
			select {
			case w := <-job.Winners():
				seen[w.Nonce]++
			default:
				more = false
			}
		}
		for n := uint64(100); n <= 50_000; n += 100 {
			if seen[u512.From64(n)] != 1 {
				t.Errorf("winner %d came %d times", n, seen[u512.From64(n)])
			}
		}
	})
}

// TestReportOfBefore has a report come that is of another hub's leases, though of the same numbers: it is not
// believed.
func TestReportOfBefore(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		w := r.work("a", cpu(rule, 1000))
		defer w.leave()
		job := r.submit(mining.Request{ID: "job", Range: nonces(1, 20_000)})
		<-time.After(1500 * time.Millisecond)
		report := wire.Report{Hub: wire.NewID(), State: wire.Able}
		for n := range uint64(wire.MaxLeases) {
			report.Leases = append(report.Leases, wire.Progress{Number: n + 1, End: wire.Exhausted})
		}
		text, err := wire.Encode(report)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := nats.Connect("", nats.InProcessServer(r.broker))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Publish("qm.v1.test.w."+r.machine("a").ID+".report", text); err != nil {
			t.Fatal(err)
		}
		r.over(job)
		if err := rule.check(nonces(1, 20_000), false); err != nil {
			t.Error(err)
		}
	})
}

// TestWinnerWithoutConnection has a machine find a winner while it is cut off, for as long as it may search. It
// offers it when it is back; it is taken if its job is still there.
func TestWinnerWithoutConnection(t *testing.T) {
	for name, over := range map[string]bool{"the job goes on": false, "the job is over": true} {
		t.Run(name, func(t *testing.T) {
			rule := &book{finds: 10_500}
			fleetTest(t, rule, func(t *testing.T, r *rig) {
				w := r.work("a", cpu(rule, 1000))
				defer w.leave()
				job := r.submit(mining.Request{ID: "job", Range: nonces(1, 1_000_000)})
				<-time.After(9 * time.Second)
				w.line.cut()
				<-time.After(4 * time.Second)
				if s := w.link.Status(); s.Waiting != 1 {
					t.Fatalf("cut off for 4 s it stands at %+v, want a winner that waits", s)
				}
				if over {
					r.miner.Cancel("job")
				}
				<-time.After(20 * time.Second)
				w.line.heal()
				<-time.After(4 * time.Second)
				s, o := job.Snapshot(), r.hub.Overview()
				switch {
				case over && (s.Status != mining.Cancelled || o.Winners != (hub.WinnerCounts{Stale: 1}) || w.log.Count("too late") != 1):
					t.Errorf("%+v, winners %+v, want a stale one", s, o.Winners)
				case !over && (s.Nonce != u512.From64(10_500) || o.Winners != (hub.WinnerCounts{Taken: 1})):
					t.Errorf("%+v, winners %+v, want nonce 10500", s, o.Winners)
				}
				if t.Failed() {
					t.Log(w.log)
				}
				if s := w.link.Status(); s.Waiting != 0 {
					t.Errorf("it stands at %+v", s)
				}
			})
		})
	}
}

// TestWrongNonce has a machine lie that has searched some of a range, as its own reference does not see. It is put
// out, stays out, and all is searched again by another; nothing wrong goes anywhere.
func TestWrongNonce(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		liar := cpu(rule, 1000)
		w := r.work("liar", liar)
		defer w.leave()
		all := nonces(1, 20_000)
		job := r.submit(mining.Request{ID: "job", Range: all})
		<-time.After(5 * time.Second)
		liar.lies.Store(true)
		<-time.After(5 * time.Second)
		if m := r.machine("liar"); m.State != hub.Out || m.Wrong != 1 || m.Leases != 0 {
			t.Errorf("the liar: %+v", m)
		}
		<-w.done
		if _, ok := errors.AsType[*fleet.RefusedError](w.err); !ok || w.link.Status().State != upstream.Refused || !strings.Contains(w.err.Error(), "wrong nonce") {
			t.Errorf("it stands at %q, and ended by %v", w.link.Status(), w.err)
		}
		if s := job.Snapshot(); s.Status != mining.Running || !r.miner.Working() {
			t.Errorf("the job: %+v", s)
		}
		if r.log.Count("MACHINE PUT OUT") != 1 || r.log.Count("level=ERROR msg=\"WRONG NONCE") != 1 {
			t.Errorf("the log:\n%s", r.log)
		}
		<-time.After(time.Minute)
		if m := r.machine("liar"); m.State != hub.Out || m.Leases != 0 {
			t.Errorf("after a minute: %+v", m)
		}
		var honest book
		good := r.work("good", cpu(&honest, 1000))
		defer good.leave()
		if s := r.over(job); s.Err != mining.ErrExhausted || s.Evaluated != 20_000 {
			t.Errorf("%+v, want exhausted after all nonces", s)
		}
		if err := honest.check(all, true); err != nil {
			t.Error(err)
		}
		if r.miner.Overview().Rejected != 1 || r.hub.Overview().Winners.Wrong != 1 {
			t.Errorf("%+v", r.hub.Overview())
		}
	})
}

// TestNames has two machines of one name work, as two; one that was started anew has its name back, also before
// the old process was missed; and no machine is called like a thread or a device of the hub.
func TestNames(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		name := func(w *worker) string {
			<-time.After(time.Second)
			return w.link.Status().Name
		}
		r.submit(mining.Request{ID: "job", Anywhere: true, GoOn: true})
		a := r.work("rig 7", cpu(rule, 1000))
		if got := name(a); got != "rig-7" {
			t.Errorf("the first is %q", got)
		}
		b := r.work("rig 7", cpu(rule, 1000))
		defer b.leave()
		if got := name(b); got != "rig-7-2" {
			t.Errorf("the second is %q", got)
		}
		hashes := r.machine("rig-7").Hashes
		a.line.hangUp()
		a.line.cut()
		a.line.hangUp()
		a.leave()
		again := r.work("rig 7", cpu(rule, 1000))
		defer again.leave()
		if got := name(again); got != "rig-7" {
			t.Errorf("the first is %q when it was started again", got)
		}
		if m := r.machine("rig-7"); m.Hashes < hashes || m.State != hub.Working || len(r.hub.Overview().Machines) != 2 {
			t.Errorf("it had %d hashes, and is %+v", hashes, m)
		}
		gpu := r.work("gpu0", cpu(rule, 1000))
		defer gpu.leave()
		if got := name(gpu); got != "machine-gpu0" {
			t.Errorf("gpu0 is %q", got)
		}
		odd := r.work("<script>\x00 ü", cpu(rule, 1000))
		defer odd.leave()
		if got := name(odd); got != "script----" && got != "script" {
			t.Errorf("the odd one is %q", got)
		}
	})
}

// TestRival has a second hub refused, with the first one's address, and two that could not hear each other
// settle it.
func TestRival(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBroker(t)
		defer b.stop()
		first := newRig(t, b, new(book))
		defer first.end()
		<-time.After(time.Minute)
		second := newRig(t, b, new(book))
		err := <-second.done
		second.done <- nil
		second.end()
		if rival, ok := errors.AsType[*hub.RivalError](err); !ok || rival.Address != "192.0.2.1:9835" {
			t.Errorf("the second hub: %v", err)
		}
		select {
		case err := <-first.done:
			t.Errorf("the first hub ended: %v", err)
		default:
		}
		// One that was there before, and was cut off until now.
		conn, err := nats.Connect("", nats.InProcessServer(b))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		older := `{"hub":"00000000000000000000000000000000","address":"192.0.2.9:9835","started_ms":1}`
		if err := conn.Publish("qm.v1.test.hub", []byte(older)); err != nil {
			t.Fatal(err)
		}
		err = <-first.done
		first.done <- nil
		if rival, ok := errors.AsType[*hub.RivalError](err); !ok || rival.Address != "192.0.2.9:9835" {
			t.Errorf("the younger hub: %v", err)
		}
	})
}

// TestHubRestarts ends a hub, with its NATS server or without, and starts another: workers are back
// within 3 s, with nothing of before.
func TestHubRestarts(t *testing.T) {
	for _, killed := range []bool{false, true} {
		for _, server := range []bool{false, true} {
			t.Run(fmt.Sprintf("killed %t, with the server %t", killed, server), func(t *testing.T) {
				rule := new(book)
				bubble(t, func(t *testing.T) {
					b := newBroker(t)
					defer func() { b.stop() }()
					r := newRig(t, b, rule)
					w := r.work("a", cpu(rule, 1000))
					defer w.leave()
					r.submit(mining.Request{ID: "job", Header: [32]byte{1}, Anywhere: true, GoOn: true})
					<-time.After(10 * time.Second)
					if server {
						b.stop()
					}
					r.end()
					<-time.After(2 * time.Second)
					if server {
						b = newBroker(t)
						w.line.mu.Lock()
						w.line.to = b
						w.line.mu.Unlock()
					}
					r = newRig(t, b, rule)
					defer r.end()
					r.submit(mining.Request{ID: "job", Header: [32]byte{2}, Anywhere: true, GoOn: true})
					began := time.Now()
					await(t, "the machine", 10*time.Second, func() bool { return r.machine("a").State == hub.Working })
					if took := time.Since(began); took > 3*time.Second {
						t.Errorf("it was back after %s", took)
					}
					synctest.Wait()
					if o := w.miner.Current(); len(o.Jobs) != 2 || o.Jobs[0].Job.Header() != [32]byte{2} || o.Jobs[1].Job.Header() != [32]byte{2} {
						t.Errorf("the worker has %d jobs, want 2 of the new hub", len(o.Jobs))
					}
				})
			})
		}
	}
}

// TestRefused has workers refused that are of no use, with what is wrong.
func TestRefused(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		synctest.Wait()
		conn, err := nats.Connect("", nats.InProcessServer(r.broker))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for hello, want := range map[string]string{
			`{"wire":2,"name":"a","pow":"test","threads":"many"}`: "",
			`{"wire":2,"name":"a","pow":"test"}`:                  "version 1 of the messages, and the worker version 2",
			`{"wire":1,"name":"a","pow":"sha3-rsa"}`:              "this hub's proof of work is test, and the worker's sha3-rsa",
			`{"wire":1,"name":"a","pow":"test","threads":-1}`:     "threads",
			`{"wire":1,"name":"a\u0000","pow":"test"}`:            "not printable",
			`no`: "cannot be read",
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			answer, err := conn.RequestWithContext(ctx, "qm.v1.test.w."+wire.NewID()+".hello", []byte(hello))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			var w wire.Welcome
			if err := json.Unmarshal(answer.Data, &w); err != nil || !strings.Contains(w.Error, want) || w.Error == "" || !w.Final || w.Name != "" {
				t.Errorf("%s: %s (%v)", hello, answer.Data, err)
			}
		}
		if o := r.hub.Overview(); len(o.Machines) != 0 || o.Refused != 6 {
			t.Errorf("%+v", o)
		}
	})
}

// TestPrefix has machines search a job anywhere behind a prefix: no nonce twice, and none without it.
func TestPrefix(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		var workers []*worker
		for i := range 5 {
			workers = append(workers, r.work(fmt.Sprint("rig", i), cpu(rule, 1000)))
		}
		prefix := []byte{0xde, 0xad, 0xbe, 0xef}
		r.submit(mining.Request{ID: "job", Anywhere: true, GoOn: true, Prefix: prefix})
		<-time.After(30 * time.Second)
		r.miner.Cancel("job")
		for _, w := range workers {
			w.leave()
		}
		if len(rule.searched) < 5 {
			t.Fatalf("%d searches", len(rule.searched))
		}
		for _, s := range rule.searched {
			if b := s.Start.Bytes(); string(b[:4]) != string(prefix) {
				t.Errorf("searched from %s", s.Start.Hex())
			}
		}
		slices.SortFunc(rule.searched, func(a, b engine.Range) int { return a.Start.Cmp(b.Start) })
		for i, s := range rule.searched[1:] {
			if before := rule.searched[i]; s.Start.Cmp(before.End) <= 0 {
				t.Errorf("from %s to %s, and from %s", before.Start.Hex(), before.End.Hex(), s.Start.Hex())
			}
		}
	})
}

// TestNothingToSearchWith has a worker without an engine, and one that is paused: it says so, and gets no leases.
func TestNothingToSearchWith(t *testing.T) {
	rule := new(book)
	fleetTest(t, rule, func(t *testing.T, r *rig) {
		w := r.work("a")
		defer w.leave()
		r.submit(mining.Request{ID: "job", Anywhere: true, GoOn: true})
		<-time.After(3 * time.Second)
		if m := r.machine("a"); m.State != hub.Unable || m.Leases != 0 {
			t.Errorf("without an engine: %+v", m)
		}
		w.miner.Add(&mining.Crew{Engine: cpu(rule, 1000), Workers: 1})
		<-time.After(2 * time.Second)
		if m := r.machine("a"); m.State != hub.Working || m.Leases != 2 {
			t.Errorf("with one: %+v", m)
		}
		w.miner.Pause()
		<-time.After(2 * time.Second)
		if m := r.machine("a"); m.State != hub.Unable || m.Leases != 0 {
			t.Errorf("paused: %+v", m)
		}
		w.miner.Resume()
		<-time.After(2 * time.Second)
		if m := r.machine("a"); m.State != hub.Working || m.Leases != 2 {
			t.Errorf("then: %+v", m)
		}
	})
}

// TestWinnerOfBefore has a hub be restarted while a winner waits for it: the new one takes it, if the node wants the
// same searched again.
func TestWinnerOfBefore(t *testing.T) {
	for name, header := range map[string]byte{"the same job": 1, "another job": 2} {
		t.Run(name, func(t *testing.T) {
			rule := &book{finds: 10_500}
			bubble(t, func(t *testing.T) {
				b := newBroker(t)
				defer b.stop()
				r := newRig(t, b, rule)
				synctest.Wait()
				w := r.work("a", cpu(rule, 1000))
				defer w.leave()
				r.submit(mining.Request{ID: "job", Header: [32]byte{1}, Range: nonces(1, 1_000_000)})
				<-time.After(9 * time.Second)
				w.line.cut()
				<-time.After(4 * time.Second)
				r.end()
				r = newRig(t, b, rule)
				defer r.end()
				synctest.Wait()
				job := r.submit(mining.Request{ID: "again", Header: [32]byte{header}, Range: nonces(1, 1_000_000)})
				w.line.heal()
				<-time.After(4 * time.Second)
				s, want := job.Snapshot(), hub.WinnerCounts{Taken: 1}
				if header != 1 {
					want = hub.WinnerCounts{Stale: 1}
				}
				if o := r.hub.Overview(); o.Winners != want || s.Status == mining.Completed != (header == 1) {
					t.Errorf("%+v, winners %+v", s, o.Winners)
				}
			})
		})
	}
}
