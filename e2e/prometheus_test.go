package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/simulate"
)

// prometheus is a running Prometheus server.
type prometheus struct{ url string }

// startPrometheus starts a server that scrapes a miner once a second, and knows
// the alert rules that we deploy.
func startPrometheus(t *testing.T, m miner) prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("this test wants a Prometheus server (on Debian: apt-get install prometheus): %v", err)
	}
	rules, err := filepath.Abs("../deploy/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	// The job has the name that the deployed configuration gives it.
	text := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs:\n- job_name: quantus-miner\n  static_configs: [{targets: [%q]}]\n",
		rules, strings.TrimPrefix(m.Monitor, "http://"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	server := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	server.Stderr = t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		if err := server.Wait(); err != nil {
			t.Errorf("Prometheus ended with %v", err)
		}
	})
	eventually(t, "Prometheus is up", func() bool {
		response, err := http.Get("http://" + address + "/-/ready")
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil && response.StatusCode == http.StatusOK
	})
	return prometheus{"http://" + address}
}

// freeAddress returns an address that nobody listens on at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// query asks a question in PromQL.
func (p prometheus) query(t *testing.T, promQL string) (values []float64) {
	t.Helper()
	var answer struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	getJSON(t, p.url+"/api/v1/query?query="+url.QueryEscape(promQL), &answer)
	if answer.Data.ResultType != "vector" {
		t.Fatalf("%s is a %s", promQL, answer.Data.ResultType)
	}
	var vector []struct{ Value [2]any } // the time, and the value as a string
	if err := json.Unmarshal(answer.Data.Result, &vector); err != nil {
		t.Fatal(err)
	}
	for _, v := range vector {
		value, err := strconv.ParseFloat(v.Value[1].(string), 64)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	return values
}

// value asks for a single value, and reports whether there is one.
func (p prometheus) value(t *testing.T, promQL string) (float64, bool) {
	t.Helper()
	values := p.query(t, promQL)
	if len(values) != 1 {
		return 0, false
	}
	return values[0], true
}

// TestPrometheus has a real server scrape the real miner while two jobs run, and
// reads their rates back; then it lets the jobs end, and adds up.
func TestPrometheus(t *testing.T) {
	m := startMiner(t, "--workers", "2", "--engine", "cpu-fast")
	p := startPrometheus(t, m)
	eventually(t, "the miner is scraped", func() bool {
		up, ok := p.value(t, `up{job="quantus-miner"}`)
		return ok && up == 1
	})
	finish := func(id string) (hashes uint64) {
		eventually(t, id+" is over", func() bool {
			r := m.result(t, id)
			hashes = r.HashCount
			return r.Status != "running"
		})
		return hashes
	}
	m.mine(t, "early", always)
	ended := map[string]uint64{"early": finish("early")}
	m.mine(t, "first", never)
	m.mine(t, "second", never)

	// What it must show while two jobs run: rates by counter, by gauge, by thread.
	eventually(t, "two jobs run, and all rates agree", func() bool {
		total, ok := p.value(t, `rate(miner_hashes_total[10s])`)
		jobs, _ := p.value(t, `sum(rate(miner_job_hashes_total[10s]))`)
		threads, _ := p.value(t, `sum(rate(miner_thread_hashes_total[10s]))`)
		gauge, _ := p.value(t, `miner_hash_rate`)
		byJob, _ := p.value(t, `sum(miner_job_hash_rate)`)
		byThread, _ := p.value(t, `sum(miner_thread_hash_rate)`)
		active, _ := p.value(t, `miner_active_jobs`)
		running := len(p.query(t, `miner_job_status{status="running"} == 1`))
		// The gauges are smoothed and the counters averaged: near is enough.
		near := func(a, b float64) bool { return math.Abs(a-b) <= 0.3*total }
		return ok && total > 0 && active == 2 && running == 2 && near(jobs, total) && near(threads, total) &&
			near(gauge, total) && near(byJob, gauge) && near(byThread, gauge) &&
			len(p.query(t, `miner_job_hash_rate`)) == 2 && len(p.query(t, `miner_thread_hash_rate`)) == 4
	})

	t.Run("every query of the dashboard has an answer", func(t *testing.T) {
		for title, expressions := range dashboard(t) {
			for _, promQL := range expressions {
				if regexp.MustCompile(`miner_(node|pool|fleet|gpu)_|gpu`).MatchString(promQL) {
					continue // see TestPrometheusOfConnect, TestPrometheusOfPool and TestPrometheusOfGPU
				}
				values := p.query(t, promQL)
				if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
					t.Errorf("%s: the answer to %s is %v", title, promQL, values)
				}
			}
		}
	})

	m.cancel(t, "first")
	m.cancel(t, "second")
	m.mine(t, "third", always)
	for _, id := range []string{"first", "second", "third"} {
		ended[id] = finish(id)
	}
	eventually(t, "a scrape has seen the last result fetched, and so all before", func() bool {
		fetched, _ := p.value(t, `miner_result_pickup_seconds_count`)
		return fetched == 2
	})
	sum := uint64(0)
	for id, hashes := range ended {
		sum += hashes
		for _, promQL := range []string{`sum(miner_thread_hashes_total{job_id="%s"})`, `miner_job_hashes_total{job_id="%s"}`} {
			if got, ok := p.value(t, fmt.Sprintf(promQL, id)); !ok || got != float64(hashes) {
				t.Errorf("job %s: hash_count %d, %g by %s", id, hashes, got, promQL)
			}
		}
	}
	for promQL, want := range map[string]float64{
		`miner_hashes_total`:                                      float64(sum),
		`miner_engine_hashes_total{engine="cpu-fast"}`:            float64(sum),
		`miner_hash_rate`:                                         0,
		`miner_active_jobs`:                                       0,
		`count(miner_job_hash_rate) or vector(0)`:                 0,
		`count(miner_thread_hash_rate) or vector(0)`:              0,
		`miner_jobs_total{status="completed"}`:                    2,
		`miner_jobs_by_engine_total{status="cancelled"}`:          2,
		`miner_job_status{job_id="third",status="completed"}`:     1,
		`miner_job_start_seconds_count`:                           4,
		`miner_http_requests_total{endpoint="cancel",code="200"}`: 2,
		`miner_mine_requests_total{result="accepted"}`:            4,
		`miner_workers`:                                           2,
	} {
		if got, ok := p.value(t, promQL); !ok || got != want {
			t.Errorf("%s = %g (%t), want %g", promQL, got, ok, want)
		}
	}

	t.Run("the alert rules are loaded", func(t *testing.T) {
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError string }
				}
			}
		}
		eventually(t, "each rule is evaluated without an error", func() bool {
			getJSON(t, p.url+"/api/v1/rules", &answer)
			healthy := 0
			for _, group := range answer.Data.Groups {
				for _, rule := range group.Rules {
					if rule.Health == "err" {
						t.Fatalf("%s: %s", rule.Name, rule.LastError)
					}
					if rule.Health == "ok" {
						healthy++
					}
				}
			}
			return healthy >= 5
		})
	})
}

// TestPrometheusOfConnect has a real server scrape a miner that connects to a node: the
// queries of the dashboard that are about nodes have answers.
func TestPrometheusOfConnect(t *testing.T) {
	n := playNode(t, simulate.Trouble{})
	startPrometheus(t, connect(t, n)).answers(t, "miner_node_", 5)
}

// TestPrometheusOfPool has a real server scrape a miner that works for a pool: the queries of
// the dashboard that are about pools have answers.
func TestPrometheusOfPool(t *testing.T) {
	pool := playPool(t)
	m := minePool(t, pool)
	pool.works(t)
	startPrometheus(t, m).answers(t, "miner_pool_", 5)
}

// TestPrometheusOfGPU has a real server scrape a miner with a device of OpenCL, which is a
// CPU: the queries of the dashboard that are about GPUs have answers.
func TestPrometheusOfGPU(t *testing.T) {
	program := filepath.Join(t.TempDir(), "quantus-miner-gpu")
	build := exec.Command("go", "build", "-o", program, "./cmd/quantus-miner-gpu")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program for GPUs: %v\n%s", err, out)
	}
	n := playNode(t, simulate.Trouble{})
	m := connectBy(t, connectCommand([]*node{n}, "--gpu", "0", "--gpu-program", program))
	p := startPrometheus(t, m)
	eventually(t, "the GPU searches", func() bool {
		searching, _ := p.value(t, `miner_thread_hash_rate{thread_id="gpu0"}`)
		return searching > 0
	})
	p.answers(t, "gpu", 4)
}

// answers asks for all of the dashboard's queries about some metrics, of which there must be so
// many, until each has an answer.
func (p prometheus) answers(t *testing.T, about string, least int) {
	t.Helper()
	asked := 0
	for title, expressions := range dashboard(t) {
		for _, promQL := range expressions {
			if strings.Contains(promQL, about) {
				asked++
				eventually(t, title+" has an answer to "+promQL, func() bool {
					values := p.query(t, promQL)
					return len(values) > 0 && !slices.ContainsFunc(values, math.IsNaN)
				})
			}
		}
	}
	if asked < least {
		t.Errorf("the dashboard has %d queries about %s", asked, about)
	}
}

// dashboard returns the queries of the dashboard that we deploy, by the titles of
// its panels, with its variables replaced by what Grafana would put there.
func dashboard(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../deploy/grafana/quantus-miner.json")
	if err != nil {
		t.Fatal(err)
	}
	type panel struct {
		Title   string
		Targets []struct{ Expr string }
		Panels  []panel // of a folded row
	}
	var d struct{ Panels []panel }
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`\$\{?\w+\}?`)
	queries := make(map[string][]string)
	var add func([]panel)
	add = func(panels []panel) {
		for _, panel := range panels {
			for _, target := range panel.Targets {
				queries[panel.Title] = append(queries[panel.Title], variable.ReplaceAllStringFunc(target.Expr, func(name string) string {
					switch name {
					case "$__rate_interval", "$__range":
						return "1m"
					}
					return ".*"
				}))
			}
			add(panel.Panels)
		}
	}
	add(d.Panels)
	if len(queries) < 20 {
		t.Fatalf("the dashboard has only %d panels with queries", len(queries))
	}
	return queries
}

// TestDeployedFiles holds the deployed configuration and rules to Prometheus's own checks.
func TestDeployedFiles(t *testing.T) {
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"},
		{"check", "rules", "rules.yml"},
		{"test", "rules", "rules_test.yml"},
	} {
		command := exec.Command("promtool", args...)
		command.Dir = "../deploy/prometheus"
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s (on Debian: apt-get install prometheus): %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
