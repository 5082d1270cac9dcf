//go:build ignore

// This prints the text of the kernel, for tools/gpu-kernel.
package main

import (
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/kernel"
)

func main() { fmt.Print(kernel.Source()) }
