package metrics

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/fleet/hub"
	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/source/fleet"
	"github.com/quantus-network/quantus-miner/internal/source/quicnode"
	"github.com/quantus-network/quantus-miner/internal/source/stratum"
	"github.com/quantus-network/quantus-miner/internal/source/upstream"
	"github.com/quantus-network/quantus-miner/internal/u512"
	"github.com/quantus-network/quantus-miner/internal/watch/hashrate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite the golden file")

// inBubble runs a miner of two workers with its exporter in a bubble of time.
func inBubble(t *testing.T, e engine.Engine, test func(*mining.Miner, *Exporter)) {
	withCrews(t, test, &mining.Crew{Engine: e, Workers: 2})
}

// withCrews does the same with other crews than one of two workers.
func withCrews(t *testing.T, test func(*mining.Miner, *Exporter), crews ...*mining.Crew) {
	synctest.Test(t, func(t *testing.T) {
		m := mining.New(slog.New(slog.DiscardHandler), crews...)
		s := hashrate.NewSampler(m, func(u512.Uint) float64 { return 100_000 })
		exporter := New(s, Build{"v1.2.3", "abcdef"}, Setup{CPUs: 4, PoW: "sha3-rsa", Priority: "low", Affinity: "0-3"})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		running.Go(func() { s.Run(ctx) })
		test(m, exporter)
		cancel()
		running.Wait()
	})
}

func submit(t *testing.T, m *mining.Miner, e *Exporter, id string, first, last uint64) *mining.Job {
	t.Helper()
	job, err := m.Submit(mining.Request{ID: id, Range: engine.Range{Start: u512.From64(first), End: u512.From64(last)}, FirstNonce: e.FirstNonce})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// scrape asks for the page and returns it, and the metrics that a parser of the
// text format finds in it.
func scrape(t *testing.T, e *Exporter) (string, map[string]*dto.MetricFamily) {
	t.Helper()
	w := httptest.NewRecorder()
	e.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %s\n%s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	page := w.Body.String()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return page, families
}

// values returns the samples of a counter or gauge, by their labels in the order
// of their names: "cpu-fast job 0" for an engine, a job and a thread.
func values(families map[string]*dto.MetricFamily, name string) map[string]float64 {
	samples := make(map[string]float64)
	for _, metric := range families[name].GetMetric() {
		var labels []string
		for _, l := range metric.GetLabel() {
			labels = append(labels, l.GetValue())
		}
		samples[strings.Join(labels, " ")] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
	}
	return samples
}

// TestPage holds the whole page to a golden file: jobs in every state, two of
// them running.
func TestPage(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: 200 * time.Microsecond, Winner: u512.From64(77)}, func(m *mining.Miner, e *Exporter) {
		completed := submit(t, m, e, "completed", 1, 1000)
		<-completed.Done()
		submit(t, m, e, "cancelled", 1000, 1_000_000)
		<-time.After(time.Second)
		m.Cancel("cancelled")
		<-submit(t, m, e, "failed", 1, 9).Done()
		submit(t, m, e, `running "a"`, 1000, 1_000_000)
		submit(t, m, e, "running b\\\n", 1000, 1_000_000)
		<-time.After(5 * time.Second)
		e.Answered("mine", 200)
		e.Answered("mine", 400)
		e.Answered("mine", 413)
		e.Answered("mine", 408)
		e.Answered("mine", 431)
		e.Answered("mine", 409)
		e.Answered("mine", 429)
		e.Answered("mine", 503)
		e.Answered("mine", 405) // submits nothing
		e.Answered("result", 200)
		e.Answered("cancel", 404)
		e.Answered("other", 404)
		waited, _ := completed.FirstFetch()
		e.Fetched(waited)

		page, _ := scrape(t, e)
		// What others export changes with their versions.
		var own bytes.Buffer
		for line := range strings.Lines(page) {
			if regexp.MustCompile(`^(# (HELP|TYPE) )?miner_`).MatchString(line) {
				own.WriteString(line)
			}
		}
		// How the threads share the work, and how much they do, is a matter of luck.
		got := regexp.MustCompile(`(?m)^(miner_thread_.*|miner_effort_ratio) \S+$`).ReplaceAllString(own.String(), "$1 …")
		got = regexp.MustCompile(`(?m)^(miner_(?:\w*hash\w*|\w+_seconds_sum)\b.*) [1-9.]\S*$`).ReplaceAllString(got, "$1 (more than 0)")
		got = regexp.MustCompile(`(?m)^(miner_job_start_seconds_(?:sum|bucket)\b.*) \S+$`).ReplaceAllString(got, "$1 …")
		got = regexp.MustCompile(`goversion="[^"]*"`).ReplaceAllString(got, `goversion="…"`)
		golden(t, "testdata/metrics.txt", got)
		for _, family := range []string{"go_goroutines", "process_cpu_seconds_total", "go_build_info"} {
			if !strings.Contains(page, "# TYPE "+family+" ") {
				t.Errorf("there is no %s", family)
			}
		}

		problems, err := testutil.GatherAndLint(e.registry)
		if err != nil || len(problems) > 0 {
			t.Errorf("the linter finds %v, %v", problems, err)
		}
	})
}

// linked returns an exporter of a miner that works for a node, and has sent it a result.
func linked(m *mining.Miner, status quicnode.Status) *Exporter {
	e := New(hashrate.NewSampler(m, nil), Build{}, Setup{Node: func() quicnode.Status { return status }})
	e.Sent(300 * time.Microsecond)
	return e
}

// TestNode holds what the page has of a link to a node to a golden file. Of an API, which
// there is none of then, it has nothing.
func TestNode(t *testing.T) {
	inBubble(t, enginetest.Paced{}, func(m *mining.Miner, _ *Exporter) {
		e := linked(m, quicnode.Status{
			Status: upstream.Status{
				State: upstream.Waiting, Since: time.Unix(1_700_000_000, 5e8), Server: "node.example:9833", Fallback: true, Connections: 3, Failures: 7, Jobs: 200,
			},
			Results: 1,
		})
		page, _ := scrape(t, e)
		var got bytes.Buffer
		for line := range strings.Lines(page) {
			if regexp.MustCompile(`^(# (HELP|TYPE) )?miner_(node|http|mine|result)_`).MatchString(line) {
				got.WriteString(line)
			}
		}
		golden(t, "testdata/node.txt", got.String())
		if problems, err := testutil.GatherAndLint(e.registry); err != nil || len(problems) > 0 {
			t.Errorf("the linter finds %v, %v", problems, err)
		}
	})
}

// pooled returns an exporter of a miner that works for a pool, and has had a share answered.
func pooled(m *mining.Miner) *Exporter {
	e := New(hashrate.NewSampler(m, nil), Build{}, Setup{Pool: func() stratum.Status {
		return stratum.Status{
			Status: upstream.Status{
				State: upstream.Working, Since: time.Unix(1_700_000_000, 5e8), Server: "stratum+ssl://pool.example:3333", Connections: 3, Failures: 2, Jobs: 200,
			},
			Difficulty: 10_000_000_000,
			Shares:     stratum.Counts{stratum.Accepted: 90, stratum.Stale: 5, stratum.Duplicate: 1, stratum.Unacknowledged: 2},
		}
	}})
	e.ShareAnswered(34 * time.Millisecond)
	return e
}

// TestPool holds what the page has of a link to a pool to a golden file.
func TestPool(t *testing.T) {
	inBubble(t, enginetest.Paced{}, func(m *mining.Miner, _ *Exporter) {
		e := pooled(m)
		page, _ := scrape(t, e)
		var got bytes.Buffer
		for line := range strings.Lines(page) {
			if regexp.MustCompile(`^(# (HELP|TYPE) )?miner_(pool|node|http|mine|result)_`).MatchString(line) {
				got.WriteString(line)
			}
		}
		golden(t, "testdata/pool.txt", got.String())
		if problems, err := testutil.GatherAndLint(e.registry); err != nil || len(problems) > 0 {
			t.Errorf("the linter finds %v, %v", problems, err)
		}
	})
}

// TestGPUs holds what the page has of devices to a golden file.
func TestGPUs(t *testing.T) {
	inBubble(t, enginetest.Paced{}, func(m *mining.Miner, _ *Exporter) {
		e := withGPUs(m)
		page, _ := scrape(t, e)
		var got bytes.Buffer
		for line := range strings.Lines(page) {
			if strings.Contains(line, "miner_gpu_") {
				got.WriteString(line)
			}
		}
		golden(t, "testdata/gpu.txt", got.String())
		if problems, err := testutil.GatherAndLint(e.registry); err != nil || len(problems) > 0 {
			t.Errorf("the linter finds %v, %v", problems, err)
		}
	})
}

// golden compares a page with the one in a file.
func golden(t *testing.T, file, page string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
}

// withGPUs returns an exporter of a miner that uses two devices.
func withGPUs(m *mining.Miner) *Exporter {
	devices := []GPU{
		{Name: "gpu0", ID: "GPU-1", Model: "a card", Vendor: "its vendor", Backend: "cuda", Driver: "CUDA 12.2", State: "ready", Launch: 25 * time.Millisecond, Queued: 1},
		{Name: "gpu2", Model: "another", Backend: "opencl", State: "waiting", Restarts: 3},
	}
	return New(hashrate.NewSampler(m, nil), Build{}, Setup{GPUs: func() []GPU { return devices }, GPUStates: []string{"starting", "ready", "waiting", "out_of_service"}})
}

// everything returns the metrics of both kinds of miners, and of devices.
func everything(t *testing.T, m *mining.Miner, e *Exporter) map[string]*dto.MetricFamily {
	t.Helper()
	_, families := scrape(t, e)
	_, more := scrape(t, linked(m, quicnode.Status{}))
	maps.Copy(families, more)
	_, more = scrape(t, pooled(m))
	maps.Copy(families, more)
	_, more = scrape(t, withGPUs(m))
	maps.Copy(families, more)
	_, more = scrape(t, withFleet(m, 2))
	maps.Copy(families, more)
	_, more = scrape(t, working(m))
	maps.Copy(families, more)
	return families
}

// withFleet returns an exporter of a hub with so many machines, of which the first is gone.
func withFleet(m *mining.Miner, machines int) *Exporter {
	return New(hashrate.NewSampler(m, nil), Build{}, Setup{Fleet: func() hub.Overview {
		now := time.Now()
		o := hub.Overview{
			Time:    now,
			Leases:  hub.LeaseCounts{Sent: 1000, Exhausted: 900, Won: 10, TakenBack: 2, Failed: 1, Over: 80},
			Winners: hub.WinnerCounts{Taken: 12, Known: 1, Stale: 3},
			Fanout: hub.Histogram{
				Bounds: []time.Duration{time.Millisecond, time.Second}, Counts: []uint64{5, 9}, Count: 10, Sum: 3 * time.Second,
			},
			Refused: 4,
		}
		for i := range machines {
			machine := hub.Machine{Name: fmt.Sprintf("rig-%04d", i), State: hub.Working, LastSeen: now.Add(-500 * time.Millisecond), Rate10s: 1e6, Hashes: 12345, Winners: 6}
			if i == 0 {
				machine.State, machine.LastSeen, machine.Rate10s = hub.Gone, now.Add(-time.Hour), 0
			}
			o.Machines = append(o.Machines, machine)
		}
		return o
	}})
}

// working returns an exporter of a miner that works for a hub.
func working(m *mining.Miner) *Exporter {
	return New(hashrate.NewSampler(m, nil), Build{}, Setup{Hub: func() fleet.Status {
		return fleet.Status{
			Status: upstream.Status{State: upstream.Working, Since: time.Unix(1_700_000_000, 5e8), Server: "hub.example:9835", Connections: 3, Failures: 2},
			Name:   "rig-0007", Leases: 2, Waiting: 1, Winners: fleet.Winners{Taken: 5, Stale: 1},
		}
	}})
}

// TestFleet holds what the pages of a hub and of its worker have of each other to golden files.
func TestFleet(t *testing.T) {
	inBubble(t, enginetest.Paced{}, func(m *mining.Miner, _ *Exporter) {
		for file, e := range map[string]*Exporter{"testdata/fleet.txt": withFleet(m, 2), "testdata/hub.txt": working(m)} {
			page, _ := scrape(t, e)
			var got bytes.Buffer
			for line := range strings.Lines(page) {
				if regexp.MustCompile(`^(# (HELP|TYPE) )?miner_(fleet|hub|pool|node)_`).MatchString(line) {
					got.WriteString(line)
				}
			}
			golden(t, file, got.String())
			if problems, err := testutil.GatherAndLint(e.registry); err != nil || len(problems) > 0 {
				t.Errorf("the linter finds %v, %v", problems, err)
			}
		}
	})
}

// BenchmarkFleet is a scrape without the network, of a hub with 2,000 machines.
func BenchmarkFleet(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	handler := withFleet(mining.New(log), 2000).Handler(log)
	for b.Loop() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		b.ReportMetric(float64(w.Body.Len()), "bytes")
	}
}

// wrong is an engine that finds nonces that are not valid.
type wrong struct{ enginetest.Paced }

func (wrong) Name() string { return "wrong" }

func (e wrong) Prepare([32]byte, u512.Uint) (engine.Job, error) { return e, nil }

func (e wrong) Search(r engine.Range, p *engine.Progress) engine.Outcome {
	p.Advance(1)
	return engine.Outcome{Status: engine.Found, Nonce: r.End}
}

// TestReplaced has an engine replaced, in a miner whose jobs are abandoned after a
// minute: what the first one did stays its own.
func TestReplaced(t *testing.T) {
	withCrews(t, func(m *mining.Miner, e *Exporter) {
		<-submit(t, m, e, "first", 1, 1000).Done()
		<-submit(t, m, e, "second", 1, 1000).Done()
		_, families := scrape(t, e)
		if diff := cmp.Diff(map[string]float64{"clock paced": 1}, values(families, "miner_engine_info")); diff != "" {
			t.Errorf("the engine (-want +got):\n%s", diff)
		}
		// Each of the two workers may have come to a wrong one.
		if rejected := values(families, "miner_candidates_rejected_total"); rejected["wrong"] < 1 || rejected["paced"] != 0 {
			t.Errorf("rejected: %v", rejected)
		}
		byEngine := values(families, "miner_jobs_by_engine_total")
		if byEngine["wrong completed"] != 1 || byEngine["paced completed"] != 1 || values(families, "miner_jobs_total")["completed"] != 2 {
			t.Errorf("%v", byEngine)
		}
		hashes, jobs := values(families, "miner_engine_hashes_total"), values(families, "miner_job_hashes_total")
		if jobs["wrong first"] == 0 || jobs["wrong first"] != hashes["wrong"] {
			t.Errorf("the first engine has %g hashes, %v", hashes["wrong"], jobs)
		}
		if second := jobs["paced second"]; second == 0 || jobs["paced first"]+second != hashes["paced"] {
			t.Errorf("the second engine has %g hashes, %v", hashes["paced"], jobs)
		}
	}, &mining.Crew{Engine: wrong{}, Workers: 2, Replace: func(engine.Engine) (engine.Engine, error) {
		return enginetest.Paced{Interval: time.Millisecond, Winner: u512.From64(10)}, nil
	}})
}

// slow is a Paced engine by another name.
type slow struct{ enginetest.Paced }

func (slow) Name() string { return "slow" }

// TestIdentitiesOfCrews adds up the threads, engines and jobs of several crews, one of
// which comes and one of which goes while a job runs.
func TestIdentitiesOfCrews(t *testing.T) {
	device := &mining.Crew{Name: "gpu0", Engine: slow{enginetest.Paced{Interval: time.Millisecond}}, Workers: 1}
	withCrews(t, func(m *mining.Miner, e *Exporter) {
		check := func(threads ...string) {
			t.Helper()
			_, families := scrape(t, e)
			byThread, byJob, byEngine := values(families, "miner_thread_hashes_total"), values(families, "miner_job_hashes_total"), values(families, "miner_engine_hashes_total")
			sum := func(of map[string]float64, engine string) (total float64) {
				for name, n := range of {
					if strings.HasPrefix(name, engine) {
						total += n
					}
				}
				return total
			}
			for _, engine := range []string{"paced", "slow", ""} {
				if a, b, c := sum(byThread, engine), sum(byJob, engine), sum(byEngine, engine); a != b || b != c {
					t.Errorf("engine %q: %g hashes by thread, %g by job, %g by engine", engine, a, b, c)
				}
			}
			if got := values(families, "miner_hashes_total")[""]; got != sum(byJob, "") || got == 0 {
				t.Errorf("%g hashes, %g by job", got, sum(byJob, ""))
			}
			var names []string
			for name := range byThread {
				names = append(names, name)
			}
			slices.Sort(names)
			if diff := cmp.Diff(threads, names); diff != "" {
				t.Errorf("threads (-want +got):\n%s", diff)
			}
			if rates, rate := sum(values(families, "miner_thread_hash_rate"), ""), values(families, "miner_hash_rate")[""]; math.Abs(rates-rate) > rate/1e9 {
				t.Errorf("%g hashes/s, %g by thread", rate, rates)
			}
		}
		submit(t, m, e, "job", 1, 1_000_000_000)
		<-time.After(1500 * time.Millisecond)
		check("paced job 0", "paced job 1")
		m.Add(device)
		<-time.After(300 * time.Millisecond)
		check("paced job 0", "paced job 1", "slow job gpu0") // which has no rate yet
		<-time.After(5 * time.Second)
		check("paced job 0", "paced job 1", "slow job gpu0")
		m.Remove(device)
		<-time.After(time.Second)
		check("paced job 0", "paced job 1", "slow job gpu0")
		m.Add(&mining.Crew{Name: "gpu0", Engine: device.Engine, Workers: 1}) // as one that was restarted
		<-time.After(3 * time.Second)
		check("paced job 0", "paced job 1", "slow job gpu0")
		m.Cancel("job")
		check("paced job 0", "paced job 1", "slow job gpu0")
	}, &mining.Crew{Engine: enginetest.Paced{Interval: 100 * time.Microsecond}, Workers: 2})
}

// TestIdentities adds up threads, jobs and results, while jobs run and after.
func TestIdentities(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: 100 * time.Microsecond, Winner: u512.From64(30_000)}, func(m *mining.Miner, e *Exporter) {
		check := func(rate float64, running ...string) {
			t.Helper()
			_, families := scrape(t, e)
			jobs, threads := values(families, "miner_job_hashes_total"), values(families, "miner_thread_hashes_total")
			total := 0.0
			for name, hashes := range jobs {
				if sum := threads[name+" 0"] + threads[name+" 1"]; sum != hashes {
					t.Errorf("%s: %g hashes, %g by thread", name, hashes, sum)
				}
				job, _ := m.Job(strings.TrimPrefix(name, "paced "))
				if s := job.Snapshot(); s.Status != mining.Running && float64(s.Evaluated) != hashes {
					t.Errorf("%s: %g hashes, %d in its result", name, hashes, s.Evaluated)
				}
				total += hashes
			}
			if len(jobs) != 2 || len(threads) != 4 {
				t.Errorf("%d jobs and %d threads", len(jobs), len(threads))
			}
			for name, labels := range map[string]string{"miner_hashes_total": "", "miner_engine_hashes_total": "paced"} {
				if got := values(families, name)[labels]; got != total {
					t.Errorf("%s: %g, %g by job", name, got, total)
				}
			}
			total = 0
			jobRates, threadRates := values(families, "miner_job_hash_rate"), values(families, "miner_thread_hash_rate")
			for _, name := range running {
				got := jobRates[name]
				if sum := threadRates[name+" 0"] + threadRates[name+" 1"]; got <= 0 || sum < got*0.999 || sum > got*1.001 {
					t.Errorf("%s: %g hashes/s, %g by thread", name, got, sum)
				}
				total += got
			}
			if len(jobRates) != len(running) || len(threadRates) != 2*len(running) {
				t.Errorf("rates of %d jobs and %d threads, want %d jobs", len(jobRates), len(threadRates), len(running))
			}
			got := values(families, "miner_hash_rate")[""]
			if got < total*0.999 || got > total*1.001 || got < rate*0.95 || got > rate*1.05 {
				t.Errorf("%g hashes/s, %g by job, want about %g", got, total, rate)
			}
		}
		found := submit(t, m, e, "found", 1, 1_000_000)
		other := submit(t, m, e, "other", 100_000, 10_000_000)
		<-time.After(1200 * time.Millisecond)
		check(20_000, "paced found", "paced other")
		<-found.Done()
		<-time.After(13 * time.Second) // of which the average forgets all but a twentieth
		check(20_000, "paced other")
		m.Cancel("other")
		check(0) // at once
		if other.Snapshot().Status != mining.Cancelled {
			t.Error("it was not cancelled")
		}
	})
}

// TestTenThousandJobs mines for hours: the page does not grow, and in the end
// has nothing of any job.
func TestTenThousandJobs(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: time.Millisecond, Winner: u512.From64(5)}, func(m *mining.Miner, e *Exporter) {
		series := func() (n int) {
			page, _ := scrape(t, e)
			for line := range strings.Lines(page) {
				if !strings.HasPrefix(line, "#") {
					n++
				}
			}
			return n
		}
		empty := series()
		full := 0
		for i := range 10_000 {
			<-submit(t, m, e, fmt.Sprint("job ", i), 1, 100).Done()
			<-time.After(time.Second)
			if i%1000 == 999 {
				switch n := series(); {
				case full == 0:
					full = n
				case n != full:
					t.Errorf("after %d jobs the page has %d series, before %d", i+1, n, full)
				}
			}
		}
		// 4 states, 1 job, 2 threads; of the jobs of five minutes
		if jobs := (full - empty) / 7; jobs < 290 || jobs > 300 {
			t.Errorf("the page has %d jobs", jobs)
		}
		_, families := scrape(t, e)
		if got := values(families, "miner_jobs_total")["completed"]; got != 10_000 {
			t.Errorf("%g jobs are counted", got)
		}
		<-time.After(mining.Retention)
		if n := series(); n != empty {
			t.Errorf("in the end the page has %d series, at first it had %d", n, empty)
		}
	})
}

// TestDeployed looks for metrics that a dashboard or an alert names, and that do
// not exist.
func TestDeployed(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: time.Millisecond}, func(m *mining.Miner, e *Exporter) {
		submit(t, m, e, "job", 1, 1_000_000)
		<-time.After(time.Second)
		families := everything(t, m, e)
		for _, file := range []string{"grafana/quantus-miner.json", "prometheus/prometheus.yml", "prometheus/rules.yml", "prometheus/rules_test.yml"} {
			text, err := os.ReadFile("../../../deploy/" + file)
			if err != nil {
				t.Fatal(err)
			}
			pattern := `\b(miner|go)_[a-z0-9_]*[a-z0-9]`
			if runtime.GOOS == "linux" { // others know less of a process
				pattern = `\b(miner|go|process)_[a-z0-9_]*[a-z0-9]`
			}
			named := regexp.MustCompile(pattern).FindAllString(string(text), -1)
			for _, name := range named {
				family := families[name]
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if of, ok := strings.CutSuffix(name, suffix); ok && family == nil {
						family = families[of]
					}
				}
				if family == nil && name != "miner_thread" { // a pattern in a hint
					t.Errorf("%s names %s, which does not exist", file, name)
				}
			}
			if len(named) == 0 {
				t.Errorf("%s names no metric", file)
			}
		}
	})
}

// TestDocumented holds the documentation to the page, and the page to it.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string) // a row of a table, by its first columns
	for _, row := range regexp.MustCompile("(?m)^\\| `(miner_\\w+)` \\| (\\w+) \\|([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2] + " " + strings.NewReplacer("`", "", ",", "").Replace(row[3])
	}
	inBubble(t, enginetest.Paced{Interval: time.Millisecond}, func(m *mining.Miner, e *Exporter) {
		submit(t, m, e, "job", 1, 1_000_000)
		<-time.After(time.Second)
		families := everything(t, m, e)
		exported := make(map[string]string)
		for name, family := range families {
			if !strings.HasPrefix(name, "miner_") {
				continue
			}
			var labels []string
			for _, l := range family.GetMetric()[0].GetLabel() {
				labels = append(labels, l.GetName())
			}
			exported[name] = strings.ToLower(family.GetType().String()) + " " + strings.Join(labels, " ")
		}
		for name, row := range documented {
			fields := strings.Fields(row)
			slices.Sort(fields[1:])
			documented[name] = fields[0] + " " + strings.Join(fields[1:], " ")
		}
		if diff := cmp.Diff(documented, exported); diff != "" {
			t.Errorf("metrics (-documented +exported):\n%s", diff)
		}
	})
}

// TestCollectorForgets looks at what the collector itself keeps of jobs.
func TestCollectorForgets(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: time.Millisecond}, func(m *mining.Miner, e *Exporter) {
		c := &collector{sampler: hashrate.NewSampler(m, nil)}
		for i := range 10 {
			<-submit(t, m, e, fmt.Sprint(i), 1, 1).Done()
		}
		submit(t, m, e, "running", 1, 1_000_000)
		first := collect(c)
		if len(c.over) != 10 {
			t.Errorf("it keeps %d jobs of 10 that are over", len(c.over))
		}
		if again := collect(c); len(again) != len(first) {
			t.Errorf("%d metrics at first, then %d", len(first), len(again))
		}
		<-time.After(mining.Retention)
		collect(c)
		if len(c.over) != 0 {
			t.Errorf("it keeps %d jobs that are forgotten", len(c.over))
		}
	})
}

// ticks is a collector that counts how often it is asked.
type ticks struct{ prometheus.Counter }

func (c ticks) Collect(metrics chan<- prometheus.Metric) {
	c.Inc()
	c.Counter.Collect(metrics)
}

// TestCached asks a collector five times a second.
func TestCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "ticks_total"})
		c := &cached{Collector: ticks{counter}}
		for i := range 20 {
			if n := len(collect(c)); n != 1 {
				t.Errorf("%d metrics", n)
			}
			if got, want := testutil.ToFloat64(counter), float64(i/5+1); got != want {
				t.Errorf("after %d times 200 ms it was asked %g times, want %g", i, got, want)
			}
			<-time.After(200 * time.Millisecond)
		}
	})
}

// TestStart measures how long a job took to start.
func TestStart(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: 300 * time.Microsecond}, func(m *mining.Miner, e *Exporter) {
		<-submit(t, m, e, "job", 1, 1).Done()
		_, families := scrape(t, e)
		h := families["miner_job_start_seconds"].GetMetric()[0].GetHistogram()
		if h.GetSampleCount() != 1 || h.GetSampleSum() != 0.0003 {
			t.Errorf("%d jobs took %g s, want one of 0.0003", h.GetSampleCount(), h.GetSampleSum())
		}
	})
}

// TestOpenMetrics asks for the other format.
func TestOpenMetrics(t *testing.T) {
	inBubble(t, enginetest.Paced{Interval: time.Millisecond}, func(m *mining.Miner, e *Exporter) {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
		w := httptest.NewRecorder()
		e.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
		body, err := io.ReadAll(w.Body)
		if err != nil || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/openmetrics-text; version=1.0.0") ||
			!bytes.HasSuffix(body, []byte("# EOF\n")) || !bytes.Contains(body, []byte("\n# TYPE miner_hashes counter\n")) {
			t.Errorf("%s, %v\n%s", w.Header().Get("Content-Type"), err, body)
		}
	})
}

// TestAnswers holds the series that are there from the start to the contract of
// the API.
func TestAnswers(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Any path but those of the contract.
	want := map[string]bool{"other 401": true, "other 403": true, "other 404": true, "other 421": true, "other 429": true, "other 431": true, "other 503": true}
	for path, item := range doc.Paths.Map() {
		for _, operation := range item.Operations() {
			for code := range operation.Responses.Map() {
				want[strings.Split(path, "/")[1]+" "+code] = true
			}
		}
	}
	got := make(map[string]bool)
	for endpoint, codes := range answers {
		for _, code := range codes {
			got[endpoint+" "+strconv.Itoa(code)] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-contract +here):\n%s", diff)
	}
}

// BenchmarkScrape is a scrape without the network: of a miner of 64 threads that
// knows no job, one, and as many as a busy node has made in five minutes.
func BenchmarkScrape(b *testing.B) {
	for _, jobs := range []int{0, 1, 60, 600} {
		b.Run(fmt.Sprint(jobs, " jobs"), func(b *testing.B) {
			log := slog.New(slog.DiscardHandler)
			m := mining.New(log, &mining.Crew{Engine: enginetest.Paced{}, Workers: 2})
			for i := range jobs {
				_, err := m.Submit(mining.Request{ID: fmt.Sprintf("job %036d", i), Range: engine.Range{End: u512.Max()}})
				if err != nil {
					b.Fatal(err)
				}
				if i > 0 { // one runs
					m.Cancel(fmt.Sprintf("job %036d", i))
				}
			}
			handler := New(hashrate.NewSampler(m, nil), Build{}, Setup{CPUs: 64}).Handler(log)
			for b.Loop() {
				w := httptest.NewRecorder()
				r := httptest.NewRequest("GET", "/metrics", nil)
				r.Header.Set("Accept-Encoding", "gzip")
				handler.ServeHTTP(w, r)
				b.ReportMetric(float64(w.Body.Len()), "bytes")
			}
		})
	}
}
