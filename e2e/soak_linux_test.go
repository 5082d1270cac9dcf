package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

var (
	soakJobs   = flag.Int("soak", 2000, "how many jobs TestSoak has a miner do")
	soakForget = flag.Bool("soak-forget", false, "have TestSoak wait until the miner forgets the jobs, after five minutes")
)

// TestSoak has a miner do many short jobs, one after the other, and then looks for
// what it should have given back. A hundred thousand, and until they are forgotten:
//
//	go test -run TestSoak -timeout 60m -args -soak 100000 -soak-forget
func TestSoak(t *testing.T) {
	const (
		clients = 5
		warmUp  = 50 // jobs of each client
	)
	command := minerCommand("--max-jobs", strconv.Itoa(*soakJobs+clients*warmUp))
	command.Env = append(os.Environ(), "GOGC=20") // so that there is not much but what is in use
	m := serve(t, command)
	idle := footprint(t, m)
	// The jobs from one number to another, by each client on a connection of its own.
	jobs := func(from, to int) {
		t.Helper()
		var group sync.WaitGroup
		for i := range clients {
			group.Go(func() {
				if err := soak(m, i, from, to); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			})
		}
		group.Wait()
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.FailNow()
		}
	}

	var before, after resources
	atRest := func(r *resources) {
		t.Helper()
		defer func() {
			if t.Failed() {
				t.Logf("at first: %+v; now: %+v", idle, *r)
			}
		}()
		eventually(t, "the miner is at rest, and has as many goroutines and files as at first", func() bool {
			*r = footprint(t, m)
			return r.goroutines == idle.goroutines && r.files == idle.files
		})
	}
	jobs(0, warmUp) // as threads are not given back, and some are started late
	atRest(&before)
	began := time.Now()
	jobs(warmUp, warmUp+*soakJobs/clients)
	took := time.Since(began)
	t.Logf("%d jobs in %s, %.0f a second; %d MiB are resident", *soakJobs, took.Round(time.Millisecond),
		float64(*soakJobs)/took.Seconds(), m.number(t, "VmRSS")>>10)
	if *soakForget {
		forget(t, m, clients, warmUp+*soakJobs/clients-1)
	}
	atRest(&after)
	t.Logf("before: %+v; after: %+v", before, after)
	// The runtime starts a thread when all others happen to wait for the kernel, which
	// many do on a busy machine.
	if after.threads > before.threads+16 {
		t.Errorf("there are %d threads, and were %d", after.threads, before.threads)
	}
	// What is kept of a job, and of its series for a scrape; the rest is for garbage.
	perJob := (after.heap - before.heap) / float64(*soakJobs)
	most := 12<<10 + 4<<20/float64(*soakJobs)
	if *soakForget { // tables do not shrink: some bytes for each job stay for the next ones
		most = 256 + 4<<20/float64(*soakJobs)
	}
	if perJob > most {
		t.Errorf("a job takes %.0f bytes, more than %.0f", perJob, most)
	}
}

// soak is what a client does: the jobs from one number to another.
func soak(m miner, client, from, to int) error {
	c, err := dial(m)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	for i := from; i < to; i++ {
		j := newJob(kind(i)%kinds, soakID(client, i), i)
		if err := c.submit(j); err != nil {
			return err
		}
		if err := c.poll(j); err != nil {
			return err
		}
		for j.threshold == always && !j.over() && i%2 == 0 {
			if err := c.poll(j); err != nil {
				return err
			}
		}
		if err := c.cancel(j); err != nil {
			return err
		}
		if err := c.poll(j); err != nil {
			return err
		}
	}
	return nil
}

func soakID(client, job int) string { return fmt.Sprintf("soak-%d-%d", client, job) }

// resources are what a miner takes.
type resources struct {
	goroutines, files, threads int
	heap                       float64 // bytes
}

// footprint returns what a miner takes at the moment. The metrics of the process
// may be a second old, so it waits for others: each scrape allocates.
func footprint(t *testing.T, m miner) resources {
	t.Helper()
	const allocated = "go_memstats_alloc_bytes_total"
	old := m.metrics(t)[allocated]
	var metrics map[string]float64
	eventually(t, "there are new figures of the process", func() bool {
		metrics = m.metrics(t)
		return metrics[allocated] != old
	})
	return resources{
		goroutines: int(metrics["go_goroutines"]),
		files:      int(metrics["process_open_fds"]),
		threads:    int(m.number(t, "Threads")),
		heap:       metrics["go_memstats_heap_inuse_bytes"],
	}
}

// forget waits until the last jobs of all clients are forgotten, and then for the
// runtime to collect them, which it does every two minutes if there is nothing to do.
// There is no scrape in the meantime: of so many jobs, which are far more than a miner
// knows by default, it takes its time, and memory.
func forget(t *testing.T, m miner, clients, last int) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	deadline := time.After(12 * time.Minute)
	wait := func() {
		t.Helper()
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the last jobs are not forgotten")
		}
	}
	known := func(id string) bool {
		t.Helper()
		c, err := dial(m)
		must(t, err)
		defer c.conn.Close()
		a, err := c.ask("GET", "/result/"+id, "")
		must(t, err)
		return a.code != http.StatusNotFound
	}
	for i := range clients {
		for known(soakID(i, last)) {
			wait()
		}
	}
	t.Logf("the last job was forgotten %s after its end", time.Since(began).Round(time.Second))
	for forgotten := time.Now(); time.Since(forgotten) < 150*time.Second; {
		wait()
	}
}
