package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run this very test binary as quantus-miner, built
// as the tests are, with the race detector for one.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"quantus-miner": main})
}

// TestScripts runs testdata/script: the command as its user sees it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Values[miner{}] = new(background)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"dial":   dial,
			"serve":  serveInBackground,
			"signal": signalMiner,
		},
	})
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

// exitCode turns the error of a command that ran into its exit code.
func exitCode(err error) (int, error) {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// miner is the key of a script's background miner among its values.
type miner struct{}

// background is a miner that serves its API while a script goes on.
type background struct {
	command *exec.Cmd
	log     *bytes.Buffer // complete once logged is closed
	logged  chan struct{}
}

// serveInBackground starts a miner and sets $URL once it listens, on a free
// port unless the arguments say otherwise: serve [flags...]
func serveInBackground(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("quantus-miner")
	ts.Check(err)
	b := background{exec.Command(path, append([]string{"--port", "0"}, args...)...), new(bytes.Buffer), make(chan struct{})}
	b.command.Env = os.Environ()
	for _, name := range []string{"MINER_ENGINE", "MINER_CORES"} {
		if value := ts.Getenv(name); value != "" {
			b.command.Env = append(b.command.Env, name+"="+value)
		}
	}
	stderr, err := b.command.StderrPipe()
	ts.Check(err)
	ts.Check(b.command.Start())
	ts.Defer(func() {
		_ = b.command.Process.Kill() // fails if a signal has ended it
		<-b.logged
	})

	url := make(chan string, 1)
	go func() {
		defer close(b.logged)
		defer close(url)
		pattern := regexp.MustCompile(`url=(http://\S+)`)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(b.log, lines.Text())
			if found := pattern.FindStringSubmatch(lines.Text()); found != nil {
				url <- found[1]
			}
		}
	}()
	listening, ok := <-url
	if !ok {
		ts.Fatalf("the miner ended before it listened:\n%s", b.log)
	}
	ts.Setenv("URL", listening)
	*ts.Value(miner{}).(*background) = b
}

// signalMiner sends a signal to the background miner, waits for its end, and
// wants it to have exited with 0. Its log becomes the file miner.log.
func signalMiner(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}
	b := ts.Value(miner{}).(*background)
	if b.command == nil || len(args) != 1 || signals[args[0]] == nil {
		ts.Fatalf("usage: signal INT|TERM, after serve")
	}
	ts.Check(b.command.Process.Signal(signals[args[0]]))
	<-b.logged
	code, err := exitCode(b.command.Wait())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("miner.log"), b.log.Bytes(), 0o600))
	if code != 0 {
		ts.Fatalf("exit code %d of the miner:\n%s", code, b.log)
	}
}
