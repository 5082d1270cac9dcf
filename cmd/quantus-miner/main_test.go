package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quantus-network/quantus-miner/internal/fleet/broker/server"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/gputest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/process"
)

// TestMain lets the scripts run this very test binary as quantus-miner, built
// as the tests are, with the race detector for one.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"quantus-miner": main, "quantus-miner-gpu": gpuProcess, "quantus-miner-nats": natsProcess})
}

// gpuProcess is quantus-miner-gpu with devices that are none: those of package gputest.
func gpuProcess() {
	err := process.Process{Version: "test", Backends: gputest.Backends(os.Stdout), In: os.Stdin, Out: os.Stdout}.Serve()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// natsProcess is quantus-miner-nats.
func natsProcess() {
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	if err := server.Serve("test", os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestScripts runs testdata/script: the command as its user sees it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Values[miner{}] = new(current)
			// Or commands whose default it is would use the devices of gpuProcess.
			e.Setenv("MINER_GPU", "none")
			return nil
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"certificate": certificatePair,
			"exits":       exits,
			"dial":        dial,
			"get":         get,
			"logs":        logs,
			"port":        port,
			"post":        post,
			"watch":       watchPage,
			"serve":       serveInBackground,
			"signal":      signalMiner,
			"tell":        tell,
			"await":       await,
			"until":       until,
		},
	})
}

// condition reports whether this process may make mounts of its own: [mounts].
func condition(name string) (bool, error) {
	if name != "mounts" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	return exec.Command("unshare", "--mount", "true").Run() == nil, nil
}

// certificatePair makes a certificate with its key, for its owner alone to read:
// certificate file keyfile
func certificatePair(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: certificate file keyfile")
	}
	_, cert, key, err := newCertificate(1)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), cert, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), key, 0o600))
}

// exits runs a command and wants a certain exit code: exits 2 quantus-miner …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got, err := exitCode(ts.Exec(args[1], args[2:]...))
	ts.Check(err)
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// dial connects to the background miner and sends something that is no whole
// request; the connection stays open until the script ends: dial [text]
func dial(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(ts.Getenv("URL"), "http://"))
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, strings.Join(args, " "))
	ts.Check(err)
}

// get asks for a page, prints it, and wants a certain status code. The host that it asks
// for is that of the URL, unless there is another: get 200 url [host]
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: get status url [host]")
	}
	request, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	if len(args) == 3 {
		request.Host = args[2]
	}
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	show(ts, response, args[0])
}

// post sends JSON, prints the answer, and wants a certain status code: post 200 url body
func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: post status url body")
	}
	response, err := http.Post(args[1], "application/json", strings.NewReader(args[2]))
	ts.Check(err)
	show(ts, response, args[0])
}

// show prints an answer, which must have a certain status code.
func show(ts *testscript.TestScript, response *http.Response, code string) {
	defer response.Body.Close()
	_, err := io.Copy(ts.Stdout(), response.Body)
	ts.Check(err)
	if fmt.Sprint(response.StatusCode) != code {
		ts.Fatalf("status %s, want %s", response.Status, code)
	}
}

// watchPage opens a page that does not end, and leaves it open: watch url
func watchPage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: watch url")
	}
	response, err := http.Get(args[0])
	ts.Check(err)
	ts.Defer(func() { _ = response.Body.Close() })
	_, err = bufio.NewReader(response.Body).ReadString('\n')
	ts.Check(err)
}

// port sets $PORT to that of a URL: port url
func port(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port url")
	}
	u, err := url.Parse(args[0])
	ts.Check(err)
	ts.Setenv("PORT", u.Port())
}

// exitCode turns the error of a command that ran into its exit code.
func exitCode(err error) (int, error) {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// miner is the key of a script's current background miner among its values.
type miner struct{}

// current holds the background miner that was started last.
type current struct{ *background }

// background is a miner that serves its API while a script goes on.
type background struct {
	command *exec.Cmd
	logged  chan struct{} // closed when the log is complete

	mu    sync.Mutex
	wrote sync.Cond // something was logged, or the log is complete
	log   bytes.Buffer
}

// write adds a line to the log.
func (b *background) write(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log.WriteString(line + "\n")
	b.wrote.Broadcast()
}

// logs waits until the background miner has logged what the pattern describes:
// logs pattern
func logs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: logs pattern, after serve")
	}
	pattern := regexp.MustCompile(args[0])
	b := ts.Value(miner{}).(*current).background
	b.mu.Lock()
	defer b.mu.Unlock()
	for !pattern.Match(b.log.Bytes()) {
		select {
		case <-b.logged:
			ts.Fatalf("the miner ended without logging it:\n%s", &b.log)
		default:
			b.wrote.Wait()
		}
	}
}

// serveInBackground starts a miner and sets $URL once it listens, on a free port
// unless the arguments say otherwise, and $PAGE if it serves metrics; or one that
// connects to a node, which must serve metrics: serve [flags...] | serve connect flags...
func serveInBackground(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("quantus-miner")
	ts.Check(err)
	connects := len(args) > 0 && args[0] == "connect"
	if !connects {
		args = append([]string{"--port", "0"}, args...)
	}
	b := &background{command: exec.Command(path, args...), logged: make(chan struct{})}
	b.wrote.L = &b.mu
	leaveTerminal(b.command)
	b.command.Env = append(os.Environ(), environment(ts)...)
	stderr, err := b.command.StderrPipe()
	ts.Check(err)
	ts.Check(b.command.Start())
	ts.Defer(func() {
		_ = b.command.Process.Kill() // fails if a signal has ended it
		<-b.logged
	})

	type addresses struct{ url, page string }
	listens := make(chan addresses, 1)
	go func() {
		defer b.wrote.Broadcast()
		defer close(b.logged)
		defer close(listens)
		pattern := regexp.MustCompile(`\b(url|page|serving)(?:":"| +)(http://[^\s"]+)`)
		var found addresses // the page's is logged first
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			b.write(lines.Text())
			switch match := pattern.FindStringSubmatch(lines.Text()); {
			case match == nil:
			case match[1] == "page":
				found.page = match[2]
				if connects {
					listens <- found
				}
			default:
				found.url = match[2]
				listens <- found
			}
		}
	}()
	found, ok := <-listens
	if !ok {
		<-b.logged
		ts.Fatalf("the miner ended before it listened:\n%s", &b.log)
	}
	ts.Setenv("URL", found.url)
	ts.Setenv("PAGE", found.page)
	ts.Value(miner{}).(*current).background = b
}

// environment returns the variables that a script may set for its background miner. Those
// that it does not set have no value.
func environment(ts *testscript.TestScript) (variables []string) {
	for _, name := range []string{
		"MINER_ENGINE", "MINER_CORES", "MINER_METRICS_PORT", "MINER_LOG_FORMAT", "MINER_HOST", "MINER_WORKER", "MINER_COLOUR", "MINER_ALLOW_HOST",
	} {
		variables = append(variables, name+"="+ts.Getenv(name))
	}
	return variables
}

// until asks for a page until its status code is the wanted one, and it has what the
// pattern describes, if there is one; and prints it: until 503 url [pattern]
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: until status url [pattern]")
	}
	pattern := regexp.MustCompile("(?m)" + strings.Join(args[2:], ""))
	for {
		response, err := http.Get(args[1])
		ts.Check(err) // the server is gone: too late
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		ts.Check(err)
		if fmt.Sprint(response.StatusCode) == args[0] && pattern.Match(body) {
			_, err := ts.Stdout().Write(body)
			ts.Check(err)
			return
		}
	}
}

// signalMiner sends a signal to the background miner and waits for its end:
// signal INT|TERM|HUP
func signalMiner(ts *testscript.TestScript, neg bool, args []string) {
	tell(ts, neg, args)
	await(ts, neg, nil)
}

// tell sends a signal to the background miner: tell INT|TERM|HUP
func tell(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	b := ts.Value(miner{}).(*current).background
	if b == nil || len(args) != 1 || signals[args[0]] == nil {
		ts.Fatalf("usage: signal|tell INT|TERM|HUP, after serve")
	}
	ts.Check(b.command.Process.Signal(signals[args[0]]))
}

// await waits for the end of the background miner, and wants it to have exited
// with 0. Its log becomes the file miner.log.
func await(ts *testscript.TestScript, _ bool, _ []string) {
	b := ts.Value(miner{}).(*current).background
	<-b.logged
	code, err := exitCode(b.command.Wait())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("miner.log"), b.log.Bytes(), 0o600))
	if code != 0 {
		ts.Fatalf("exit code %d of the miner:\n%s", code, &b.log)
	}
}
