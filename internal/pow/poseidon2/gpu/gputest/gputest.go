// Package gputest has devices for tests, which are none: they evaluate in Go, and with
// each goes wrong what its name says.
package gputest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// The devices, by their names.
const (
	Works   = "works"
	Hangs   = "hangs"
	Dies    = "dies"
	Errs    = "errs"
	Lies    = "finds what is not valid"
	Shut    = "does not open"
	Talks   = "writes to standard error"
	Babbles = "counts what was not asked for"
	Shared  = "is integrated"
	Useless = "is of no use"
)

// names are those of all devices, in the order of their numbers.
var names = []string{Works, Hangs, Dies, Errs, Lies, Shut, Talks, Babbles, Shared, Useless}

// Backends returns back ends for a process that writes its messages to out: that for OpenCL
// has the devices, and that for CUDA none.
func Backends(out io.Writer) map[string]driver.Backend {
	return map[string]driver.Backend{wire.CUDA: nothing{}, wire.OpenCL: backend{out}}
}

// nothing is a back end without devices.
type nothing struct{}

func (nothing) List() ([]wire.Device, error) { return nil, errors.New("no driver") }

func (nothing) Open(int, bool) (driver.Device, error) { return nil, errors.New("no driver") }

// backend implements [driver.Backend].
type backend struct{ out io.Writer } // where messages go

func (backend) List() (devices []wire.Device, err error) {
	for i, name := range names {
		d := wire.Device{
			Backend: wire.OpenCL, Ordinal: i, ID: fmt.Sprint("fake ", i), Name: name, Vendor: "Test", Platform: "Go",
			Kind: wire.Discrete, ComputeUnits: 1, MemoryBytes: 1 << 30, Driver: "1.0", Usable: true,
		}
		switch name {
		case Shared:
			d.Kind = wire.Integrated
		case Useless:
			d.Usable, d.Reason = false, "it is not there"
		}
		devices = append(devices, d)
	}
	return devices, nil
}

func (b backend) Open(ordinal int, _ bool) (driver.Device, error) {
	if name := names[ordinal]; name == Shut {
		return nil, errors.New("it " + name)
	}
	return &device{name: names[ordinal], out: b.out}, nil
}

// device implements [driver.Device]: it evaluates by the package poseidon2.
type device struct {
	name     string
	out      io.Writer
	launches [driver.Slots]driver.Launch
	waited   int
}

func (d *device) Kernel() string { return "Go" }

func (d *device) Start(slot int, l driver.Launch) error {
	d.launches[slot] = l
	return nil
}

// goodLaunches is how many launches a device does well before what goes wrong: more than a
// self-test takes. One that lies does so at once.
const goodLaunches = 40

func (d *device) Wait(slot int, _ time.Duration) (found uint32, nonces []uint32, err error) {
	l := d.launches[slot]
	if d.name == Lies {
		return 1, []uint32{l.Count / 2}, nil
	}
	if d.waited++; d.waited > goodLaunches {
		switch d.name {
		case Hangs:
			select {}
		case Dies:
			os.Exit(3)
		case Errs:
			return 0, nil, errors.New("the device was lost")
		case Talks:
			fmt.Fprintln(os.Stderr, strings.Repeat("x", 5000)+"end of the line")
			for i := range 1000 {
				fmt.Fprintln(os.Stderr, "line", i)
			}
			return 0, nil, errors.New("all is said")
		case Babbles:
			for search := range uint64(10) { // one of which is the present one
				if err := wire.Write(d.out, wire.Reply{Batch: &wire.Batch{ID: search, Count: 1 << 40}}); err != nil {
					return 0, nil, err
				}
			}
		}
	}
	window := (*poseidon2.Midstate)(&l.Job.Midstate).Window()
	for i := range l.Count {
		if window.First(nonceOf(l.Job, l.First+i)) <= l.Limit {
			if found++; found <= wire.MaxFound {
				nonces = append(nonces, i)
			}
		}
	}
	// As they come from a device, in no order.
	for i := range len(nonces) / 2 {
		nonces[i], nonces[len(nonces)-1-i] = nonces[len(nonces)-1-i], nonces[i]
	}
	if found > wire.MaxFound { // whichever were first: not the lowest ones
		nonces = nonces[:0]
		for i := range uint32(wire.MaxFound) {
			nonces = append(nonces, l.Count-1-i)
		}
	}
	return found, nonces, nil
}

// nonceOf returns the low half of a nonce of a job, by its low 32 bits.
func nonceOf(job driver.Job, low uint32) (nonce u512.Uint) {
	for i := range u512.Words / 2 {
		swap := func(x uint64) uint64 {
			return x&0xff<<24 | x&0xff00<<8 | x>>8&0xff00 | x>>24
		}
		nonce[i] = swap(job.Low[poseidon2.Rate-1-2*i]) | swap(job.Low[poseidon2.Rate-2-2*i])<<32
	}
	nonce[0] |= uint64(low)
	return nonce
}
