package e2e

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var loadTime = flag.Duration("load", 5*time.Second, "how long TestLoad loads a miner, for each set of limits")

// loadClients are the clients of TestLoad.
const loadClients = 200

// TestLoad has many clients submit, poll and cancel at once while all CPUs mine,
// and holds every answer to the contract: where no limit on jobs is reached, where
// the limits are those that there are by default, and where they must be reached.
// For minutes of it:
//
//	go test -run TestLoad -timeout 20m -args -load 3m
func TestLoad(t *testing.T) {
	for _, limits := range []struct {
		name           string
		running, known int
		within, beyond bool // them the jobs will certainly be
	}{
		{"high limits", 1000, 10_000_000, true, false},
		{"default limits", 64, 4096, false, false},
		{"low limits", 8, 500, false, true},
	} {
		t.Run(limits.name, func(t *testing.T) {
			m := startMiner(t, "--max-running", strconv.Itoa(limits.running), "--max-jobs", strconv.Itoa(limits.known))
			var crowd crowd
			crowd.submitted.Add(loadClients)
			began := time.Now()
			crowd.until = began.Add(*loadTime)
			var clients sync.WaitGroup
			for i := range loadClients {
				clients.Go(func() { crowd.join(t, m, i) })
			}
			clients.Wait()
			took := time.Since(began)
			if t.Failed() {
				return
			}
			refused, atOnce := crowd.refused.Load(), crowd.refusedAtOnce.Load()
			if limits.beyond {
				if atOnce == 0 { // though more were submitted than may run, and less than may be known
					t.Error("no job was refused because others run")
				}
				fill(t, m, limits.known)
			} else if limits.within && refused > 0 {
				t.Errorf("%d jobs were refused, and no limit was reached", refused)
			} else if crowd.completed.Load() == 0 || crowd.failed.Load() == 0 || crowd.cancelled.Load() == 0 {
				t.Error("jobs did not end in all ways")
			}
			accepted := int64(crowd.completed.Load() + crowd.failed.Load() + crowd.cancelled.Load())
			peak := m.number(t, "VmHWM") << 10
			// 64 MiB, and for each client and each known job what they may take, times
			// five, as garbage of four times what is in use may come before it is collected.
			if most := 64<<20 + 5*(loadClients*64<<10+min(accepted, int64(limits.known))*2<<10); peak > most {
				t.Errorf("the miner took %d MiB of memory, more than %d MiB", peak>>20, most>>20)
			}
			slices.Sort(crowd.polls)
			at := func(quantile float64) time.Duration {
				return crowd.polls[int(quantile*float64(len(crowd.polls)-1))].Round(10 * time.Microsecond)
			}
			t.Logf("%d clients: %d requests in %s, %.0f a second; GET /result p50 %s, p99 %s, max %s; "+
				"%d jobs completed, %d failed, %d cancelled, %d refused; at most %.1f MiB of memory",
				loadClients, crowd.requests, took.Round(time.Millisecond), float64(crowd.requests)/took.Seconds(), at(0.5), at(0.99), at(1),
				crowd.completed.Load(), crowd.failed.Load(), crowd.cancelled.Load(), refused, float64(peak)/(1<<20))
		})
	}
}

// crowd is what clients have in common.
type crowd struct {
	until     time.Time
	submitted sync.WaitGroup // each client has submitted its first job

	completed, failed, cancelled, refused atomic.Int64
	refusedAtOnce                         atomic.Int64 // those that were a client's first

	mu       sync.Mutex
	requests int
	polls    []time.Duration
}

// join is the life of a client.
func (w *crowd) join(t *testing.T, m miner, number int) {
	first := sync.OnceFunc(func() {
		w.submitted.Done()
		w.submitted.Wait()
	})
	defer first()
	c, err := dial(m)
	if err != nil {
		t.Errorf("client %d: %v", number, err)
		return
	}
	defer c.conn.Close()
	for round := 0; round == 0 || time.Now().Before(w.until) && !t.Failed(); round++ {
		if err := w.round(c, number, round, first); err != nil {
			t.Errorf("client %d, round %d: %v", number, round, err)
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests += c.requests
	w.polls = append(w.polls, c.polls...)
}

// round has a client do one thing of those that clients do; all have a turn. It
// calls submitted when it has submitted its job.
func (w *crowd) round(c *client, client, round int, submitted func()) error {
	kind := kind(client+round) % (kinds + 1)
	if kind == kinds {
		err := c.refused(malformed[(client/5+round)%len(malformed)])
		submitted()
		if err != nil {
			return err
		}
		return c.unknown(fmt.Sprintf("nobody's-%d-%d", client, round))
	}
	j := newJob(kind, fmt.Sprintf("%d-%d", client, round), client+round)
	err := c.submit(j)
	submitted()
	if errors.Is(err, errFull) {
		w.refused.Add(1)
		if round == 0 {
			w.refusedAtOnce.Add(1)
		}
		return c.unknown(j.id)
	}
	if err != nil {
		return err
	}
	polls := 3
	if kind != endless && round%2 == 0 {
		polls = -1 // until it is over
	}
	for ; polls != 0 && !j.over(); polls-- {
		if err := c.poll(j); err != nil {
			return err
		}
	}
	if kind == endless { // whose ID is taken, whatever else the second job is
		again := *j
		again.threshold = always
		if err := c.post("/mine", again.body(), 409, "error", j.id, "Job already exists"); err != nil {
			return err
		}
	}
	if err := w.finish(c, j); err != nil {
		return err
	}
	return c.unknown(j.id + "x")
}

// finish cancels a job, over or not, and looks whether it stays as it is then.
func (w *crowd) finish(c *client, j *job) error {
	if err := c.cancel(j); err != nil {
		return err
	}
	for range 2 {
		if err := c.poll(j); err != nil {
			return err
		}
	}
	switch j.status {
	case "completed":
		w.completed.Add(1)
	case "failed":
		w.failed.Add(1)
	default:
		w.cancelled.Add(1)
	}
	return nil
}

// fill submits jobs until no more may be known.
func fill(t *testing.T, m miner, known int) {
	t.Helper()
	c, err := dial(m)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	for i := range known + 1 {
		j := newJob(endless, fmt.Sprintf("one-more-%d", i), 0)
		if err := c.submit(j); errors.Is(err, errFull) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if err := c.cancel(j); err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("%d jobs and more are known", known)
}
