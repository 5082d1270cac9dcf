// Package process is what quantus-miner-gpu does: it answers the miner's requests with
// the devices of this machine.
//
// It is a process of its own because drivers are foreign code: one that crashes or hangs
// is ended with it, and the miner goes on. There is a process for each device. Read
// [Serve] first, then search.go for how a range is searched.
package process

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// Process is a process's end of the connection with the miner.
type Process struct {
	// Version is that of the program.
	Version string
	// Backends are the ways to reach devices, by their names.
	Backends map[string]driver.Backend
	// In and Out are the connection.
	In  io.Reader
	Out io.Writer
}

// Serve answers requests until the input ends, and returns nil then. It does not wait for a
// driver that hangs: the caller ends the process.
func (p Process) Serve() error {
	if err := p.reply(wire.Reply{Hello: &wire.Hello{Protocol: wire.Version, Program: p.Version, Kernel: kernel.Hash()}}); err != nil {
		return err
	}
	requests := make(chan wire.Request)
	ended := make(chan error, 2)
	quit := make(chan struct{})
	defer close(quit)
	go func() { ended <- p.read(requests, quit) }()
	go func() {
		// Drivers know contexts, and errors, of threads.
		runtime.LockOSThread()
		err := p.work(requests, quit)
		if err != nil {
			// The miner wants to know, and may be gone.
			err = errors.Join(err, p.reply(wire.Reply{Failure: &wire.Failure{Message: shorten(err.Error())}}))
		}
		ended <- err
	}()
	return <-ended
}

// maxText bounds texts in replies, in bytes.
const maxText = 4 << 10

func shorten(text string) string {
	if len(text) > maxText {
		return text[:maxText] + "…"
	}
	return text
}

func (p Process) reply(r wire.Reply) error { return wire.Write(p.Out, r) }

// read hands on requests until the input ends.
func (p Process) read(requests chan<- wire.Request, quit <-chan struct{}) error {
	for {
		request, err := wire.Read[wire.Request](p.In)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading from the miner: %w", err)
		}
		select {
		case requests <- request:
		case <-quit:
			return nil
		}
	}
}

// work sees to requests. It returns what ends the process.
func (p Process) work(requests <-chan wire.Request, quit <-chan struct{}) error {
	var s *searcher
	for {
		var request wire.Request
		if s == nil || s.idle() {
			select {
			case request = <-requests:
			case <-quit:
				return nil
			}
		} else {
			select {
			case request = <-requests:
			case <-quit:
				return nil
			default: // there is work to do
			}
		}
		switch {
		case request.List != nil:
			if err := p.list(request.List.Backend); err != nil {
				return err
			}
		case request.Open != nil:
			if s != nil {
				return errors.New("a device is open already")
			}
			device, err := p.open(*request.Open)
			if err != nil {
				return err
			}
			s = newSearcher(device, time.Duration(request.Open.LaunchMicros)*time.Microsecond, request.Open.Throttle, p.reply)
			if err := p.reply(wire.Reply{Opened: &wire.Opened{Kernel: device.Kernel()}}); err != nil {
				return err
			}
		case request.Search != nil:
			if s == nil {
				return errors.New("no device is open to search with")
			}
			s.begin(*request.Search)
		case request.Stop != nil:
			if s != nil {
				s.stop()
			}
		}
		if s != nil {
			if err := s.step(); err != nil {
				return err
			}
		}
	}
}

// list tells the devices of a back end.
func (p Process) list(name string) error {
	backend, ok := p.Backends[name]
	if !ok {
		return fmt.Errorf("there is no back end %q", name)
	}
	devices, err := backend.List()
	answer := wire.Devices{Devices: devices}
	if err != nil {
		answer.Problem = shorten(err.Error())
	}
	for i := range devices {
		for _, text := range []*string{&devices[i].ID, &devices[i].Name, &devices[i].Vendor, &devices[i].Platform, &devices[i].Driver, &devices[i].Reason} {
			if len(*text) > 100 {
				*text = (*text)[:100]
			}
		}
	}
	return p.reply(wire.Reply{Devices: &answer})
}

// open opens a device, if it is still the one that is meant.
func (p Process) open(o wire.Open) (driver.Device, error) {
	backend, ok := p.Backends[o.Backend]
	if !ok {
		return nil, fmt.Errorf("there is no back end %q", o.Backend)
	}
	if o.LaunchMicros <= 0 || o.Throttle <= 0 || o.Throttle > 1 {
		return nil, fmt.Errorf("a launch of %d µs and a throttle of %f make no sense", o.LaunchMicros, o.Throttle)
	}
	if o.ID != "" {
		devices, err := backend.List()
		if o.Ordinal < 0 || o.Ordinal >= len(devices) || devices[o.Ordinal].ID != o.ID {
			return nil, errors.Join(fmt.Errorf("the device %s is not where it was any more", o.ID), err)
		}
	}
	device, err := backend.Open(o.Ordinal, o.Fresh)
	if err != nil {
		return nil, fmt.Errorf("opening the device: %w", err)
	}
	return device, nil
}
