package gpu

import (
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver/opencl"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/steer"
)

// opened are devices of this process: they are for as long as it lives.
var opened []driver.Device

// openDirectly opens the first device that OpenCL reaches in this very process, or skips
// the test.
func openDirectly(t *testing.T, backend opencl.Backend, fresh bool) driver.Device {
	t.Helper()
	devices, err := backend.List()
	if len(devices) == 0 {
		if *mustHaveDrivers {
			t.Fatalf("no device: %v", err)
		}
		t.Skipf("no device: %v", err)
	}
	d, err := backend.Open(0, fresh)
	if err != nil {
		t.Fatal(err)
	}
	opened = append(opened, d)
	return d
}

// TestEdgesOpenCL has a device evaluate nonces with which elements take values at the edges,
// in each round of both permutations. A nonce is found if its hash is not above the
// limit, and not if it is: so all 64 bits are right.
func TestEdgesOpenCL(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d := openDirectly(t, opencl.Backend{Cache: os.Getenv("GPU_TEST_CACHE")}, false)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 1200 {
		j := steer.NewJob(r, steer.State(r, i))
		l := driver.Launch{Job: driver.Job{Midstate: j.Midstate, Low: j.Low}, First: j.First, Count: 1}
		for _, below := range []uint64{0, 1} {
			if l.Limit = j.Hash - below; j.Hash < below {
				continue
			}
			if err := d.Start(0, l); err != nil {
				t.Fatal(err)
			}
			found, _, err := d.Wait(0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if found != uint32(1-below) {
				t.Fatalf("input %d, %+v: found %d within its hash − %d", i, j, found, below)
			}
		}
	}
}

// TestCacheOpenCL has the compiled program be kept, be used again, and be made anew when it
// should be: a file that was damaged, and one that is whole and not what the driver takes.
func TestCacheOpenCL(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	directory := t.TempDir()
	backend := opencl.Backend{Cache: directory}
	openDirectly(t, backend, false)
	files, err := filepath.Glob(filepath.Join(directory, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("kept: %v, %v, want one file", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	other := []byte("a program of another driver")
	sum := sha256.Sum256(other)
	long := time.Unix(1e9, 0)
	for name, x := range map[string]struct {
		content []byte
		fresh   bool
		kept    bool // as it is
	}{
		"whole":             {content: whole, kept: true},
		"not to be used":    {content: whole, fresh: true},
		"damaged":           {content: append(append([]byte(nil), whole[:len(whole)/2]...), whole[len(whole)/2+1:]...)},
		"empty":             {},
		"of another driver": {content: append(sum[:], other...)},
	} {
		if err := os.WriteFile(files[0], x.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(files[0], long, long); err != nil {
			t.Fatal(err)
		}
		openDirectly(t, backend, x.fresh)
		info, err := os.Stat(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if kept := info.ModTime().Equal(long); kept != x.kept {
			t.Errorf("%s: the file was left as it was: %t, want %t", name, kept, x.kept)
		}
		if info.Size() <= int64(len(whole)/2) {
			t.Errorf("%s: what is kept now has %d bytes, and a compiled program %d", name, info.Size(), len(whole))
		}
	}
}
