package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// binary is the program under test, which TestMain builds. Beside it is quantus-miner-nats.
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
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./cmd/quantus-miner", "./cmd/quantus-miner-nats")
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

	*process
}

// process is the binary at work, as a miner or as another command that takes its
// time.
type process struct {
	command *exec.Cmd
	log     journal
	ended   chan struct{} // closed when it has, and err is what became of it
	err     error
	checked atomic.Bool // the test has asked how it ended
}

// minerCommand is a miner to be started on free ports.
func minerCommand(flags ...string) *exec.Cmd {
	return exec.Command(binary, append([]string{"--port", "0", "--metrics-port", "0", "--log-format", "json"}, flags...)...)
}

// under is a command started by a shell, which does something first.
func under(script string, command *exec.Cmd) *exec.Cmd {
	return exec.Command("sh", append([]string{"-c", script + `; exec "$0" "$@"`}, command.Args...)...)
}

// startMiner starts a miner on free ports, which ends with the test, as an
// operator would end it, and must do so cleanly.
func startMiner(t *testing.T, flags ...string) miner {
	t.Helper()
	return serve(t, minerCommand(flags...))
}

// serve starts a minerCommand as startMiner does.
func serve(t *testing.T, command *exec.Cmd) (m miner) {
	t.Helper()
	listens := make(chan struct{})
	m.process = start(t, command, func(e entry) {
		if e.Page != "" {
			m.Monitor = e.Page
		}
		if e.URL != "" {
			m.API = e.URL
			close(listens)
		}
	})
	select {
	case <-listens:
	case <-m.ended:
	}
	if m.API == "" || m.Monitor == "" {
		t.Fatal("the miner did not come to listen")
	}
	return m
}

// serveUnheard starts a minerCommand whose log goes elsewhere, so that it has to be
// told where to listen.
func serveUnheard(t *testing.T, stderr *os.File, flags ...string) miner {
	t.Helper()
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	command := minerCommand(append(flags, "--port", port)...)
	command.Stderr = stderr
	m := miner{API: "http://" + address, process: start(t, command, nil)}
	eventually(t, "the miner listens at "+address, m.listens)
	return m
}

// listens reports whether the miner takes connections.
func (m miner) listens() bool {
	c, err := dial(m)
	if err != nil {
		return false
	}
	_ = c.conn.Close()
	return true
}

// start starts a command that logs as a miner does, and tells of every entry up
// to that with the API's address, unless the log goes elsewhere. It is interrupted
// at the end of the test, which fails if the command then fails and the test has
// not asked for its end itself.
func start(t *testing.T, command *exec.Cmd, logged func(entry)) *process {
	t.Helper()
	p := &process{command: command, ended: make(chan struct{})}
	var stderr io.Reader = strings.NewReader("")
	if command.Stderr == nil {
		var err error
		if stderr, err = command.StderrPipe(); err != nil {
			t.Fatal(err)
		}
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		listens := false
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, journalSize)
		for lines.Scan() {
			p.log.add(lines.Text())
			var e entry
			if !listens && json.Unmarshal(lines.Bytes(), &e) == nil {
				logged(e)
				listens = e.URL != ""
			}
		}
		p.err = command.Wait()
	}()
	t.Cleanup(func() {
		checked := p.checked.Load()
		_ = command.Process.Signal(os.Interrupt) // fails if it has ended
		if err := p.end(t); err != nil && !checked {
			t.Errorf("the miner ended with %v", err)
		}
		if t.Failed() {
			t.Logf("the last of the miner's log:\n%s", &p.log)
		}
	})
	return p
}

// stop ends the miner before the test ends, as an operator would.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(t, os.Interrupt)
}

func (p *process) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// end waits for the end, and returns what became of the process.
func (p *process) end(t *testing.T) error {
	t.Helper()
	p.checked.Store(true)
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		_ = p.command.Process.Kill()
		t.Errorf("%v did not end within a minute", p.command.Args)
		<-p.ended
	}
	return p.err
}

// logs waits until something was logged, and returns it.
func (p *process) logs(t *testing.T, what string, is func(entry) bool) (found entry) {
	t.Helper()
	eventually(t, "it was logged that "+what, func() (ok bool) {
		found, ok = p.log.find(is)
		return ok
	})
	return found
}

// entry is what a miner logs at a time, as far as a test cares.
type entry struct {
	Time                           time.Time
	Level, Msg, Job, Error, Reason string
	URL, Page                      string // that it listens at
	Says                           string // a server of others'
}

// journal is what was logged, up to its last megabyte.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

const journalSize = 1 << 20

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.WriteString(line + "\n")
	if excess := j.text.Len() - journalSize; excess > 0 {
		j.text.Next(excess)
	}
}

// String returns the text.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// find returns the last entry that is as it should be, if there is one.
func (j *journal) find(is func(entry) bool) (found entry, ok bool) {
	for line := range strings.Lines(j.String()) {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil && is(e) {
			found, ok = e, true
		}
	}
	return found, ok
}

// spread returns the time from the earliest entry, by the clock that it has, to the
// latest.
func (j *journal) spread() time.Duration {
	var first, last time.Time
	for line := range strings.Lines(j.String()) {
		var e entry
		if json.Unmarshal([]byte(line), &e) != nil {
			continue
		}
		if first.IsZero() || e.Time.Before(first) {
			first = e.Time
		}
		if e.Time.After(last) {
			last = e.Time
		}
	}
	return last.Sub(first)
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

// metrics returns the values of the miner's metrics by their names and labels.
func (m miner) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	response, err := http.Get(m.Monitor + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		space := strings.LastIndex(line, " ") // as there may be others in labels
		if x, err := strconv.ParseFloat(line[space+1:], 64); err == nil && space > 0 && line[0] != '#' {
			values[line[:space]] = x
		}
	}
	return values
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
