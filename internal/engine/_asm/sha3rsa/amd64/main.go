// Command amd64 writes the kernels of the SHA3 generation for amd64, each of which
// evaluates nonces on several lanes: the states of all are hashed at once in vectors,
// and the residues multiplied one after the other in general registers, in one stream
// of instructions.
//
// multiply.go has the multiplication, keccak.go where the lanes of a state are from
// round to round, avx512.go and avx2.go a kernel each. layout.go says where everything
// is.
package main

import (
	"flag"
	"log"

	"github.com/mmcloughlin/avo/build"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", ".", "write the files into this `directory`")
	var omit omission
	flag.BoolVar(&omit.multiply, "without-multiply", false, "leave the multiplications out, to see what they cost")
	flag.BoolVar(&omit.hash, "without-hash", false, "leave the rounds out, to see what they cost")
	flag.Parse()
	for name, generate := range map[string]func(*build.Context){
		"avx2":   omit.walkAVX2,
		"avx512": omit.walkAVX512,
	} {
		if err := kernel.Write("internal/engine/_asm/sha3rsa/amd64", *dir, name, generate); err != nil {
			log.Fatalf("generating %s: %v", name, err)
		}
	}
}

// omission says what to leave out of kernels that are timed and do not work.
type omission struct{ multiply, hash bool }

// step interleaves the rounds of several states with the multiplication of a lane.
func (o omission) step(rounds *kernel.Stream) *kernel.Stream {
	switch {
	case o.multiply:
		return rounds
	case o.hash:
		return multiply()
	}
	return kernel.Interleave(rounds, multiply())
}

// rounds are rounds without a multiplication.
func (o omission) rounds(rounds *kernel.Stream) *kernel.Stream {
	if o.hash {
		return &kernel.Stream{}
	}
	return rounds
}
