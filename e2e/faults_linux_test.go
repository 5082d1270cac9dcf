package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// execute runs the binary to its end, and returns its exit code, -1 for a signal,
// and what it wrote to standard error. Where its output goes is for the caller to
// say.
func execute(t *testing.T, command *exec.Cmd) (code int, stderr string) {
	t.Helper()
	var text bytes.Buffer
	command.Stderr = &text
	err := command.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), text.String()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, text.String()
}

// serveNode has a simulated node seal a few blocks, which the miner must be well for.
func (m miner) serveNode(t *testing.T) {
	t.Helper()
	node := exec.Command(binary, "simulate", "--miner", m.API, "--blocks", "3", "--block-time", "10ms", "--poll", "5ms")
	if code, stderr := execute(t, node); code != 0 {
		t.Errorf("the simulated node ended with %d: %s", code, stderr)
	}
}

// dial connects to the miner until the test ends.
func (m miner) dial(t *testing.T) *client {
	t.Helper()
	c, err := dial(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

// must fails the test at once if there is an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNodeDies kills a node in the middle of a job: the job is given up, and the
// miner serves the next node.
func TestNodeDies(t *testing.T) {
	m := startMiner(t, "--abandon-after", "2s")
	node := exec.Command(binary, "simulate", "--miner", m.API, "--block-time", "1h", "--poll", "50ms")
	must(t, node.Start())
	defer func() { _ = node.Wait() }()
	defer func() { _ = node.Process.Kill() }()

	// The first block is easy, and the second takes its hour.
	easy := m.logs(t, "a job is completed", func(e entry) bool { return e.Msg == "job completed" })
	hard := m.logs(t, "another has started", func(e entry) bool { return e.Msg == "job started" && e.Job != easy.Job })
	eventually(t, "it is being searched", func() bool { return m.result(t, hard.Job).HashCount > 0 })
	must(t, node.Process.Kill())

	abandoned := m.logs(t, "a job is abandoned", func(e entry) bool { return strings.HasPrefix(e.Msg, "job abandoned") })
	if abandoned.Job != hard.Job {
		t.Errorf("job %s was abandoned, and %s should be", abandoned.Job, hard.Job)
	}
	if r := m.result(t, hard.Job); r.Status != "cancelled" {
		t.Errorf("the abandoned job is %s", r.Status)
	}
	if n := m.metrics(t)["miner_jobs_abandoned_total"]; n != 1 {
		t.Errorf("%g jobs count as abandoned", n)
	}
	m.serveNode(t)
}

// TestSuspended stops the miner in the middle of a job, as a machine that is
// suspended does: the job goes on, and who waits for an answer gets it.
func TestSuspended(t *testing.T) {
	// For longer than it waits for somebody to ask, and as nobody can, it waits on.
	m := startMiner(t, "--workers", "1", "--priority", "normal", "--abandon-after", "2s")
	waiting, idle := m.dial(t), m.dial(t)
	// One in 2,000,000 nonces is valid, and the first of them comes late. One worker
	// finds that one, a second later or so.
	threshold := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 512), big.NewInt(2_000_000)).String()
	const lowest = 7_507_771
	j := &job{id: "x", threshold: threshold, first: number(1), last: largest}
	must(t, waiting.submit(j))
	must(t, idle.poll(j))
	for j.hashes == 0 {
		must(t, idle.poll(j))
	}

	m.signal(t, syscall.SIGSTOP)
	defer m.signal(t, syscall.SIGCONT) // whatever happens, so that it can end
	eventually(t, "the miner is stopped", func() bool { return m.status(t, "State") == "T" })
	must(t, waiting.send("GET", "/result/x", ""))
	<-time.After(4 * time.Second)
	m.signal(t, syscall.SIGCONT)

	a, err := waiting.read()
	must(t, err)
	must(t, j.follow(a))
	if j.status != "running" {
		t.Fatalf("the job was %s before the miner was stopped: it is too easy for this machine", j.status)
	}
	eventually(t, "the job is over", func() bool {
		must(t, idle.poll(j))
		return j.over()
	})
	if want := `"work":"` + number(lowest) + `"`; !strings.Contains(j.answer, want) {
		t.Errorf("%s, want %s", j.answer, want)
	}
	m.serveNode(t)
}

// half is the first half of a request.
const half = "POST /mine HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"

// TestEndsBySignal tells a miner to end that has a job to do and connections of all
// kinds open.
func TestEndsBySignal(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			m := startMiner(t, "--request-timeout", "1h") // nothing ends of itself
			idle, busy := m.dial(t), m.dial(t)
			j := newJob(endless, "x", 0)
			must(t, idle.submit(j))
			_, err := io.WriteString(busy.conn, half)
			must(t, err)
			page, err := http.Get(m.Monitor + "/events")
			must(t, err)
			defer page.Body.Close()

			began := time.Now()
			m.signal(t, signal)
			if err := m.end(t); err != nil {
				t.Errorf("the miner ended with %v", err)
			}
			t.Logf("it ended within %s", time.Since(began).Round(time.Millisecond))
			for _, msg := range []string{"job cancelled", "shut down"} {
				if _, ok := m.log.find(func(e entry) bool { return e.Msg == msg }); !ok {
					t.Errorf("it did not log %q", msg)
				}
			}
		})
	}
}

// TestNohup closes the terminal of a miner that was started not to mind.
func TestNohup(t *testing.T) {
	m := serve(t, under("trap '' HUP", minerCommand()))
	m.signal(t, syscall.SIGHUP)
	// Had it been handled, the end might just not show yet.
	ignored, err := strconv.ParseUint(m.status(t, "SigIgn"), 16, 64)
	must(t, err)
	if ignored&(1<<(syscall.SIGHUP-1)) == 0 {
		t.Errorf("SIGHUP is not ignored: the mask is %x", ignored)
	}
	m.serveNode(t)
}

// TestSecondSignal tells a miner to end that cannot, as nobody reads its log, which
// blocks it. Told again it ends all the same.
func TestSecondSignal(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			unread, log, err := os.Pipe()
			must(t, err)
			defer unread.Close()
			defer log.Close()
			m := serveUnheard(t, log, "--report-every", "0")
			clog(t, log)
			m.signal(t, signal)
			eventually(t, "the miner has begun to end", func() bool { return !m.listens() })
			eventually(t, "told again, it ends", func() bool {
				_ = m.command.Process.Signal(signal)
				select {
				case <-m.ended:
					return true
				default:
					return false
				}
			})
			exit, ok := errors.AsType[*exec.ExitError](m.end(t))
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != signal {
				t.Errorf("the miner ended with %v, want %s", m.err, signal)
			}
		})
	}
}

// clog fills a pipe.
func clog(t *testing.T, pipe *os.File) {
	t.Helper()
	// The other end has it, too, and must not be told to try again later.
	fd := int(pipe.Fd())
	must(t, syscall.SetNonblock(fd, true))
	for _, size := range []int{1 << 16, 1} {
		for err := error(nil); err == nil; {
			_, err = syscall.Write(fd, make([]byte, size))
		}
	}
	must(t, syscall.SetNonblock(fd, false))
}

// TestLogIsLost has nobody take what the miner logs: it mines and answers all the
// same, and ends as it should.
func TestLogIsLost(t *testing.T) {
	t.Run("full disk", func(t *testing.T) {
		full := openFull(t)
		serveUnheard(t, full).serveNode(t)
	})
	// To write where nobody reads ends a Go program, if it is to standard error.
	t.Run("reader gone", func(t *testing.T) {
		reader, log, err := os.Pipe()
		must(t, err)
		m := serveUnheard(t, log)
		must(t, log.Close())
		must(t, reader.Close())
		m.serveNode(t)
	})
}

// openFull opens a file on a disk that is full.
func openFull(t *testing.T) *os.File {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	t.Cleanup(func() { _ = full.Close() })
	return full
}

// TestResultIsLost has commands print their results to a disk that is full. Whoever
// reads them there must know.
func TestResultIsLost(t *testing.T) {
	header := fmt.Sprintf("%064x", 16)
	search := []string{"search", "--workers", "1", "--header", header, "--threshold", always, "--start", "1", "--end", "9"}
	verify := []string{"verify", "--header", header, "--nonce", "1"}
	bench := []string{"bench", "--engine", "cpu-fast", "--duration", "10ms"}
	simulate := []string{"simulate", "--blocks", "1", "--block-time", "10ms", "--poll", "5ms"}
	for _, c := range []struct {
		args []string
		code int
	}{
		{search, 3},
		{verify, 3},
		{bench, 1},
		{simulate, 1},
		{[]string{"version"}, 1},
		{[]string{"--help"}, 1},
	} {
		for _, asJSON := range []bool{false, true} {
			if asJSON {
				if len(c.args) == 1 {
					continue
				}
				c.args = append(slices.Clone(c.args), "--json")
			}
			command := exec.Command(binary, c.args...)
			command.Stdout = openFull(t)
			if code, stderr := execute(t, command); code != c.code || !strings.Contains(stderr, "no space left on device") {
				t.Errorf("%s (with --json: %t) ended with %d, want %d, and said %q", c.args[0], asJSON, code, c.code, stderr)
			}
		}
	}
}

// TestWritesNothing runs the miner and a simulation where nothing can be written,
// and where everything would be seen.
func TestWritesNothing(t *testing.T) {
	empty := t.TempDir()
	for name, dir := range map[string]string{"proc": "/proc", "empty": empty} {
		t.Run(name, func(t *testing.T) {
			in := func(command *exec.Cmd) *exec.Cmd {
				command.Dir = dir
				command.Env = append(os.Environ(), "HOME="+empty, "TMPDIR="+empty, "XDG_CACHE_HOME=", "XDG_CONFIG_HOME=", "XDG_STATE_HOME=")
				return command
			}
			m := serve(t, in(minerCommand()))
			m.serveNode(t)
			m.stop(t)
			must(t, m.end(t))
			node := in(exec.Command(binary, "simulate", "--blocks", "2", "--block-time", "10ms", "--poll", "5ms"))
			if code, stderr := execute(t, node); code != 0 {
				t.Errorf("simulate ended with %d: %s", code, stderr)
			}
			files, err := os.ReadDir(empty)
			must(t, err)
			for _, file := range files {
				t.Errorf("there is a file now: %s", file)
			}
		})
	}
}

// TestPortInUse starts miners at an address that somebody else listens at.
func TestPortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	for flag, flags := range map[string]string{
		"--port":         "--port and --host",
		"--metrics-port": "--metrics-port and --metrics-host",
	} {
		want := fmt.Sprintf("listening on %s (choose another with %s)", address, flags)
		code, stderr := execute(t, minerCommand(flag, port))
		if code != 1 || !strings.Contains(stderr, want) || !strings.Contains(stderr, "address already in use") {
			t.Errorf("%s in use: exit code %d, want 1, and %q:\n%s", flag, code, want, stderr)
		}
	}
}

// TestSlowClients has two clients send a byte a second, of a header and of a body:
// they are cut off, and another one is answered in the meantime.
func TestSlowClients(t *testing.T) {
	m := startMiner(t, "--request-timeout", "4s")
	c := m.dial(t)
	j := newJob(endless, "x", 0)
	must(t, c.submit(j))
	began := time.Now()
	slow := make(chan error)
	for what, head := range map[string]string{
		"header": "POST /mine HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
		"body":   "POST /mine HTTP/1.1\r\nHost: localhost\r\nContent-Length: 600\r\n\r\n",
	} {
		conn := m.dial(t).conn
		go func() {
			said, err := crawl(conn, head)
			t.Logf("the client with a slow %s was cut off after %s with %q", what, time.Since(began).Round(time.Millisecond), said)
			if err == nil && said != "" && !strings.HasPrefix(said, "HTTP/1.1 4") {
				err = errors.New("it was answered otherwise than with a refusal")
			}
			if err != nil {
				err = fmt.Errorf("the client with a slow %s: %w", what, err)
			}
			slow <- err
		}()
	}
	answered := 0
	for open := 2; open > 0; {
		must(t, c.poll(j))
		answered++
		select {
		case err := <-slow:
			if open--; err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
	if answered < 5 { // of hundreds, unless they had to wait for the end
		t.Errorf("another client had only %d answers while these were slow", answered)
	}
	must(t, c.cancel(j))
	must(t, c.poll(j))
	t.Logf("%d answers to another client took up to %s", len(c.polls), slices.Max(c.polls).Round(time.Millisecond))
}

// crawl sends the head of a request at once and then a byte a second, until it is
// cut off, and returns what it was told.
func crawl(conn net.Conn, head string) (said string, err error) {
	if _, err := io.WriteString(conn, head); err != nil {
		return "", err
	}
	closed := make(chan []byte)
	go func() {
		text, _ := io.ReadAll(conn) // however it ends
		closed <- text
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		select {
		case text := <-closed:
			return string(text), nil
		case <-deadline:
			_ = conn.Close()
			return string(<-closed), errors.New("it was not cut off for a minute")
		case <-tick.C:
			_, _ = io.WriteString(conn, " ") // of which the reader sees the end
		}
	}
}

// TestFewFiles opens more connections than the miner may have files: it goes on to
// answer on those that it has, and takes others when there is room again.
func TestFewFiles(t *testing.T) {
	m := serve(t, under("ulimit -n 32", minerCommand()))
	c := m.dial(t)
	j := newJob(endless, "x", 0)
	must(t, c.submit(j))
	must(t, c.poll(j))
	var crowd []*client
	for range 100 {
		crowd = append(crowd, m.dial(t))
	}
	m.logs(t, "there are too many files", func(e entry) bool { return strings.Contains(e.Msg, "too many open files") })
	for range 10 {
		must(t, c.poll(j))
	}
	for _, other := range crowd {
		must(t, other.conn.Close())
	}
	must(t, m.dial(t).poll(j))
	must(t, c.cancel(j))
	must(t, c.poll(j))
	m.serveNode(t)
}
