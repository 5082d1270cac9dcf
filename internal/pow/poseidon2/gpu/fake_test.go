package gpu

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// fakes are the devices of a back end that is none: what goes wrong with each of them is
// its name.
var fakes = []string{
	works, hangs, dies, errs, lies, shut, talks, babbles,
}

const (
	works   = "works"
	hangs   = "hangs"
	dies    = "dies"
	errs    = "errs"
	lies    = "finds what is not valid"
	shut    = "does not open"
	talks   = "writes to standard error"
	babbles = "counts what was not asked for"
)

// fakeBackend implements [driver.Backend].
type fakeBackend struct{}

func (fakeBackend) List() (devices []wire.Device, err error) {
	for i, name := range fakes {
		devices = append(devices, wire.Device{Backend: wire.OpenCL, Ordinal: i, ID: fmt.Sprint("fake ", i), Name: name, Kind: wire.Discrete, Usable: true})
	}
	return devices, nil
}

func (fakeBackend) Open(ordinal int, _ bool) (driver.Device, error) {
	if name := fakes[ordinal]; name == shut {
		return nil, errors.New("it " + name)
	}
	return &fakeDevice{name: fakes[ordinal]}, nil
}

// fakeDevice implements [driver.Device]: it evaluates by the package poseidon2.
type fakeDevice struct {
	name     string
	launches [driver.Slots]driver.Launch
	waited   int
}

func (d *fakeDevice) Kernel() string { return "Go" }

func (d *fakeDevice) Start(slot int, l driver.Launch) error {
	d.launches[slot] = l
	return nil
}

// goodLaunches is how many launches a device does well before what goes wrong.
const goodLaunches = 3

func (d *fakeDevice) Wait(slot int, _ time.Duration) (found uint32, nonces []uint32, err error) {
	l := d.launches[slot]
	if d.waited++; d.waited > goodLaunches {
		switch d.name {
		case hangs:
			select {}
		case dies:
			os.Exit(3)
		case errs:
			return 0, nil, errors.New("the device was lost")
		case lies:
			return 1, []uint32{l.Count / 2}, nil
		case talks:
			fmt.Fprintln(os.Stderr, strings.Repeat("x", 5000)+"end of the line")
			for i := range 1000 {
				fmt.Fprintln(os.Stderr, "line", i)
			}
			return 0, nil, errors.New("all is said")
		case babbles:
			for search := range uint64(10) { // one of which is the present one
				if err := wire.Write(os.Stdout, wire.Reply{Batch: &wire.Batch{ID: search, Count: 1 << 40}}); err != nil {
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
