// Package driver is what the back ends have in common: what they list, what they open, and
// what a launch of the kernel is. They are in the packages below.
package driver

import (
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// Slots is how many launches a device has room for: one that runs, and one that waits, so
// that there is no pause between them.
const Slots = 2

// Backend is a way to reach devices.
type Backend interface {
	// List returns the devices, usable or not, in the driver's order. With an error it may
	// return some of them.
	List() ([]wire.Device, error)
	// Open opens the device with that place in the list, and loads the kernel. If fresh is
	// set it compiles it, whatever was kept from before.
	Open(ordinal int, fresh bool) (Device, error)
}

// Device is a device with its kernel. One goroutine, locked to its thread, may use it.
type Device interface {
	// Kernel says what kernel is loaded.
	Kernel() string
	// Start queues a launch in a slot, 0 to Slots−1, whose launch before was waited for.
	// Launches are evaluated in the order in which they were started.
	Start(slot int, l Launch) error
	// Wait waits until the launch in a slot is done, without keeping a CPU busy, and until
	// its results are here. The launch should be done in about the given time. It returns how
	// many nonces were found, and as many of them as fit [wire.MaxFound], in any
	// order: how far behind the first they are.
	Wait(slot int, about time.Duration) (found uint32, nonces []uint32, err error)
}

// Launch is a number of consecutive nonces to evaluate.
type Launch struct {
	Job Job
	// First is the low 32 bits of the first nonce, and Count the number of nonces, at
	// least 1. First + Count is at most 2^32.
	First, Count uint32
	// Limit is what the top 64 bits of a hash must not exceed for its nonce to be found.
	Limit uint64
}

// Job is what nonces that differ in their low 32 bits alone have in common: the midstate,
// and the block that is added to it, whose last element is 0.
type Job struct {
	Midstate [poseidon2.Width]uint64
	Low      [poseidon2.Rate]uint64
}

// Base returns the kernel's input for the job: see [poseidon2.Midstate.FirstLayer].
func (j Job) Base() poseidon2.State {
	return (*poseidon2.Midstate)(&j.Midstate).FirstLayer(j.Low)
}
