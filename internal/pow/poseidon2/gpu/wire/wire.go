// Package wire is what quantus-miner and quantus-miner-gpu say to each other, over the
// standard input and output of the second.
//
// A message is its length in bytes, 4 of them, little-endian, and as much JSON. The
// process speaks first: [Hello]. Then the miner has it list the devices of a back end,
// or open one device and search ranges with it:
//
//	miner ──Search──► process    process ──Batch, Batch, …──► miner
//
// Batches are in ascending order without gaps, so that their counts say which nonces
// they are about. A search ends when its whole range was evaluated, or when another
// one or a [Stop] comes. What cannot be done is a [Failure], after which the process ends.
// The end of its input ends the process.
package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// Version is that of the messages: both programs must have the same one.
const Version = 1

// MaxMessage is the largest length of a message's JSON, in bytes.
const MaxMessage = 64 << 10

// MaxFound is how many nonces a [Batch] may have found.
const MaxFound = 256

// The back ends.
const (
	CUDA   = "cuda"
	OpenCL = "opencl"
)

// Request is what the miner says: one of its fields is set.
type Request struct {
	List   *List   `json:"list,omitempty"`
	Open   *Open   `json:"open,omitempty"`
	Search *Search `json:"search,omitempty"`
	Stop   *Stop   `json:"stop,omitempty"`
}

// Reply is what the process says: one of its fields is set.
type Reply struct {
	Hello   *Hello   `json:"hello,omitempty"`
	Devices *Devices `json:"devices,omitempty"`
	Opened  *Opened  `json:"opened,omitempty"`
	Batch   *Batch   `json:"batch,omitempty"`
	Failure *Failure `json:"failure,omitempty"`
}

// Hello is the process's first message.
type Hello struct {
	Protocol int    `json:"protocol"` // [Version]
	Program  string `json:"program"`  // the version of quantus-miner-gpu
	Kernel   string `json:"kernel"`   // SHA-256 of the kernels' texts, in hex
}

// List asks for the devices of a back end.
type List struct {
	Backend string `json:"backend"`
}

// Devices is the answer to a [List].
type Devices struct {
	Devices []Device `json:"devices"`
	// Problem says why there are none, or not all.
	Problem string `json:"problem,omitempty"`
}

// Kind is a type of device.
type Kind string

// The types of devices.
const (
	Discrete   Kind = "gpu"
	Integrated Kind = "integrated"
	CPU        Kind = "cpu"
)

// Device is what is known of a device before it is opened.
type Device struct {
	Backend string `json:"backend"`
	Ordinal int    `json:"ordinal"` // its place in the back end's list
	// ID tells devices apart also when their order changes: a UUID or a PCI address. It
	// is empty if the driver tells neither.
	ID           string `json:"id,omitempty"`
	Name         string `json:"name"`
	Vendor       string `json:"vendor"`
	Platform     string `json:"platform"`
	Kind         Kind   `json:"kind"`
	ComputeUnits int    `json:"compute_units"`
	MemoryBytes  uint64 `json:"memory_bytes"`
	Driver       string `json:"driver"`
	Usable       bool   `json:"usable"`
	Reason       string `json:"reason,omitempty"` // why it is not usable
}

// Open has a device opened and its kernel loaded.
type Open struct {
	Backend string `json:"backend"`
	Ordinal int    `json:"ordinal"`
	ID      string `json:"id,omitempty"` // that the device must have
	// LaunchMicros is how long a launch may take, in microseconds.
	LaunchMicros int64 `json:"launch_micros"`
	// Throttle is the share of its time, above 0 and up to 1, that the device may search
	// for.
	Throttle float64 `json:"throttle"`
	// Fresh says that the kernel must be compiled, and not be taken from the cache.
	Fresh bool `json:"fresh,omitempty"`
}

// Opened says that the device is ready.
type Opened struct {
	Kernel string `json:"kernel"` // what is loaded, for people
}

// Search asks for a search of a range.
type Search struct {
	// ID is greater than that of every search before.
	ID     uint64    `json:"id"`
	Header [32]byte  `json:"header"`
	Start  u512.Uint `json:"start"`
	End    u512.Uint `json:"end"` // inclusive
	// Limit is what the top 64 bits of the hash of a nonce must not exceed to be found.
	Limit uint64 `json:"limit"`
}

// Stop ends the search, if that is not over. Batches of it may still come.
type Stop struct{}

// Batch says that the next Count nonces of a search were evaluated.
type Batch struct {
	ID    uint64 `json:"id"`
	Count uint64 `json:"count"`
	// Found holds the nonces within the limit: how far behind the batch's first, ascending.
	Found []uint32 `json:"found,omitempty"`
	// Micros is how long the device took, in microseconds, and Queued how many launches
	// were queued behind this one.
	Micros int64 `json:"micros"`
	Queued int   `json:"queued"`
}

// Failure says what went wrong.
type Failure struct {
	Message string `json:"message"`
}

// Write writes a [Request] or a [Reply].
func Write[M Request | Reply](w io.Writer, message M) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encoding a message: %w", err)
	}
	if len(text) > MaxMessage {
		return fmt.Errorf("a message of %d bytes is longer than %d", len(text), MaxMessage)
	}
	frame := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(text)), uint32(len(text)))
	if _, err := w.Write(append(frame, text...)); err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	return nil
}

// Read reads a [Request] or a [Reply]. It returns [io.EOF] at the end, between two
// messages.
func Read[M Request | Reply](r io.Reader) (message M, err error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return message, io.EOF
		}
		return message, fmt.Errorf("reading the length of a message: %w", err)
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > MaxMessage {
		return message, fmt.Errorf("a message claims %d bytes, more than %d", n, MaxMessage)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return message, fmt.Errorf("reading a message of %d bytes: %w", n, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&message); err != nil {
		return message, fmt.Errorf("decoding a message: %w", err)
	}
	return message, nil
}
