// Package opencl reaches devices by OpenCL: GPUs of AMD, Intel, Apple and, if asked to,
// NVIDIA, and CPUs by PoCL.
//
// The library is opened at run time; a driver that crashes takes its process with it. So
// this runs in a process of its own.
package opencl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"unsafe"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

// Backend implements [driver.Backend].
type Backend struct {
	// Cache is the directory that compiled kernels are kept in; empty for nowhere.
	Cache string
}

// maxDevices bounds how many devices a driver may have.
const maxDevices = 64

// place is where a device is.
type place struct{ platform, device handle }

// List implements [driver.Backend].
func (Backend) List() (devices []wire.Device, err error) {
	cl, err := load()
	if err != nil {
		return nil, err
	}
	places, err := cl.places()
	for ordinal, p := range places {
		d := cl.describe(p)
		d.Ordinal = ordinal
		devices = append(devices, d)
	}
	return devices, err
}

// errNoDriver says that OpenCL is there, and no driver of a device.
var errNoDriver = errors.New("OpenCL is installed, but no driver for a device (no ICD)")

// places returns where the devices of all platforms are.
func (cl *api) places() (places []place, err error) {
	var count uint32
	switch s := cl.getPlatformIDs(0, nil, &count); {
	case s == noPlatform, s == success && count == 0:
		return nil, errNoDriver
	case s != success:
		return nil, check("listing OpenCL's platforms", s)
	}
	platforms := make([]handle, min(count, maxDevices))
	if s := cl.getPlatformIDs(uint32(len(platforms)), &platforms[0], nil); s != success {
		return nil, check("listing OpenCL's platforms", s)
	}
	for _, platform := range platforms {
		s := cl.getDeviceIDs(platform, anyDevice, 0, nil, &count)
		if s == deviceNotFound || s == success && count == 0 {
			continue
		}
		devices := make([]handle, min(count, maxDevices))
		if s == success {
			s = cl.getDeviceIDs(platform, anyDevice, uint32(len(devices)), &devices[0], nil)
		}
		if s != success { // others may have devices
			err = errors.Join(err, check("listing the devices of "+cl.platformText(platform, platformName), s))
			continue
		}
		for _, device := range devices {
			if len(places) < maxDevices {
				places = append(places, place{platform, device})
			}
		}
	}
	return places, err
}

// describe returns what is known of a device.
func (cl *api) describe(p place) wire.Device {
	d := wire.Device{
		Backend:      wire.OpenCL,
		Name:         cl.deviceText(p.device, deviceName),
		Vendor:       cl.deviceText(p.device, deviceVendor),
		Platform:     cl.platformText(p.platform, platformName),
		ComputeUnits: int(uint32(cl.deviceNumber(p.device, deviceComputeUnits))),
		MemoryBytes:  cl.deviceNumber(p.device, deviceMemory),
		Driver:       cl.deviceText(p.device, deviceDriver),
	}
	extensions := " " + cl.deviceText(p.device, deviceExtensions) + " "
	if board := cl.deviceText(p.device, deviceBoardAMD); board != "" && strings.Contains(extensions, " cl_amd_device_attribute_query ") {
		d.Name = board // instead of the architecture's name
	}
	if strings.Contains(extensions, " cl_khr_pci_bus_info ") {
		d.ID = cl.pciAddress(p.device)
	}
	switch kind := cl.deviceNumber(p.device, deviceType); {
	case kind&cpuDevice != 0:
		d.Kind = wire.CPU
	case uint32(cl.deviceNumber(p.device, deviceUnifiedMemory)) != 0:
		d.Kind = wire.Integrated
	default:
		d.Kind = wire.Discrete
	}
	d.Reason = cl.unusable(p.device)
	d.Usable = d.Reason == ""
	return d
}

// unusable says why a device cannot be used, or "".
func (cl *api) unusable(device handle) string {
	yes := func(name uint32) bool { return uint32(cl.deviceNumber(device, name)) != 0 }
	var major, minor int
	version := cl.deviceText(device, deviceVersion)
	if _, err := fmt.Sscanf(version, "OpenCL %d.%d", &major, &minor); err != nil || major == 1 && minor == 0 {
		return fmt.Sprintf("it needs OpenCL 1.1, and the driver has %q", version)
	}
	switch {
	case !yes(deviceAvailable):
		return "the driver says that it is not available"
	case !yes(deviceCompiler):
		return "the driver has no compiler for it"
	case !yes(deviceLittleEndian):
		return "it is big-endian"
	case cl.deviceText(device, deviceProfile) == "EMBEDDED_PROFILE" &&
		!strings.Contains(" "+cl.deviceText(device, deviceExtensions)+" ", " cles_khr_int64 "):
		return "it has no integers of 64 bits"
	}
	return ""
}

// pciAddress returns where on the bus a device is, or "".
func (cl *api) pciAddress(device handle) string {
	var words [16]byte // domain, bus, device, function
	if cl.getDeviceInfo(device, devicePCI, unsafe.Sizeof(words), unsafe.Pointer(&words), nil) != success {
		return ""
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(words[4*i:]) }
	return fmt.Sprintf("pci %04x:%02x:%02x.%x", word(0), word(1), word(2), word(3))
}

// Open implements [driver.Backend].
func (b Backend) Open(ordinal int, fresh bool) (driver.Device, error) {
	cl, err := load()
	if err != nil {
		return nil, err
	}
	places, err := cl.places()
	if ordinal < 0 || ordinal >= len(places) {
		return nil, errors.Join(fmt.Errorf("there is no device %d any more", ordinal), err)
	}
	return cl.open(places[ordinal], b.Cache, fresh)
}
