package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// binary is the program under test, which TestMain builds.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "quantus-miner-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "quantus-miner")
	build := exec.Command("go", "build", "-o", binary, "./cmd/quantus-miner")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the miner: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// miner is a running miner.
type miner struct {
	API     string // the base URL of the node's API
	Monitor string // the base URL of the metrics and the page

	command *exec.Cmd
}

// startMiner starts a miner on free ports, which ends with the test, as an
// operator would end it, and must do so cleanly.
func startMiner(t *testing.T, flags ...string) miner {
	t.Helper()
	command := exec.Command(binary, append([]string{"--port", "0", "--metrics-port", "0", "--log-format", "json"}, flags...)...)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	m := miner{command: command}
	listens := make(chan struct{})
	var log bytes.Buffer
	var logged sync.WaitGroup
	logged.Go(func() {
		said := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			var line struct{ URL, Page string }
			if json.Unmarshal(lines.Bytes(), &line) != nil || said {
				continue
			}
			if line.Page != "" {
				m.Monitor = line.Page
			}
			if line.URL != "" {
				m.API, said = line.URL, true
				close(listens)
			}
		}
		if !said {
			close(listens)
		}
	})
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		logged.Wait()
		if err := command.Wait(); err != nil {
			t.Errorf("the miner ended with %v", err)
		}
		if t.Failed() {
			t.Logf("the miner's log:\n%s", &log)
		}
	})
	<-listens
	if m.API == "" || m.Monitor == "" {
		t.Fatal("the miner did not come to listen")
	}
	return m
}

// stop ends the miner before the test ends, as an operator would.
func (m miner) stop(t *testing.T) {
	t.Helper()
	if err := m.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
}

// result is an answer of the API to GET /result.
type result struct {
	Status    string  `json:"status"`
	Nonce     *string `json:"nonce"`
	HashCount uint64  `json:"hash_count"`
}

// The thresholds of jobs, in decimal.
var (
	// never is met by no nonce, or as good as none.
	never = "0"
	// always is met by every nonce.
	always = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 512), big.NewInt(1)).String()
	// soon is met by nonce 15,887,895 of the header 0…010 and by none before: with
	// two workers of cpu-fast that takes some seconds.
	soon = "3351951982485649274893506249551461531869841455148098344430890360930441007518386744200468574541725856922507964546621512713438470702986642486608412251"
)

// mine submits a job as a node does: nearly all nonces there are.
func (m miner) mine(t *testing.T, id, threshold string) {
	t.Helper()
	m.post(t, "/mine", map[string]string{
		"job_id":             id,
		"mining_hash":        fmt.Sprintf("%064x", 16),
		"distance_threshold": threshold,
		"nonce_start":        fmt.Sprintf("%0128x", 1),
		"nonce_end":          strings.Repeat("f", 128),
	})
}

// cancel cancels a job.
func (m miner) cancel(t *testing.T, id string) {
	t.Helper()
	m.post(t, "/cancel/"+id, nil)
}

func (m miner) post(t *testing.T, path string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(m.API+path, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(response.Body)
		t.Fatalf("POST %s: %s\n%s", path, response.Status, answer)
	}
}

// result asks for the state of a job.
func (m miner) result(t *testing.T, id string) (r result) {
	t.Helper()
	getJSON(t, m.API+"/result/"+id, &r)
	return r
}

// getJSON asks for a page and decodes its JSON.
func getJSON(t *testing.T, url string, data any) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(response.Body)
		t.Fatalf("GET %s: %s\n%s", url, response.Status, answer)
	}
	if err := json.NewDecoder(response.Body).Decode(data); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
}

// eventually asks again and again until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("for a minute it was not so: %s", what)
		}
	}
}
