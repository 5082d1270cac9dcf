// Package gpu is the engine gpu of Poseidon2: it searches on a device that CUDA or OpenCL
// reach.
//
// The drivers of devices are foreign code that may crash or hang, and make a program
// dynamic. So none is loaded here: a process for each device, of the program
// quantus-miner-gpu, does what must be done with it, and [Device] sees to the process. It
// starts it, tells it what to search, kills it when it hangs, and starts it again, a few
// times. What the process finds, the reference rule checks here.
//
// Read devices.go for which devices there are, device.go for the life of a process, and
// engine.go for a search. Package wire is what is said between the two, package process
// is the other side, and the packages below driver are the ways to reach devices.
package gpu
