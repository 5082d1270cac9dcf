package cuda

import (
	"bytes"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver/dynlib"
)

// handle is an object of the driver's: a pointer that is its own.
type handle uintptr

// address is one in a device's memory.
type address uint64

// api holds the functions of CUDA's driver that are used here. (NVIDIA, “CUDA Driver API”.)
type api struct {
	init              func(flags uint32) result
	driverVersion     func(version *int32) result
	errorName         func(r result, name **byte) result
	deviceCount       func(n *int32) result
	deviceGet         func(device *int32, ordinal int32) result
	deviceName        func(name *byte, size int32, device int32) result
	deviceMemory      func(bytes *uintptr, device int32) result
	deviceUUID        func(uuid *[16]byte, device int32) result
	deviceAttribute   func(value *int32, attribute int32, device int32) result
	contextCreate     func(context *handle, flags uint32, device int32) result
	moduleLoad        func(module *handle, image *byte, n uint32, options *int32, values *uintptr) result
	moduleFunction    func(function *handle, module handle, name *byte) result
	functionAttribute func(value *int32, attribute int32, function handle) result
	memoryAlloc       func(memory *address, size uintptr) result
	hostAlloc         func(memory *unsafe.Pointer, size uintptr, flags uint32) result
	copyToDevice      func(to address, from unsafe.Pointer, size uintptr, stream handle) result
	copyToHost        func(to unsafe.Pointer, from address, size uintptr, stream handle) result
	set               func(memory address, value uint32, n uintptr, stream handle) result
	launch            func(function handle, gridX, gridY, gridZ, blockX, blockY, blockZ, shared uint32, stream handle, parameters, extra *unsafe.Pointer) result
	streamCreate      func(stream *handle, flags uint32) result
	eventCreate       func(event *handle, flags uint32) result
	eventRecord       func(event, stream handle) result
	eventSynchronize  func(event handle) result
}

// load opens the driver's library, and has it begin.
func load() (*api, error) {
	name := "libcuda.so.1"
	if runtime.GOOS == "windows" {
		name = "nvcuda.dll"
	}
	library, err := dynlib.Open(name)
	if err != nil {
		return nil, err
	}
	cu := new(api)
	err = library.Bind(map[string]any{
		"cuInit":               &cu.init,
		"cuDriverGetVersion":   &cu.driverVersion,
		"cuGetErrorName":       &cu.errorName,
		"cuDeviceGetCount":     &cu.deviceCount,
		"cuDeviceGet":          &cu.deviceGet,
		"cuDeviceGetName":      &cu.deviceName,
		"cuDeviceTotalMem_v2":  &cu.deviceMemory,
		"cuDeviceGetUuid":      &cu.deviceUUID,
		"cuDeviceGetAttribute": &cu.deviceAttribute,
		"cuCtxCreate_v2":       &cu.contextCreate,
		"cuModuleLoadDataEx":   &cu.moduleLoad,
		"cuModuleGetFunction":  &cu.moduleFunction,
		"cuFuncGetAttribute":   &cu.functionAttribute,
		"cuMemAlloc_v2":        &cu.memoryAlloc,
		"cuMemHostAlloc":       &cu.hostAlloc,
		"cuMemcpyHtoDAsync_v2": &cu.copyToDevice,
		"cuMemcpyDtoHAsync_v2": &cu.copyToHost,
		"cuMemsetD32Async":     &cu.set,
		"cuLaunchKernel":       &cu.launch,
		"cuStreamCreate":       &cu.streamCreate,
		"cuEventCreate":        &cu.eventCreate,
		"cuEventRecord":        &cu.eventRecord,
		"cuEventSynchronize":   &cu.eventSynchronize,
	})
	if err != nil {
		return nil, err
	}
	return cu, cu.check("starting the driver", cu.init(0))
}

// result is what functions return; 0 is success.
type result int32

// noDevice is what the driver says where no card of NVIDIA's is.
const noDevice result = 100

// advice is what can be done about some results.
var advice = map[result]string{
	2:   "out of memory on the device",
	3:   "the driver is shutting down",
	46:  "the device is in use by others, exclusively",
	100: "the driver finds no card",
	101: "there is no such device any more",
	214: "the device's memory has an error that cannot be corrected",
	218: "the driver does not take the kernel",
	222: "the driver is too old for the kernel: it needs one of 2022 or later",
	700: "the kernel went astray in the device's memory, or the device is unstable",
	702: "a launch took too long, and was ended by the display's watchdog",
	719: "a launch failed: the device may have been lost, or is unstable",
	802: "the system's fabric of devices is not ready: does nvidia-fabricmanager run?",
	803: "the driver was updated: its kernel module is another version than its library, until the machine is restarted",
	804: "the driver is too old for its library of forward compatibility",
	999: "the device was lost, or the driver is in trouble: see its messages in the system's log",
}

// check makes an error of a result.
func (cu *api) check(what string, r result) error {
	if r == 0 {
		return nil
	}
	name := fmt.Sprintf("CUDA error %d", int32(r))
	var text *byte
	if cu.errorName(r, &text) == 0 && text != nil {
		name = fmt.Sprintf("%s, %d", goString(text), int32(r))
	}
	if hint, ok := advice[r]; ok {
		return fmt.Errorf("%s: %s (%s)", what, hint, name)
	}
	return fmt.Errorf("%s: %s", what, name)
}

// goString returns a text of C's, up to 100 bytes of it.
func goString(start *byte) string {
	var text []byte
	for len(text) < 100 {
		b := *(*byte)(unsafe.Add(unsafe.Pointer(start), len(text)))
		if b == 0 {
			break
		}
		text = append(text, b)
	}
	return string(text)
}

// cString returns a text as C has it.
func cString(s string) *byte { return &append([]byte(s), 0)[0] }

// text makes a string of a buffer that C wrote to.
func text(buffer []byte) string {
	before, _, _ := bytes.Cut(buffer, []byte{0})
	return string(bytes.TrimSpace(before))
}

// The numbers that the driver gives things.
const (
	computeUnits = 16
	integrated   = 18
	computeMode  = 20 // 2 is that nobody may use it
	pciBus       = 33
	pciDevice    = 34
	pciDomain    = 50
	major, minor = 75, 76 // of the compute capability

	prohibited = 2

	blockingSync      = 4 // of a context: who waits sleeps
	eventBlockingSync = 1
	eventNoTiming     = 2
	streamNonBlocking = 1

	errorLog, errorLogSize = 5, 6 // options of moduleLoad
)
