package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// screen is a terminal, and what was written on it.
type screen struct {
	keyboard *os.File // the end of who sits before it
	tty      *os.File // the end of programs

	mu   sync.Mutex
	text strings.Builder
}

// newScreen opens a terminal.
func newScreen(t *testing.T) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(t, err)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	s := &screen{keyboard: master, tty: tty}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.text.Write(buffer[:n])
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = tty.Close()
		_ = master.Close()
	})
	return s
}

// String returns what was written, without its colours.
func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(s.text.String(), "")
}

// echoes says whether the terminal is as people have it: it shows what is typed, and hands
// it over by lines.
func (s *screen) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	must(t, err)
	return state.Lflag&(unix.ECHO|unix.ICANON) == unix.ECHO|unix.ICANON
}

// press types a text.
func (s *screen) press(t *testing.T, keys string) {
	t.Helper()
	_, err := io.WriteString(s.keyboard, keys)
	must(t, err)
}

// shows waits until a pattern is on the screen.
func (s *screen) shows(t *testing.T, pattern string) (match []string) {
	t.Helper()
	p := regexp.MustCompile(pattern)
	defer func() {
		if t.Failed() {
			t.Logf("the screen:\n%s", s)
		}
	}()
	eventually(t, "the screen shows "+pattern, func() bool {
		match = p.FindStringSubmatch(s.String())
		return match != nil
	})
	return match
}

// before starts a command before the screen.
func (s *screen) before(t *testing.T, command *exec.Cmd) (ended <-chan error) {
	t.Helper()
	command.Stdin, command.Stdout, command.Stderr = s.tty, s.tty, s.tty
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	must(t, command.Start())
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	t.Cleanup(func() { _ = command.Process.Kill() })
	return done
}

// atTerminal is a miner on free ports whose log is for people.
func atTerminal(flags ...string) *exec.Cmd {
	return exec.Command(binary, append([]string{"--port", "0", "--metrics-port", "0", "--workers", "2", "--engine", "cpu-fast"}, flags...)...)
}

// TestKeys presses all keys of a miner that has a job.
func TestKeys(t *testing.T) {
	s := newScreen(t)
	ended := s.before(t, atTerminal())
	monitor := s.shows(t, `page +(http://\S+)\r\n`)[1]
	m := miner{API: s.shows(t, `serving (http://\S+)\r\n`)[1], Monitor: monitor}
	s.shows(t, `keys +h rates`)
	eventually(t, "keys are taken one by one", func() bool { return !s.echoes(t) })
	m.mine(t, "endless", never)
	s.shows(t, `job endless   difficulty 1\.34e154\r\n`)

	s.press(t, "h")
	s.shows(t, `cpu +\S+ .?H/s   cpu-fast \(.*\)   0: \S+ .?H/s   1: \S+ .?H/s\r\n`)
	s.press(t, "s")
	s.shows(t, `summary +working   .*H/s   difficulty \S+   found 0   effort \d+ %   .* hashes   jobs 1   up 0:\d\d\r\n`)
	s.press(t, "p")
	s.shows(t, `PAUSED +p goes on`)
	eventually(t, "the miner says that it is paused", func() bool {
		return get(t, monitor+"/readyz") == "503 paused at the terminal\n" && strings.Contains(get(t, monitor+"/api/v1/status"), `"state":"paused"`) &&
			strings.Contains(get(t, monitor+"/metrics"), "\nminer_paused 1\n")
	})
	before := evaluated(t, monitor)
	s.press(t, "xs") // one of them is no key
	s.shows(t, `summary +paused   paused at the terminal`)
	if after := evaluated(t, monitor); after != before {
		t.Errorf("while it is paused %s hashes become %s", before, after)
	}
	s.press(t, "p")
	s.shows(t, `resumed`)
	eventually(t, "it mines again", func() bool { return evaluated(t, monitor) != before })
	s.press(t, "q")
	if err := <-ended; err != nil {
		t.Errorf("q: %v\n%s", err, s)
	}
	if !s.echoes(t) {
		t.Error("the terminal is not as it was")
	}
	if strings.Contains(strings.ReplaceAll(s.String(), "\r\n", ""), "\n") {
		t.Errorf("lines do not end where they should: %q", s)
	}
}

// get returns what a URL answers.
func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return fmt.Sprint(response.StatusCode, " ", string(body))
}

// evaluated returns the count of hashes.
func evaluated(t *testing.T, monitor string) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^miner_hashes_total .*$`).FindString(get(t, monitor+"/metrics"))
}

// TestTerminalIsRestored ends and stops a miner in all the ways that it hears of.
func TestTerminalIsRestored(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP} {
		t.Run(signal.String(), func(t *testing.T) {
			s := newScreen(t)
			command := atTerminal()
			ended := s.before(t, command)
			eventually(t, "keys are taken one by one", func() bool { return !s.echoes(t) })
			if signal == syscall.SIGINT {
				s.press(t, "\x03") // which still is a signal
			} else {
				must(t, command.Process.Signal(signal))
			}
			if signal == syscall.SIGTSTP {
				eventually(t, "it is stopped", func() bool { return state(t, command.Process.Pid) == "T" })
				if !s.echoes(t) {
					t.Error("while it is stopped the terminal is not as it was")
				}
				must(t, command.Process.Signal(syscall.SIGCONT))
				eventually(t, "keys are taken again", func() bool { return !s.echoes(t) })
				s.press(t, "q")
			}
			err := <-ended
			if exit := (*exec.ExitError)(nil); signal == syscall.SIGQUIT != errors.As(err, &exit) {
				t.Errorf("it ends with %v\n%s", err, s)
			}
			if !s.echoes(t) {
				t.Error("the terminal is not as it was")
			}
		})
	}
}

// TestInBackground has a miner in the background of a shell: it runs, and leaves the
// terminal alone.
func TestInBackground(t *testing.T) {
	s := newScreen(t)
	command := atTerminal()
	shell := exec.Command("sh", append([]string{"-mc", `"$0" "$@" & echo "pid $!"; wait; echo over`}, command.Args...)...)
	ended := s.before(t, shell)
	var pid int
	_, err := fmt.Sscan(s.shows(t, `pid (\d+)`)[1], &pid)
	must(t, err)
	monitor := s.shows(t, `page +(http://\S+)\r\n`)[1]
	s.shows(t, `keys +h rates`)
	s.press(t, "p\n") // is the shell's
	for range 100 {
		if get(t, monitor+"/healthz") != "200 ok\n" || state(t, pid) == "T" {
			t.Fatal("it does not run")
		}
		if !s.echoes(t) {
			t.Fatal("it takes the keys of another program")
		}
	}
	must(t, syscall.Kill(pid, syscall.SIGTERM))
	s.shows(t, `over`)
	<-ended
	if strings.Contains(s.String(), "PAUSED") || !s.echoes(t) {
		t.Errorf("it took the shell's keys:\n%s", s)
	}
}

// TestNoKeys starts miners whose input or log is no terminal.
func TestNoKeys(t *testing.T) {
	s := newScreen(t)
	command := atTerminal()
	command.Stdin, command.Stdout = nil, s.tty
	stderr := s.tty
	command.Stderr = stderr
	must(t, command.Start())
	s.shows(t, `serving http`)
	if !s.echoes(t) || strings.Contains(s.String(), "keys ") {
		t.Errorf("there are keys without a keyboard:\n%s", s)
	}
	must(t, command.Process.Signal(syscall.SIGTERM))
	must(t, command.Wait())
}

// state returns the state of a process, as ps has it.
func state(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest[:1]
}
