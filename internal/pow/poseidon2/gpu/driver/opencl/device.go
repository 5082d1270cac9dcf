package opencl

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// groupSize is the number of work items in a group, unless the device takes only fewer.
const groupSize = 64

// device implements [driver.Device].
type device struct {
	*api
	queue  handle
	kernel handle
	group  uintptr
	slots  [driver.Slots]slot
}

// slot has the memory of a launch, on the device and here. The driver writes to ours, and
// reads from it, while Go runs: so it is pinned.
type slot struct {
	job, results handle
	host         *hostMemory
	pinner       runtime.Pinner
	written      driver.Job // whose base is in job
	filled       bool       // that there is one
	done         handle     // event of the copy of the results, 0 if nothing is in flight
}

type hostMemory struct {
	base    poseidon2.State
	zero    uint32
	results [1 + wire.MaxFound]uint32 // the number that was found, and as many as there is room for
}

// open opens a device, with a kernel from the cache directory if that has it.
func (cl *api) open(p place, cache string, fresh bool) (_ driver.Device, err error) {
	var s status
	properties := []uintptr{contextPlatform, uintptr(p.platform), 0}
	context := cl.createContext(&properties[0], 1, &p.device, 0, 0, &s)
	if s != success {
		return nil, check("making a context", s)
	}
	d := &device{api: cl}
	if d.queue = cl.createQueue(context, p.device, 0, &s); s != success {
		return nil, check("making a queue", s)
	}
	if d.kernel, err = cl.load(context, p, cache, fresh); err != nil {
		return nil, err
	}
	d.group = min(groupSize, max(1, uintptr(cl.deviceNumber(p.device, deviceMaxGroup))))
	for i := range d.slots {
		slot := &d.slots[i]
		slot.host = new(hostMemory)
		slot.pinner.Pin(slot.host) // for as long as the process lives
		if slot.job = cl.createBuffer(context, readOnly, unsafe.Sizeof(slot.host.base), nil, &s); s != success {
			return nil, check("reserving memory on the device", s)
		}
		if slot.results = cl.createBuffer(context, readWrite, unsafe.Sizeof(slot.host.results), nil, &s); s != success {
			return nil, check("reserving memory on the device", s)
		}
	}
	return d, nil
}

// load returns the kernel: from the cache, or compiled.
func (cl *api) load(context handle, p place, directory string, fresh bool) (handle, error) {
	key := sha256.Sum256([]byte(strings.Join([]string{
		cl.platformText(p.platform, platformName), cl.platformText(p.platform, platformVersion),
		cl.deviceText(p.device, deviceVendor), cl.deviceText(p.device, deviceName), cl.deviceText(p.device, deviceVersion),
		cl.deviceText(p.device, deviceDriver), kernel.OpenCLOptions, kernel.OpenCL(),
	}, "\x00")))
	kept := cacheFile{directory, key}
	if !fresh {
		if binary, ok := kept.read(); ok {
			if k, err := cl.fromBinary(context, p.device, binary); err == nil {
				return k, nil
			}
		}
	}
	k, binary, err := cl.compile(context, p.device)
	if err == nil && len(binary) > 0 {
		kept.write(binary)
	}
	return k, err
}

// fromBinary returns the kernel of a compiled program.
func (cl *api) fromBinary(context, device handle, binary []byte) (handle, error) {
	length, start := uintptr(len(binary)), &binary[0]
	var pinner runtime.Pinner
	pinner.Pin(start)
	defer pinner.Unpin()
	var each, s status
	program := cl.programWithBinary(context, 1, &device, &length, &start, &each, &s)
	if err := errors.Join(check("loading a compiled program", s), check("loading a compiled program", each)); err != nil {
		return 0, err
	}
	if s := cl.buildProgram(program, 1, &device, cString(kernel.OpenCLOptions), 0, 0); s != success {
		cl.releaseProgram(program)
		return 0, check("building a compiled program", s)
	}
	return cl.kernelOf(program)
}

// compile returns the kernel, and the compiled program, if the driver gives it away.
func (cl *api) compile(context, device handle) (handle, []byte, error) {
	source := kernel.OpenCL()
	text, length := cString(source), uintptr(len(source))
	var pinner runtime.Pinner
	pinner.Pin(text)
	defer pinner.Unpin()
	var s status
	program := cl.programWithSource(context, 1, &text, &length, &s)
	if s != success {
		return 0, nil, check("making a program", s)
	}
	if s := cl.buildProgram(program, 1, &device, cString(kernel.OpenCLOptions), 0, 0); s != success {
		return 0, nil, fmt.Errorf("compiling the kernel: %w%s", s, cl.complaints(program, device))
	}
	k, err := cl.kernelOf(program)
	if err != nil {
		return 0, nil, err
	}
	return k, cl.binary(program), nil
}

// kernelOf returns the kernel of a program that was built.
func (cl *api) kernelOf(program handle) (handle, error) {
	var s status
	k := cl.createKernel(program, cString(kernel.Entry), &s)
	return k, check("taking the kernel from its program", s)
}

// complaints returns the beginning of what the compiler says.
func (cl *api) complaints(program, device handle) string {
	value, err := info(func(size uintptr, value unsafe.Pointer, needed *uintptr) status {
		return cl.buildInfo(program, device, buildLog, size, value, needed)
	})
	log := text(value)
	if err != nil || log == "" {
		return ""
	}
	const most = 2000
	if len(log) > most {
		log = log[:most] + "…"
	}
	return ": " + log
}

// binary returns a program's compiled form, or nothing.
func (cl *api) binary(program handle) []byte {
	var size uintptr
	if cl.programInfo(program, binarySizes, unsafe.Sizeof(size), unsafe.Pointer(&size), nil) != success || size == 0 || size > maxBinary {
		return nil
	}
	binary := make([]byte, size)
	start := unsafe.Pointer(&binary[0])
	var pinner runtime.Pinner
	pinner.Pin(start)
	defer pinner.Unpin()
	if cl.programInfo(program, binaries, unsafe.Sizeof(start), unsafe.Pointer(&start), nil) != success {
		return nil
	}
	return binary
}

// Kernel implements [driver.Device].
func (d *device) Kernel() string { return "OpenCL C" }

// Start implements [driver.Device].
func (d *device) Start(i int, l driver.Launch) error {
	slot := &d.slots[i]
	if !slot.filled || slot.written != l.Job {
		slot.host.base, slot.written, slot.filled = l.Job.Base(), l.Job, true
		if s := d.enqueueWrite(d.queue, slot.job, 0, 0, unsafe.Sizeof(slot.host.base), unsafe.Pointer(&slot.host.base), 0, nil, nil); s != success {
			return check("queueing a job", s)
		}
	}
	if s := d.enqueueWrite(d.queue, slot.results, 0, 0, 4, unsafe.Pointer(&slot.host.zero), 0, nil, nil); s != success {
		return check("queueing the reset of the results", s)
	}
	for index, argument := range []struct {
		size  uintptr
		value unsafe.Pointer
	}{
		{unsafe.Sizeof(slot.job), unsafe.Pointer(&slot.job)},
		{4, unsafe.Pointer(&l.First)},
		{4, unsafe.Pointer(&l.Count)},
		{8, unsafe.Pointer(&l.Limit)},
		{unsafe.Sizeof(slot.results), unsafe.Pointer(&slot.results)},
	} {
		if s := d.setKernelArg(d.kernel, uint32(index), argument.size, argument.value); s != success {
			return check("setting the kernel's arguments", s)
		}
	}
	global := (uintptr(l.Count) + d.group - 1) / d.group * d.group
	if s := d.enqueueKernel(d.queue, d.kernel, 1, nil, &global, &d.group, 0, nil, nil); s != success {
		return check("queueing a launch", s)
	}
	if s := d.enqueueRead(d.queue, slot.results, 0, 0, unsafe.Sizeof(slot.host.results), unsafe.Pointer(&slot.host.results), 0, nil, &slot.done); s != success {
		return check("queueing the copy of the results", s)
	}
	return check("flushing the queue", d.flush(d.queue))
}

// The pauses between two looks at an event.
const (
	firstPause   = 20 * time.Microsecond
	longestPause = time.Millisecond
)

// Wait implements [driver.Device]. OpenCL's own ways to wait keep a whole CPU busy with
// some drivers, NVIDIA's for one. So it sleeps for most of the time that the launch should
// take, and then looks at the event of the copy, in between two pauses.
func (d *device) Wait(i int, about time.Duration) (found uint32, nonces []uint32, err error) {
	slot := &d.slots[i]
	time.Sleep(about * 9 / 10)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		var state int32
		if s := d.eventInfo(slot.done, executionStatus, unsafe.Sizeof(state), unsafe.Pointer(&state), nil); s != success {
			return 0, nil, check("asking about a launch", s)
		}
		if state < 0 {
			return 0, nil, check("evaluating nonces", status(state))
		}
		if state == 0 {
			break
		}
		time.Sleep(pause)
	}
	if s := d.releaseEvent(slot.done); s != success {
		return 0, nil, check("releasing an event", s)
	}
	found = slot.host.results[0]
	return found, slot.host.results[1 : 1+min(found, wire.MaxFound)], nil
}

// The compiler's uint64 is the device's ulong, in the device's order of bytes.
var _ [1]struct{} = [bits.UintSize / 64]struct{}{}
