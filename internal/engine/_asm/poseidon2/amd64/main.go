// Command amd64 writes the kernels of Poseidon2 for amd64, each of which evaluates
// nonces on several lanes.
//
// walk.go has the frame of them all, avx512.go, avxifma.go and avx2.go the parts of each,
// scalar.go those of the lanes in general registers, field512.go and field2.go the arithmetic, and
// why nothing in it overflows; layout.go says where everything is.
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
	flag.Parse()
	for name, generate := range map[string]func(*build.Context){
		"avx2":       walkAVX2,
		"avx512":     walkAVX512,
		"avx512wide": walkAVX512Wide,
	} {
		if err := kernel.Write(generator, *dir, name, generate); err != nil {
			log.Fatalf("generating %s: %v", name, err)
		}
	}
	if err := kernel.Write(generator, *dir, "avxifma", walkAVXIFMA, kernel.VEX); err != nil {
		log.Fatalf("generating avxifma: %v", err)
	}
}

// generator is the directory of this program.
const generator = "internal/engine/_asm/poseidon2/amd64"

// walkAVX2 generates the kernel for AVX2.
func walkAVX2(c *build.Context) {
	k := newAVX2(c)
	walk(c, "walkAVX2", "for AVX2, with two times four lanes and two scalar ones.", k, newScalars(c, 4, 2), k.rounds)
}

// walkAVXIFMA generates the kernel for AVX-IFMA.
func walkAVXIFMA(c *build.Context) {
	k := newAVXIFMA(c)
	walk(c, "walkAVXIFMA", "for AVX-IFMA, with two times four lanes and a scalar one.", k, newScalars(c, 4, 1), k.rounds)
}

// walkAVX512 generates the kernel for AVX-512.
//
// Its order assumes Zen 4's ports, and delays that are twice its own: as products wait for
// each other, and a CPU takes an instruction to a port before it knows when that is ready,
// results should be there early. Other orders were measured to be slower there, or take
// more registers than there are.
func walkAVX512(c *build.Context) {
	model := kernel.Model{All: 2, Multiplies: 1, Shifts: 1, MultiplyDelay: 9, Delay: 2}
	k := newAVX512(c, order{external: model, boxes: 36, internal: model, elements: 14, multiplied: 7})
	walk(c, "walkAVX512", "for AVX-512, with two times eight lanes and two scalar ones.", k, newScalars(c, 8, 2), k.rounds)
}

// walkAVX512Wide generates a kernel for CPUs that have as many ports for vectors of 64
// bytes as for shorter ones, as Zen 5. The vectors leave no time there for scalar lanes. Its
// order is the best of 170 that were drawn and measured there.
func walkAVX512Wide(c *build.Context) {
	k := newAVX512(c, order{
		external: kernel.Model{All: 3, Multiplies: 2, Shifts: 1, MultiplyDelay: 7, Delay: 5}, boxes: 28,
		internal: kernel.Model{All: 3, Multiplies: 2, Shifts: 1, MultiplyDelay: 11, Delay: 4}, first: 5, elements: 12, multiplied: 4,
	})
	walk(c, "walkAVX512Wide", "for AVX-512 with ports that wide, with two times eight lanes.", k, newScalars(c, 8, 0), k.rounds)
}
