// Package cuda reaches cards of NVIDIA's by CUDA's driver, with a kernel in PTX, which the
// driver translates for the card.
//
// The library is opened at run time; a driver that crashes takes its process with it. So
// this runs in a process of its own.
package cuda

import (
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// Backend implements [driver.Backend].
type Backend struct {
	// PTX is the kernel's text. Without one no device is usable.
	PTX string
}

// maxDevices bounds how many devices a driver may have.
const maxDevices = 64

// List implements [driver.Backend].
func (b Backend) List() (devices []wire.Device, err error) {
	cu, err := load()
	if err != nil {
		return nil, err
	}
	var count, version int32
	if r := cu.deviceCount(&count); r != 0 && r != noDevice {
		return nil, cu.check("counting the devices", r)
	}
	if err := cu.check("asking for the driver's version", cu.driverVersion(&version)); err != nil {
		return nil, err
	}
	for ordinal := range int(min(count, maxDevices)) {
		d := cu.describe(ordinal, version)
		if d.Usable && b.PTX == "" {
			d.Usable, d.Reason = false, "this build has no kernel for CUDA: OpenCL may reach it"
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// describe returns what is known of a device.
func (cu *api) describe(ordinal int, version int32) wire.Device {
	d := wire.Device{
		Backend:  wire.CUDA,
		Ordinal:  ordinal,
		Vendor:   "NVIDIA Corporation",
		Platform: "NVIDIA CUDA",
		Kind:     wire.Discrete,
		Driver:   fmt.Sprintf("CUDA %d.%d", version/1000, version%1000/10),
	}
	var device int32
	var name [256]byte
	var memory uintptr
	err := errors.Join(
		cu.check("reaching the device", cu.deviceGet(&device, int32(ordinal))),
		cu.check("asking for its name", cu.deviceName(&name[0], int32(len(name)), device)),
		cu.check("asking for its memory", cu.deviceMemory(&memory, device)),
	)
	d.Name, d.MemoryBytes = text(name[:]), uint64(memory)
	var uuid [16]byte
	if cu.deviceUUID(&uuid, device) == 0 {
		x := hex.EncodeToString(uuid[:])
		d.ID = fmt.Sprintf("GPU-%s-%s-%s-%s-%s", x[:8], x[8:12], x[12:16], x[16:20], x[20:])
	} else {
		d.ID = fmt.Sprintf("pci %04x:%02x:%02x.0", cu.attribute(pciDomain, device), cu.attribute(pciBus, device), cu.attribute(pciDevice, device))
	}
	d.ComputeUnits = int(cu.attribute(computeUnits, device))
	if cu.attribute(integrated, device) != 0 {
		d.Kind = wire.Integrated
	}
	capability := 10*cu.attribute(major, device) + cu.attribute(minor, device)
	switch {
	case err != nil:
		d.Reason = err.Error()
	case version < kernel.CUDAVersion:
		d.Reason = fmt.Sprintf("the driver is for %s, and the kernel needs one for CUDA %d.%d or later", d.Driver, kernel.CUDAVersion/1000, kernel.CUDAVersion%1000/10)
	case capability < kernel.CUDACapability:
		d.Reason = fmt.Sprintf("it has compute capability %d.%d, and the kernel needs %d.%d or later: OpenCL may reach it", capability/10, capability%10, kernel.CUDACapability/10, kernel.CUDACapability%10)
	case cu.attribute(computeMode, device) == prohibited:
		d.Reason = "its compute mode is set to prohibited"
	}
	d.Usable = d.Reason == ""
	return d
}

// attribute returns a number about a device, or 0.
func (cu *api) attribute(name, device int32) (value int32) {
	if cu.deviceAttribute(&value, name, device) != 0 {
		return 0
	}
	return value
}

// Open implements [driver.Backend]. What the driver compiles it keeps itself.
func (b Backend) Open(ordinal int, _ bool) (driver.Device, error) {
	cu, err := load()
	if err != nil {
		return nil, err
	}
	d := &device{api: cu}
	var number int32
	var context handle
	if err := cu.check("reaching the device", cu.deviceGet(&number, int32(ordinal))); err != nil {
		return nil, err
	}
	// It is the current one of this thread from now on.
	if err := cu.check("making a context", cu.contextCreate(&context, blockingSync, number)); err != nil {
		return nil, err
	}
	if d.function, err = cu.compile(b.PTX); err != nil {
		return nil, err
	}
	if err := cu.check("making a stream", cu.streamCreate(&d.stream, streamNonBlocking)); err != nil {
		return nil, err
	}
	for i := range d.slots {
		if err := d.prepare(&d.slots[i]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// compile has the driver translate the kernel for the card.
func (cu *api) compile(ptx string) (function handle, err error) {
	image := cString(ptx)
	complaints := make([]byte, 4096)
	options := [...]int32{errorLog, errorLogSize}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pinner.Pin(&complaints[0])
	values := [...]uintptr{uintptr(unsafe.Pointer(&complaints[0])), uintptr(len(complaints))}
	var module handle
	if r := cu.moduleLoad(&module, image, uint32(len(options)), &options[0], &values[0]); r != 0 {
		err := cu.check("loading the kernel", r)
		if log := text(complaints); log != "" {
			err = fmt.Errorf("%w: %s", err, log)
		}
		return 0, err
	}
	return function, cu.check("taking the kernel from its module", cu.moduleFunction(&function, module, cString(kernel.Entry)))
}

// device implements [driver.Device].
type device struct {
	*api
	function, stream handle
	slots            [driver.Slots]slot
}

// slot has the memory of a launch.
type slot struct {
	job, results address
	copied       handle // event
	host         *hostMemory
	written      driver.Job // whose base is in job
	filled       bool       // that there is one
	arguments    *arguments
	pinner       runtime.Pinner
}

// hostMemory is the driver's, which copies from it and to it while Go runs.
type hostMemory struct {
	base    poseidon2.State
	results [1 + wire.MaxFound]uint32 // the number that was found, and as many as there is room for
}

// arguments are the kernel's, and where they are.
type arguments struct {
	job          address
	first, count uint32
	limit        uint64
	results      address
	places       [5]unsafe.Pointer
}

// prepare reserves the memory of a slot.
func (d *device) prepare(s *slot) error {
	var host unsafe.Pointer
	err := errors.Join(
		d.check("reserving memory on the device", d.memoryAlloc(&s.job, unsafe.Sizeof(s.host.base))),
		d.check("reserving memory on the device", d.memoryAlloc(&s.results, unsafe.Sizeof(s.host.results))),
		d.check("reserving memory for the device", d.hostAlloc(&host, unsafe.Sizeof(*s.host), 0)),
		d.check("making an event", d.eventCreate(&s.copied, eventBlockingSync|eventNoTiming)),
	)
	if err != nil {
		return err
	}
	s.host = (*hostMemory)(host)
	a := &arguments{job: s.job, results: s.results}
	a.places = [...]unsafe.Pointer{
		unsafe.Pointer(&a.job), unsafe.Pointer(&a.first), unsafe.Pointer(&a.count), unsafe.Pointer(&a.limit), unsafe.Pointer(&a.results),
	}
	s.pinner.Pin(a) // for as long as the process lives
	s.arguments = a
	return nil
}

// Kernel implements [driver.Device].
func (d *device) Kernel() string { return "PTX" }

// Start implements [driver.Device].
func (d *device) Start(i int, l driver.Launch) error {
	s := &d.slots[i]
	if !s.filled || s.written != l.Job {
		s.host.base, s.written, s.filled = l.Job.Base(), l.Job, true
		if r := d.copyToDevice(s.job, unsafe.Pointer(&s.host.base), unsafe.Sizeof(s.host.base), d.stream); r != 0 {
			return d.check("queueing a job", r)
		}
	}
	if r := d.set(s.results, 0, 1, d.stream); r != 0 {
		return d.check("queueing the reset of the results", r)
	}
	s.arguments.first, s.arguments.count, s.arguments.limit = l.First, l.Count, l.Limit
	blocks := (l.Count + kernel.CUDABlock - 1) / kernel.CUDABlock
	if r := d.launch(d.function, blocks, 1, 1, kernel.CUDABlock, 1, 1, 0, d.stream, &s.arguments.places[0], nil); r != 0 {
		return d.check("queueing a launch", r)
	}
	if r := d.copyToHost(unsafe.Pointer(&s.host.results), s.results, unsafe.Sizeof(s.host.results), d.stream); r != 0 {
		return d.check("queueing the copy of the results", r)
	}
	return d.check("queueing an event", d.eventRecord(s.copied, d.stream))
}

// Wait implements [driver.Device]. The driver has the thread sleep until the event.
func (d *device) Wait(i int, _ time.Duration) (found uint32, nonces []uint32, err error) {
	s := &d.slots[i]
	if r := d.eventSynchronize(s.copied); r != 0 {
		return 0, nil, d.check("evaluating nonces", r)
	}
	found = s.host.results[0]
	return found, s.host.results[1 : 1+min(found, wire.MaxFound)], nil
}
