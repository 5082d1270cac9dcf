package gpu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// Config says how devices are used.
type Config struct {
	// Program is the path of quantus-miner-gpu.
	Program string
	// Launch is how long a launch may take.
	Launch time.Duration
	// Throttle is the share of its time, above 0 and up to 1, that a device may search for.
	Throttle float64
	// Hang is how long a device may be silent in a search; 0 stands for [DefaultHang]. The
	// time of a few launches, with their pauses, comes on top.
	Hang time.Duration
	// RetryDelays are the delays before the restarts within an hour, as many as there may be;
	// nil stands for [DefaultRetryDelays].
	RetryDelays []time.Duration
}

// DefaultLaunch is short enough for a display that the device serves as well.
const DefaultLaunch = 25 * time.Millisecond

// DefaultHang is how long a device may be silent: longer than a machine that is busy keeps
// a process waiting.
const DefaultHang = 10 * time.Second

// DefaultRetryDelays: whatever ends a process for no lasting reason costs little, and one
// that fails each time does not keep the machine busy.
var DefaultRetryDelays = []time.Duration{time.Second, 10 * time.Second, time.Minute}

// restartWindow is the time in which there may be so many restarts.
const restartWindow = time.Hour

// State is how a device is.
type State string

// The states of a device.
const (
	// Starting is that its process starts, and compiles the kernel.
	Starting State = "starting"
	// Ready is that it searches, or could.
	Ready State = "ready"
	// Waiting is that it failed, and is started again later.
	Waiting State = "waiting"
	// OutOfService is that it is not used any more.
	OutOfService State = "out_of_service"
)

// States are all of them.
var States = []State{Starting, Ready, Waiting, OutOfService}

// Status is what is known of a device at one moment.
type Status struct {
	State    State
	Reason   string // why it is not ready, if it has failed
	Restarts int    // of its process
	// Launch is how long the last launch took, and Queued how many were queued behind it.
	Launch time.Duration
	Queued int
	// PID is the process's, 0 if there is none.
	PID int
}

// Device is a device that is mined on, and its process.
type Device struct {
	// Index is its number among the devices, and Info what is known of it.
	Index int
	Info  wire.Device

	config Config
	log    *slog.Logger
	turn   chan struct{} // held by the search that the process is at
	held   *heldSearch   // nil for none; of who has the turn
	broken chan fault    // what searches find out
	retire chan struct{} // closed when the device is not to be used any more

	mu      sync.Mutex
	retired string // why
	status  Status
	client  *client // nil unless it is ready
	changed chan struct{}
	search  uint64 // the number of the last search
}

// fault is what is wrong with a client.
type fault struct {
	client *client
	err    error
}

// NewDevice returns a device whose process runs once [Device.Run] does.
func NewDevice(index int, info wire.Device, config Config, log *slog.Logger) *Device {
	if config.Hang == 0 {
		config.Hang = DefaultHang
	}
	config.Hang += time.Duration(4 * float64(config.Launch) / config.Throttle)
	if config.RetryDelays == nil {
		config.RetryDelays = DefaultRetryDelays
	}
	d := &Device{
		Index:   index,
		Info:    info,
		config:  config,
		turn:    make(chan struct{}, 1),
		broken:  make(chan fault),
		retire:  make(chan struct{}),
		status:  Status{State: Starting},
		changed: make(chan struct{}),
	}
	d.log = log.With("device", d.Name(), "name", info.Name)
	return d
}

// Name is what operators call the device: gpu0, for one.
func (d *Device) Name() string { return fmt.Sprintf("gpu%d", d.Index) }

// Status returns what is known of the device now.
func (d *Device) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

// errEnded says that a device will not be ready again.
var errEnded = errors.New("the device is out of service")

// AwaitReady waits until the device can search. It returns an error if it will not, or when
// ctx is done.
func (d *Device) AwaitReady(ctx context.Context) error {
	for {
		d.mu.Lock()
		state, reason, changed := d.status.State, d.status.Reason, d.changed
		d.mu.Unlock()
		switch {
		case state == Ready:
			return nil
		case state == OutOfService:
			return fmt.Errorf("%s: %w: %s", d.Name(), errEnded, reason)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", d.Name(), ctx.Err())
		}
	}
}

// AwaitStart waits until the device's first start has come to an end. It returns an error
// if the device is not ready then.
func (d *Device) AwaitStart(ctx context.Context) error {
	for {
		d.mu.Lock()
		state, reason, changed := d.status.State, d.status.Reason, d.changed
		d.mu.Unlock()
		switch state {
		case Ready:
			return nil
		case Waiting, OutOfService:
			return fmt.Errorf("%s (%s): %s", d.Name(), d.Info.Name, reason)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", d.Name(), ctx.Err())
		}
	}
}

// set changes the state. A client is that of a device that is ready.
func (d *Device) set(state State, reason string, c *client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.State, d.status.Reason, d.client = state, reason, c
	d.status.PID = 0
	if c != nil {
		d.status.PID = c.Process.Process.Pid
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

// Retire puts the device out of service for good.
func (d *Device) Retire(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.retired == "" {
		d.retired = reason
		close(d.retire)
	}
}

// Run has the device's process run until ctx is done or the device is retired, and restarts
// it when it fails.
func (d *Device) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-d.retire:
			cancel()
		case <-ctx.Done():
		}
	}()
	var restarts []time.Time // of the last hour
	fresh := false
	for {
		opened, err := d.runOnce(ctx, fresh)
		if ctx.Err() != nil {
			d.mu.Lock()
			reason := cmp.Or(d.retired, "the miner ends")
			d.mu.Unlock()
			d.set(OutOfService, reason, nil)
			return
		}
		if errors.Is(err, errUndead) {
			d.log.Error("DEVICE OUT OF SERVICE", "error", err)
			d.set(OutOfService, err.Error(), nil)
			return
		}
		// What was kept from before may be what it does not bear.
		fresh = !opened
		now := time.Now()
		for len(restarts) > 0 && now.Sub(restarts[0]) >= restartWindow {
			restarts = restarts[1:]
		}
		var delay time.Duration
		if n := len(restarts); n < len(d.config.RetryDelays) {
			delay = d.config.RetryDelays[n]
		} else {
			delay = restarts[0].Add(restartWindow).Sub(now)
		}
		d.log.Error("DEVICE FAILED: its process is ended, and is started again; the rest of the miner goes on",
			"error", err, "retry_delay", delay.Round(time.Millisecond), "restarts_in_the_last_hour", len(restarts))
		d.set(Waiting, err.Error(), nil)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			continue
		}
		restarts = append(restarts, time.Now())
		d.mu.Lock()
		d.status.Restarts++
		d.mu.Unlock()
		d.set(Starting, "", nil)
	}
}

// runOnce runs one process until it fails, or ctx is done. It reports whether the device
// was opened.
func (d *Device) runOnce(ctx context.Context, fresh bool) (opened bool, err error) {
	began := time.Now()
	c, err := start(ctx, d.config.Program, d.log)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	kernel, err := d.open(ctx, c, fresh)
	if err != nil {
		return false, err
	}
	d.log.Info("device ready", "backend", d.Info.Backend, "id", d.Info.ID, "driver", d.Info.Driver, "kernel", kernel, "kernel_sha256", c.hello.Kernel,
		"program_version", c.hello.Program, "pid", c.Process.Process.Pid, "took", time.Since(began).Round(time.Millisecond))
	d.set(Ready, "", c)
	for {
		select {
		case <-c.exited:
			return true, c.cause()
		case found := <-d.broken:
			if found.client == c {
				return true, found.err
			}
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
}

// open has the process open the device.
func (d *Device) open(ctx context.Context, c *client, fresh bool) (kernel string, err error) {
	err = c.send(wire.Request{Open: &wire.Open{
		Backend:      d.Info.Backend,
		Ordinal:      d.Info.Ordinal,
		ID:           d.Info.ID,
		LaunchMicros: d.config.Launch.Microseconds(),
		Throttle:     d.config.Throttle,
		Fresh:        fresh,
	}})
	if err != nil {
		return "", err
	}
	reply, err := c.receive(ctx, openTime, "the kernel to be compiled")
	if err == nil && reply.Opened == nil {
		err = errors.New("the process answers what it was not asked")
	}
	if err != nil {
		return "", err
	}
	return reply.Opened.Kernel, nil
}

// ready returns the client of a device that is ready, or nil, and the number of a new
// search.
func (d *Device) ready() (c *client, search uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.search++
	return d.client, d.search
}

// fail says that a client cannot be used any more.
func (d *Device) fail(c *client, err error) {
	d.mu.Lock()
	present := d.client == c
	d.mu.Unlock()
	if present {
		d.set(Waiting, err.Error(), nil)
	}
	select {
	case d.broken <- fault{c, err}:
	case <-c.exited: // which Run sees as well
	}
}

// measured keeps what a batch says of its launch.
func (d *Device) measured(b *wire.Batch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.Launch, d.status.Queued = time.Duration(b.Micros)*time.Microsecond, b.Queued
}
