package gpu

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/logtest"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver/cuda"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver/opencl"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/gputest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/process"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// mustHaveDrivers says that a device that OpenCL reaches must not be missing, nor what it
// takes to make drivers: tests use them if they are there, and CI wants to know.
var mustHaveDrivers = flag.Bool("drivers", false, "there must be a device that OpenCL reaches, and a C compiler")

// asProcess is the variable that makes this test binary the process of a device: with the
// real back ends, or with fakes.
const asProcess = "GPU_TEST_PROCESS"

const realBackends, fakeBackends = "real", "fake"

// silent makes it a program that is another one: it ends at once, and says nothing.
const silent = "silent"

func TestMain(m *testing.M) {
	which := os.Getenv(asProcess)
	switch which {
	case "":
		os.Exit(m.Run())
	case silent:
		return
	}
	if err := serve(which); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve is what quantus-miner-gpu does, with the given back ends.
func serve(which string) error {
	out, err := process.ProtectOutput()
	if err != nil {
		return err
	}
	backends := gputest.Backends(out)
	if which == realBackends {
		backends = map[string]driver.Backend{
			wire.CUDA:   cuda.Backend{PTX: "the kernel"}, // which the driver of the tests knows
			wire.OpenCL: opencl.Backend{Cache: os.Getenv("GPU_TEST_CACHE")},
		}
	}
	return process.Process{Version: "test", Backends: backends, In: os.Stdin, Out: out}.Serve()
}

// self returns the path of this test binary, which is a process with the given back ends
// when it is started next.
func self(t testing.TB, backends string) string {
	t.Helper()
	t.Setenv(asProcess, backends)
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// openCLDevice returns a device that OpenCL reaches, ready to search, or skips the test.
func openCLDevice(t testing.TB) *Device {
	t.Helper()
	program := self(t, realBackends)
	devices, problems := List(t.Context(), program, []string{wire.OpenCL})
	if len(devices) == 0 {
		if *mustHaveDrivers {
			t.Fatalf("no device: %v", problems)
		}
		t.Skipf("no device: %v", problems)
	}
	return ready(t, run(t, NewDevice(0, devices[0], Config{Program: program, Launch: DefaultLaunch, Throttle: 1}, testLog(t))))
}

// fake returns a device with which goes wrong what its name says.
func fake(t testing.TB, name string, config Config, log *slog.Logger) *Device {
	t.Helper()
	config.Program, config.Launch, config.Throttle = self(t, fakeBackends), 2*time.Millisecond, 1
	if config.RetryDelays == nil {
		config.RetryDelays = []time.Duration{time.Millisecond}
	}
	devices, problems := List(t.Context(), config.Program, []string{wire.OpenCL})
	i := slices.IndexFunc(devices, func(d wire.Device) bool { return d.Name == name })
	if len(problems) > 0 || i < 0 {
		t.Fatalf("listing the fake devices: %v, %v", devices, problems)
	}
	return run(t, NewDevice(i, devices[i], config, log))
}

// run runs a device until the test is over.
func run(t testing.TB, d *Device) *Device {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return d
}

// ready waits until the device is ready.
func ready(t testing.TB, d *Device) *Device {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := d.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return d
}

// until waits until the device is in a state.
func until(t testing.TB, d *Device, state State) Status {
	t.Helper()
	for {
		d.mu.Lock()
		status, changed := d.status, d.changed
		d.mu.Unlock()
		if status.State == state {
			return status
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("the device is %+v, want it %s", status, state)
		}
	}
}

func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// block is as many nonces as may be counted beyond a winner.
const block = 1 << 30

func TestConformanceOpenCL(t *testing.T) {
	if !*mustHaveDrivers {
		t.Skip("takes its time: CI asks for it with -drivers")
	}
	enginetest.Run(t, enginetest.Poseidon2{}, NewEngine(openCLDevice(t)), block)
}

func TestConformanceFake(t *testing.T) {
	enginetest.Run(t, enginetest.Poseidon2{}, NewEngine(ready(t, fake(t, gputest.Works, Config{}, testLog(t)))), block)
}

// everything is a search that does not end.
var everything = engine.Range{Start: u512.From64(5), End: u512.Max()}

// search searches for what is not there, and returns how many nonces were counted.
func searchFor(t testing.TB, d *Device, difficulty u512.Uint, r engine.Range) (engine.Outcome, uint64) {
	t.Helper()
	job, err := NewEngine(d).Prepare([32]byte{1}, difficulty)
	if err != nil {
		t.Fatal(err)
	}
	var p engine.Progress
	outcome := job.Search(r, &p)
	return outcome, p.Evaluated()
}

// TestFailures has devices fail in the middle of a search. The search ends, with a count of
// what was evaluated before, and the device is started again, as often as it may be.
func TestFailures(t *testing.T) {
	for name, reason := range map[string]string{
		gputest.Hangs:   "the device hangs: it has been silent for ",
		gputest.Dies:    "the process has ended: exit status 3",
		gputest.Errs:    " nonces: the device was lost",
		gputest.Babbles: "the process tells of a batch that cannot be",
		gputest.Talks:   "all is said",
	} {
		t.Run(name, func(t *testing.T) {
			d := fake(t, name, Config{Hang: 300 * time.Millisecond, RetryDelays: []time.Duration{time.Millisecond, time.Millisecond}}, testLog(t))
			for restarts := range 3 {
				ready(t, d)
				outcome, counted := searchFor(t, d, u512.Max(), everything)
				if outcome.Status != engine.Unavailable || counted == 0 {
					t.Errorf("got %+v after %d nonces, want that it is unavailable after some", outcome, counted)
				}
				status := until(t, d, Waiting)
				if !strings.Contains(status.Reason, reason) || status.Restarts != restarts || status.PID != 0 {
					t.Errorf("got %+v, want %d restarts, and %q for the reason", status, restarts, reason)
				}
				if restarts < 2 {
					continue
				}
				// That was the last one within an hour.
				if outcome, counted := searchFor(t, d, u512.Max(), everything); outcome.Status != engine.Unavailable || counted != 0 {
					t.Errorf("while it waits: got %+v after %d nonces", outcome, counted)
				}
			}
		})
	}
}

// TestHangsAcrossSearches has a device hang while each search is stopped soon.
func TestHangsAcrossSearches(t *testing.T) {
	d := ready(t, fake(t, gputest.Hangs, Config{Hang: 300 * time.Millisecond, RetryDelays: []time.Duration{time.Hour}}, testLog(t)))
	job, err := NewEngine(d).Prepare([32]byte{1}, u512.Max())
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p engine.Progress
		stop := time.AfterFunc(30*time.Millisecond, p.Stop)
		outcome := job.Search(everything, &p)
		stop.Stop()
		if outcome.Status == engine.Unavailable {
			break
		}
	}
	if status := until(t, d, Waiting); !strings.Contains(status.Reason, "the device hangs: it has been silent for ") {
		t.Errorf("got %+v", status)
	}
}

// TestWinners goes on behind each winner, as mining for a pool does, with one for each hundred nonces:
// nothing is evaluated again, and none is missed, even if the process has stopped meanwhile.
func TestWinners(t *testing.T) {
	d := ready(t, fake(t, gputest.Works, Config{}, testLog(t)))
	job, err := NewEngine(d).Prepare([32]byte{1}, u512.From64(100))
	if err != nil {
		t.Fatal(err)
	}
	const size = 60_000
	r := engine.Range{Start: u512.From64(0), End: u512.From64(size - 1)}
	var p engine.Progress
	var found []u512.Uint
	for {
		outcome := job.Search(r, &p)
		if outcome.Status == engine.Exhausted {
			break
		}
		if outcome.Status != engine.Found {
			t.Fatalf("got %+v", outcome)
		}
		found = append(found, outcome.Nonce)
		if r.Start = outcome.Nonce.AddWrap(u512.From64(1)); r.Empty() {
			break
		}
		if len(found)%100 != 0 {
			continue
		}
		if len(found)%200 == 0 { // another search comes in between
			if outcome, counted := searchFor(t, d, u512.Max(), engine.Range{End: u512.From64(99)}); outcome.Status != engine.Exhausted || counted != 100 {
				t.Fatalf("in between: got %+v after %d nonces", outcome, counted)
			}
			continue
		}
		d.turn <- struct{}{}
		held := d.held
		<-d.turn
		d.drop(held) // as if nobody had gone on
	}
	want := 0
	for i := range uint64(size) {
		nonce := u512.From64(i)
		if _, valid := job.Verify(nonce); !valid {
			continue
		}
		if want == len(found) || found[want] != nonce {
			t.Fatalf("winner %d is not %s", want, nonce.Hex())
		}
		want++
	}
	again := p.Evaluated() - size
	if len(found) != want || again > size/2 {
		t.Errorf("%d winners, want %d; %d nonces of %d were evaluated again", len(found), want, again, size)
	}
	t.Logf("%d winners, %d nonces evaluated again", want, again)
}

// TestKilled kills a process in the middle of a search.
func TestKilled(t *testing.T) {
	d := ready(t, fake(t, gputest.Works, Config{}, testLog(t)))
	job, err := NewEngine(d).Prepare([32]byte{1}, u512.Max())
	if err != nil {
		t.Fatal(err)
	}
	var p engine.Progress
	p.NotifyFirst(func() {
		process, err := os.FindProcess(d.Status().PID)
		if err == nil {
			err = process.Kill()
		}
		if err != nil {
			t.Error(err)
		}
	})
	if outcome := job.Search(everything, &p); outcome.Status != engine.Unavailable || p.Evaluated() == 0 {
		t.Errorf("got %+v after %d nonces", outcome, p.Evaluated())
	}
	until(t, d, Waiting)
	ready(t, d)
	p = engine.Progress{}
	r := engine.Range{Start: u512.From64(0), End: u512.From64(9999)}
	if outcome := job.Search(r, &p); outcome.Status != engine.Exhausted || p.Evaluated() != 10000 {
		t.Errorf("after the restart: got %+v after %d nonces", outcome, p.Evaluated())
	}
	if status := d.Status(); status.Restarts != 1 || status.Launch == 0 {
		t.Errorf("got %+v, want one restart, and the time of a launch", status)
	}
}

// TestWrongNonce has a device find a nonce that is not valid: whoever verifies it learns of
// that.
func TestWrongNonce(t *testing.T) {
	d := ready(t, fake(t, gputest.Lies, Config{}, testLog(t)))
	job, err := NewEngine(d).Prepare([32]byte{1}, u512.Max())
	if err != nil {
		t.Fatal(err)
	}
	outcome := job.Search(everything, new(engine.Progress))
	if _, ok := job.Verify(outcome.Nonce); outcome.Status != engine.Found || ok {
		t.Errorf("got %+v, which is valid: %t", outcome, ok)
	}
}

func TestNotOpened(t *testing.T) {
	d := fake(t, gputest.Shut, Config{RetryDelays: []time.Duration{time.Hour}}, testLog(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := d.AwaitStart(ctx); err == nil || !strings.Contains(err.Error(), "opening the device: it does not open") {
		t.Errorf("got %v", err)
	}
}

// TestAnother opens a device at whose place is another one now.
func TestAnother(t *testing.T) {
	info := wire.Device{Backend: wire.OpenCL, Ordinal: 0, ID: "fake 1", Name: "?"}
	config := Config{Program: self(t, fakeBackends), Launch: DefaultLaunch, Throttle: 1, RetryDelays: []time.Duration{time.Hour}}
	d := run(t, NewDevice(0, info, config, testLog(t)))
	if status := until(t, d, Waiting); !strings.Contains(status.Reason, "the device fake 1 is not where it was any more") {
		t.Errorf("got %+v", status)
	}
}

// TestLines has a device write to its standard error: the log has the beginning.
func TestLines(t *testing.T) {
	var log logtest.Buffer
	d := ready(t, fake(t, gputest.Talks, Config{RetryDelays: []time.Duration{time.Hour}}, slog.New(slog.NewTextHandler(&log, nil))))
	searchFor(t, d, u512.Max(), everything)
	until(t, d, Waiting)
	text := log.String()
	if n := strings.Count(text, "the GPU process says"); n != lineBurst || !strings.Contains(text, `text="line 5"`) || strings.Contains(text, "end of the line") {
		t.Errorf("%d lines of the process, want %d:\n%s", n, lineBurst, text)
	}
}

// TestNoProgram starts what is not there, and what is not the program.
func TestNoProgram(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := FindProgram(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("finding what is not there: %v", err)
	}
	if _, problems := List(t.Context(), missing, []string{wire.CUDA}); len(problems) != 1 {
		t.Errorf("got %v", problems)
	}
	if _, problems := List(t.Context(), self(t, silent), []string{wire.CUDA}); len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), "the process has ended: exit status 0") {
		t.Errorf("got %v", problems)
	}
}

func TestMerge(t *testing.T) {
	card := func(backend, id, vendor string, usable bool) wire.Device {
		return wire.Device{Backend: backend, ID: id, Vendor: vendor, Usable: usable}
	}
	a, b := card(wire.CUDA, "GPU-1", "NVIDIA Corporation", true), card(wire.OpenCL, "pci 1", "NVIDIA Corporation", true)
	c, d := card(wire.OpenCL, "pci 2", "AMD", true), card(wire.OpenCL, "", "Intel", true)
	old := card(wire.CUDA, "GPU-1", "NVIDIA Corporation", false)
	for name, x := range map[string]struct{ cuda, opencl, want []wire.Device }{
		"none":               {nil, nil, nil},
		"by both":            {[]wire.Device{a}, []wire.Device{b, c}, []wire.Device{a, c}},
		"by OpenCL":          {nil, []wire.Device{b, c}, []wire.Device{b, c}},
		"CUDA cannot use it": {[]wire.Device{old}, []wire.Device{b}, []wire.Device{old, b}},
		"two platforms":      {nil, []wire.Device{c, c, d, d}, []wire.Device{c, d, d}},
	} {
		if got := merge(x.cuda, x.opencl); !slices.Equal(got, x.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, x.want)
		}
	}
}
