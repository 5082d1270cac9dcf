// Package kernel has the text of the kernel.
package kernel

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/gpu/wire"
)

var (
	//go:embed dialect.h
	dialect string
	//go:embed field.cl
	field string
	//go:embed poseidon2.cl
	permutation string
	//go:embed poseidon2.ptx
	ptx string
)

// Entry is the kernel's name.
const Entry = "search"

// OpenCLOptions are those of the compiler.
const OpenCLOptions = ""

// Source returns the kernel's text, which is OpenCL C as well as CUDA C.
func Source() string {
	var text strings.Builder
	text.WriteString(dialect)
	fmt.Fprintf(&text, "#define MAX_FOUND %d\n", wire.MaxFound)
	constants := poseidon2.NewConstants()
	table := func(name string, values []uint64) {
		fmt.Fprintf(&text, "TABLE ulong %s[] = {", name)
		for _, value := range values {
			fmt.Fprintf(&text, "%#xUL, ", value)
		}
		text.WriteString("};\n")
	}
	// Each external layer adds the constants of what comes next, and so does each internal
	// round: of the last of them the first terminal round, which adds its own. Behind the
	// first permutation comes the last block, which ends the message and the elements.
	internal := [poseidon2.Width]uint64{constants.Internal[0]}
	block := [poseidon2.Width]uint64{1, 1}
	var next []uint64
	for _, row := range append(append(constants.Initial[1:], internal), append(constants.Terminal[1:], block)...) {
		next = append(next, row[:]...)
	}
	table("FIRST", constants.Initial[0][:])
	table("NEXT", next)
	table("INTERNAL", append(constants.Internal[1:], 0))
	table("TERMINAL", constants.Terminal[0][:])
	table("DIAGONAL", constants.Diagonal[:])
	return text.String() + field + permutation
}

// OpenCL returns the kernel's text in OpenCL C.
func OpenCL() string { return Source() }

// Hash returns the SHA-256 of the kernel's texts, in hex.
func Hash() string {
	sum := sha256.Sum256([]byte(Source() + ptx))
	return hex.EncodeToString(sum[:])
}

// What the kernel in PTX needs, and how it is launched.
const (
	// CUDAVersion is the version of CUDA that the driver must know at least: 11.8.
	CUDAVersion = 11080
	// CUDACapability is the compute capability that a card must have at least: 7.5.
	CUDACapability = 75
	// CUDABlock is the number of threads in a block.
	CUDABlock = 128
)

// PTX returns the kernel's text in PTX: what NVRTC 11.8 makes of [Source] for compute_75, as
// later ones write a version of PTX that drivers of 2022 do not know.
func PTX() string { return ptx }
