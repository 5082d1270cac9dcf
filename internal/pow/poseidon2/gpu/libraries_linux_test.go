package gpu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// library has processes find a library of testdata under a name, compiled now.
func library(t *testing.T, source, name string, options ...string) {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		if *mustHaveDrivers {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	shim, err := os.ReadFile("testdata/shim.h")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "kernel.h"), append(shim, kernel.OpenCL()...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	arguments := append([]string{"-shared", "-fPIC", "-O2", "-I", dir, "-o", filepath.Join(dir, name), filepath.Join("testdata", source)}, options...)
	if out, err := exec.Command("gcc", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("compiling %s: %v\n%s", source, err, out)
	}
	t.Setenv("LD_LIBRARY_PATH", dir)
}

// TestCUDA has the back end for CUDA search on a driver that is none.
func TestCUDA(t *testing.T) {
	library(t, "fakecuda.c", "libcuda.so.1")
	program := self(t, realBackends)
	devices, problems := List(t.Context(), program, []string{wire.CUDA})
	card := wire.Device{
		Backend: wire.CUDA, ID: "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f", Name: "Fake Card 0", Vendor: "NVIDIA Corporation",
		Platform: "NVIDIA CUDA", Kind: wire.Discrete, ComputeUnits: 46, MemoryBytes: 8 << 30, Driver: "CUDA 12.2", Usable: true,
	}
	shared := card
	shared.Ordinal, shared.ID, shared.Name, shared.Kind = 1, "GPU-10111213-1415-1617-1819-1a1b1c1d1e1f", "Fake Card 1", wire.Integrated
	if diff := cmp.Diff([]wire.Device{card, shared}, devices); diff != "" || len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, diff)
	}
	d := ready(t, run(t, NewDevice(0, devices[0], Config{Program: program, Launch: DefaultLaunch, Throttle: 1}, testLog(t))))
	across := engine.Range{Start: u512.Max().Rsh(256).SubWrap(u512.From64(9999)), End: u512.From64(1).Lsh(256).AddWrap(u512.From64(9999))}
	if outcome, counted := searchFor(t, d, u512.Max(), across); outcome.Status != engine.Exhausted || counted != 20000 {
		t.Errorf("got %+v after %d nonces, want that all 20000 are evaluated", outcome, counted)
	}
	if *mustHaveDrivers { // as it takes its time
		enginetest.Run(t, enginetest.Poseidon2{}, NewEngine(d), block)
	}
}

// TestCUDATrouble has the driver be in trouble when devices are listed.
func TestCUDATrouble(t *testing.T) {
	library(t, "fakecuda.c", "libcuda.so.1")
	for trouble, want := range map[string]struct{ problem, reason string }{
		"no card":    {problem: "starting the driver: the driver finds no card (CUDA_ERROR_FAKE, 100)"},
		"updated":    {problem: "starting the driver: the driver was updated"},
		"crash":      {problem: "listing devices: the process has ended: exit status 2"},
		"old driver": {reason: "the driver is for CUDA 11.4, and the kernel needs one for CUDA 11.8 or later"},
		"old card":   {reason: "it has compute capability 6.1, and the kernel needs 7.5 or later: OpenCL may reach it"},
		"prohibited": {reason: "its compute mode is set to prohibited"},
	} {
		t.Setenv("FAKE_CUDA", trouble)
		devices, problems := List(t.Context(), self(t, realBackends), []string{wire.CUDA})
		if want.problem != "" && (len(devices) > 0 || len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), want.problem)) ||
			want.reason != "" && (len(devices) != 2 || len(problems) > 0 || devices[0].Usable || devices[0].Reason != want.reason) {
			t.Errorf("%s: got %+v, %v, want %+v", trouble, devices, problems, want)
		}
	}
}

// TestCUDAFailures has the driver be in trouble when a device is opened, and when it
// searches.
func TestCUDAFailures(t *testing.T) {
	library(t, "fakecuda.c", "libcuda.so.1")
	devices, problems := List(t.Context(), self(t, realBackends), []string{wire.CUDA})
	if len(devices) == 0 {
		t.Fatal(problems)
	}
	for trouble, want := range map[string]struct {
		reason string
		opened bool
	}{
		"kernel refused": {"loading the kernel: the driver does not take the kernel (CUDA_ERROR_FAKE, 218): ptxas: line 1 is not to be understood", false},
		"no memory":      {"reserving memory on the device: out of memory on the device (CUDA_ERROR_FAKE, 2)", false},
		"launch refused": {"queueing a launch: CUDA_ERROR_FAKE, 701", true},
		"lost":           {"evaluating nonces: a launch failed: the device may have been lost, or is unstable (CUDA_ERROR_LAUNCH_FAILED, 719)", true},
		"hang":           {"the device hangs: it has been silent for ", true},
	} {
		t.Run(trouble, func(t *testing.T) {
			t.Setenv("FAKE_CUDA", trouble)
			config := Config{Program: self(t, realBackends), Launch: DefaultLaunch, Throttle: 1, Hang: 300 * time.Millisecond, RetryDelays: []time.Duration{time.Hour}}
			d := run(t, NewDevice(0, devices[0], config, testLog(t)))
			if want.opened {
				ready(t, d)
				if outcome, counted := searchFor(t, d, u512.Max(), everything); outcome.Status != engine.Unavailable || counted == 0 {
					t.Errorf("got %+v after %d nonces", outcome, counted)
				}
			}
			if status := until(t, d, Waiting); !strings.Contains(status.Reason, want.reason) {
				t.Errorf("got %q, want %q", status.Reason, want.reason)
			}
		})
	}
}

// TestOpenCLTrouble has the library of OpenCL be in trouble when devices are listed. A
// driver that writes where messages go does no harm.
func TestOpenCLTrouble(t *testing.T) {
	problem := func(t *testing.T, want string) {
		t.Helper()
		devices, problems := List(t.Context(), self(t, realBackends), []string{wire.OpenCL})
		if len(devices) > 0 || fmt.Sprint(len(problems)) != "1" && want != "" || want != "" && !strings.Contains(problems[0].Err.Error(), want) || want == "" && len(problems) > 0 {
			t.Errorf("got %+v, %v, want the problem %q", devices, problems, want)
		}
	}
	library(t, "fakeopencl.c", "libOpenCL.so.1")
	for trouble, want := range map[string]string{
		"crash":     "the process has ended: exit status 2",
		"abort":     "the process has ended: exit status 2",
		"no driver": "OpenCL is installed, but no driver for a device (no ICD)",
		"talk":      "listing the devices of : out of memory (OpenCL error -6)",
		"no device": "",
	} {
		t.Run(trouble, func(t *testing.T) {
			t.Setenv("FAKE_OPENCL", trouble)
			problem(t, want)
		})
	}
	for trouble, want := range map[string]string{
		"old version":   `it needs OpenCL 1.1, and the driver has "OpenCL 1.0"`,
		"not available": "the driver says that it is not available",
		"no compiler":   "the driver has no compiler for it",
		"big-endian":    "it is big-endian",
		"no 64 bits":    "it has no integers of 64 bits",
	} {
		t.Run(trouble, func(t *testing.T) {
			t.Setenv("FAKE_OPENCL", trouble)
			devices, problems := List(t.Context(), self(t, realBackends), []string{wire.OpenCL})
			if len(devices) != 1 || len(problems) > 0 || devices[0].Usable || devices[0].Name != "a device" || devices[0].Reason != want {
				t.Errorf("got %+v, %v, want a device that is not usable: %s", devices, problems, want)
			}
		})
	}
	t.Run("too old", func(t *testing.T) {
		library(t, "fakeopencl.c", "libOpenCL.so.1", "-DTOO_OLD")
		problem(t, "the library libOpenCL.so.1 is broken, or too old: it has no clReleaseEvent")
	})
	t.Run("not a library", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "libOpenCL.so.1"), []byte("this is no library, however long it may be, and be it more than a page of an ELF header"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("LD_LIBRARY_PATH", dir)
		problem(t, "opening libOpenCL.so.1: ")
	})
}
