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
	table := func(name string, values []uint64) {
		fmt.Fprintf(&text, "TABLE ulong %s[] = {", name)
		for _, value := range values {
			fmt.Fprintf(&text, "%#xUL, ", value)
		}
		text.WriteString("};\n")
	}
	folded := poseidon2.NewFolded()
	var external, internal []uint64
	for permutation := range 2 {
		rows := folded.External
		if permutation == 0 {
			rows[len(rows)-1] = between()
		}
		for _, row := range rows {
			for _, c := range row {
				// What it is added to is 2^64 too much.
				external = append(external, words(difference(c, 1<<64%poseidon2.P))...)
			}
		}
	}
	for _, c := range folded.Internal {
		internal = append(internal, words(c)...)
	}
	table("EXTERNAL", external)
	table("INTERNAL", internal)
	diagonal := poseidon2.NewConstants().Diagonal
	table("DIAGONAL", diagonal[:])
	return text.String() + field + permutation
}

// between returns what is added behind the last S-boxes of the first permutation, so that it ends
// with the last block added, and its layer is followed by the first one of the next
// permutation with its constants.
func between() poseidon2.State {
	s := poseidon2.Unmix(poseidon2.NewConstants().Initial[0])
	for i := range 2 { // the block is two ones
		s[i] = difference(s[i], poseidon2.P-1)
	}
	return poseidon2.Unmix(s)
}

// difference returns a − b modulo P, both of which are canonical.
func difference(a, b uint64) uint64 {
	if a < b {
		a += poseidon2.P // which does not overflow with b taken away
	}
	return a - b
}

// words returns a constant as two words of 32 bits, each of them in 64.
func words(c uint64) []uint64 { return []uint64{c & (1<<32 - 1), c >> 32} }

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
