package opencl

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver/dynlib"
)

// handle is an object of OpenCL's: a pointer that is the library's own.
type handle uintptr

// api holds the functions of OpenCL that are used here, all of them of version 1.1.
// (Khronos, “The OpenCL Specification”, version 1.1, 2011.)
type api struct {
	getPlatformIDs    func(n uint32, platforms *handle, count *uint32) status
	getPlatformInfo   func(platform handle, name uint32, size uintptr, value unsafe.Pointer, needed *uintptr) status
	getDeviceIDs      func(platform handle, kind uint64, n uint32, devices *handle, count *uint32) status
	getDeviceInfo     func(device handle, name uint32, size uintptr, value unsafe.Pointer, needed *uintptr) status
	createContext     func(properties *uintptr, n uint32, devices *handle, notify, user uintptr, err *status) handle
	createQueue       func(context, device handle, properties uint64, err *status) handle
	programWithSource func(context handle, n uint32, texts **byte, lengths *uintptr, err *status) handle
	programWithBinary func(context handle, n uint32, devices *handle, lengths *uintptr, binaries **byte, each, err *status) handle
	buildProgram      func(program handle, n uint32, devices *handle, options *byte, notify, user uintptr) status
	buildInfo         func(program, device handle, name uint32, size uintptr, value unsafe.Pointer, needed *uintptr) status
	programInfo       func(program handle, name uint32, size uintptr, value unsafe.Pointer, needed *uintptr) status
	releaseProgram    func(program handle) status
	createKernel      func(program handle, name *byte, err *status) handle
	setKernelArg      func(kernel handle, index uint32, size uintptr, value unsafe.Pointer) status
	createBuffer      func(context handle, flags uint64, size uintptr, host unsafe.Pointer, err *status) handle
	enqueueWrite      func(queue, buffer handle, blocking uint32, offset, size uintptr, from unsafe.Pointer, n uint32, after, event *handle) status
	enqueueRead       func(queue, buffer handle, blocking uint32, offset, size uintptr, to unsafe.Pointer, n uint32, after, event *handle) status
	enqueueKernel     func(queue, kernel handle, dimensions uint32, offset, global, local *uintptr, n uint32, after, event *handle) status
	flush             func(queue handle) status
	eventInfo         func(event handle, name uint32, size uintptr, value unsafe.Pointer, needed *uintptr) status
	releaseEvent      func(event handle) status
}

// libraries are the names of the loader of OpenCL's drivers, or of the one driver.
var libraries = map[string][]string{
	"windows": {"OpenCL.dll"},
	"darwin":  {"/System/Library/Frameworks/OpenCL.framework/OpenCL"},
}

// load opens the library.
func load() (*api, error) {
	names, ok := libraries[runtime.GOOS]
	if !ok {
		names = []string{"libOpenCL.so.1"}
	}
	library, err := dynlib.Open(names...)
	if err != nil {
		return nil, err
	}
	cl := new(api)
	return cl, library.Bind(map[string]any{
		"clGetPlatformIDs":          &cl.getPlatformIDs,
		"clGetPlatformInfo":         &cl.getPlatformInfo,
		"clGetDeviceIDs":            &cl.getDeviceIDs,
		"clGetDeviceInfo":           &cl.getDeviceInfo,
		"clCreateContext":           &cl.createContext,
		"clCreateCommandQueue":      &cl.createQueue,
		"clCreateProgramWithSource": &cl.programWithSource,
		"clCreateProgramWithBinary": &cl.programWithBinary,
		"clBuildProgram":            &cl.buildProgram,
		"clGetProgramBuildInfo":     &cl.buildInfo,
		"clGetProgramInfo":          &cl.programInfo,
		"clReleaseProgram":          &cl.releaseProgram,
		"clCreateKernel":            &cl.createKernel,
		"clSetKernelArg":            &cl.setKernelArg,
		"clCreateBuffer":            &cl.createBuffer,
		"clEnqueueWriteBuffer":      &cl.enqueueWrite,
		"clEnqueueReadBuffer":       &cl.enqueueRead,
		"clEnqueueNDRangeKernel":    &cl.enqueueKernel,
		"clFlush":                   &cl.flush,
		"clGetEventInfo":            &cl.eventInfo,
		"clReleaseEvent":            &cl.releaseEvent,
	})
}

// The numbers that OpenCL gives things.
const (
	platformName    = 0x0902
	platformVersion = 0x0901

	anyDevice  = 0xFFFFFFFF
	cpuDevice  = 1 << 1
	gpuDevice  = 1 << 2
	accelerate = 1 << 3

	deviceType          = 0x1000
	deviceComputeUnits  = 0x1002
	deviceMaxGroup      = 0x1004
	deviceMemory        = 0x101F
	deviceLittleEndian  = 0x1026
	deviceAvailable     = 0x1027
	deviceCompiler      = 0x1028
	deviceName          = 0x102B
	deviceVendor        = 0x102C
	deviceDriver        = 0x102D
	deviceProfile       = 0x102E
	deviceVersion       = 0x102F
	deviceExtensions    = 0x1030
	deviceUnifiedMemory = 0x1035
	deviceBoardAMD      = 0x4038 // cl_amd_device_attribute_query
	devicePCI           = 0x410F // cl_khr_pci_bus_info

	contextPlatform = 0x1084
	binarySizes     = 0x1165
	binaries        = 0x1166
	buildLog        = 0x1183
	executionStatus = 0x11D3 // 0 is complete, and less than 0 an error

	readWrite = 1 << 0
	readOnly  = 1 << 2
)

// status is what functions return.
type status int32

// Those of which the user can be told more than the number.
const (
	success           status = 0
	deviceNotFound    status = -1
	buildFailure      status = -11
	noPlatform        status = -1001 // cl_khr_icd
	invalidCommandSet status = -5
)

// names are those of the errors that a device that worked has.
var names = map[status]string{
	-2:  "the device is not available",
	-3:  "the compiler is not available",
	-4:  "out of memory on the device",
	-5:  "out of resources: the device may have been reset, as by a display's watchdog (CL_OUT_OF_RESOURCES)",
	-6:  "out of memory",
	-11: "the kernel does not compile",
	-14: "a launch failed",
	-36: "the queue is not valid: the device was lost",
	-42: "the binary is not valid",
	-45: "the program is not valid",
	-54: "the size of the work group is not valid",
}

// Error implements error.
func (s status) Error() string {
	if name, ok := names[s]; ok {
		return fmt.Sprintf("%s (OpenCL error %d)", name, int32(s))
	}
	return fmt.Sprintf("OpenCL error %d", int32(s))
}

// check makes an error of a status.
func check(what string, s status) error {
	if s == success {
		return nil
	}
	return fmt.Errorf("%s: %w", what, s)
}

// maxInfo bounds what a driver may tell of itself, in bytes.
const maxInfo = 1 << 20

// info returns what get tells, as bytes.
func info(get func(size uintptr, value unsafe.Pointer, needed *uintptr) status) ([]byte, error) {
	var needed uintptr
	if s := get(0, nil, &needed); s != success {
		return nil, s
	}
	if needed == 0 {
		return nil, nil
	}
	if needed > maxInfo {
		return nil, errors.New("the driver has too much to tell")
	}
	value := make([]byte, needed)
	if s := get(needed, unsafe.Pointer(&value[0]), nil); s != success {
		return nil, s
	}
	return value, nil
}

// text makes a string of what info returned: all up to the first 0.
func text(value []byte) string {
	before, _, _ := bytes.Cut(value, []byte{0})
	return string(bytes.TrimSpace(before))
}

// deviceText returns a text about a device, or "" if the driver has none.
func (cl *api) deviceText(device handle, name uint32) string {
	value, err := info(func(size uintptr, value unsafe.Pointer, needed *uintptr) status {
		return cl.getDeviceInfo(device, name, size, value, needed)
	})
	if err != nil {
		return ""
	}
	return text(value)
}

// deviceNumber returns a number of 4 or 8 bytes about a device, or 0 if the driver has none.
func (cl *api) deviceNumber(device handle, name uint32) (x uint64) {
	// All systems that this is built for are little-endian.
	if cl.getDeviceInfo(device, name, unsafe.Sizeof(x), unsafe.Pointer(&x), nil) != success {
		x = 0
		var word uint32
		if cl.getDeviceInfo(device, name, unsafe.Sizeof(word), unsafe.Pointer(&word), nil) == success {
			x = uint64(word)
		}
	}
	return x
}

// platformText returns a text about a platform.
func (cl *api) platformText(platform handle, name uint32) string {
	value, err := info(func(size uintptr, value unsafe.Pointer, needed *uintptr) status {
		return cl.getPlatformInfo(platform, name, size, value, needed)
	})
	if err != nil {
		return ""
	}
	return text(value)
}

// cString returns a text as C has it.
func cString(s string) *byte { return &append([]byte(s), 0)[0] }
