// Command quantus-miner-gpu has quantus-miner search on GPUs: that program starts it, one
// process for each device, and speaks to it over its standard input and output. It is
// of no use by hand.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"github.com/quantus-network/quantus-miner/internal/build"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver/cuda"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/driver/opencl"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/kernel"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/process"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

func main() {
	if len(os.Args) > 1 || term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprintln(os.Stderr, "quantus-miner-gpu is started by quantus-miner, which looks for it beside itself: see quantus-miner devices")
		os.Exit(2)
	}
	// The signals of a terminal, and of a service manager, are for the miner. It ends this
	// process by the end of its input.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	out, err := process.ProtectOutput()
	if err == nil {
		err = process.Process{
			Version: build.Read().Version,
			Backends: map[string]driver.Backend{
				wire.CUDA:   cuda.Backend{PTX: kernel.PTX()},
				wire.OpenCL: opencl.Backend{Cache: cacheDirectory()},
			},
			In:  os.Stdin,
			Out: out,
		}.Serve()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "quantus-miner-gpu: %v\n", err)
		os.Exit(1)
	}
}

// cacheDirectory returns where compiled kernels are kept, or "" if there is no such place.
func cacheDirectory() string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "quantus-miner")
}
