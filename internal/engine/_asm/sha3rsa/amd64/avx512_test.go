package main

import (
	"crypto/sha3"
	"encoding/binary"
	"flag"
	"fmt"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
	"github.com/quantus-network/quantus-miner/internal/engine/_asm/machine"
	"github.com/quantus-network/quantus-miner/internal/engine/_asm/sha3rsa/keccak"
)

var cases = flag.Int("cases", 200, "random cases")

// TestWalkAVX512 compares some steps of the kernel with math/big and crypto/sha3.
func TestWalkAVX512(t *testing.T) {
	file, err := kernel.Compile(omission{}.walkAVX512)
	if err != nil {
		t.Fatal(err)
	}
	function := file.Functions()[0]
	corrected, survived, again := 0, 0, 0
	for seed := range uint64(*cases) {
		r := rand.New(rand.NewPCG(seed, 512))
		w := newWalk(r)
		m := w.machine(file)
		m.Run(function, "")
		w.check(t, fmt.Sprintf("case %d", seed), m)
		corrected += w.corrected
		if w.survivors != 0 {
			survived++
		}
		if w.steps-m.Left() > 1 {
			again++
		}
		if t.Failed() {
			return
		}
	}
	if corrected == 0 || survived == 0 || again == 0 {
		t.Errorf("%d residues were corrected, in %d cases a nonce survived, and %d took more than a step: too few to show anything", corrected, survived, again)
	}
}

// walk is a run of the kernel, and what has to come of it.
type walk struct {
	m, n   *big.Int
	shift  uint
	y      [8]*big.Int
	target uint64
	mask   uint64
	steps  uint64

	survivors uint64
	corrected int
}

// random draws an integer of up to size bits with runs of ones and zeros.
func random(r *rand.Rand, size uint) *big.Int {
	x := new(big.Int)
	for range 8 {
		word := r.Uint64()
		if r.IntN(2) == 0 {
			word = []uint64{0, 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}[r.IntN(5)]
		}
		x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(word))
	}
	return x.Rsh(x, 512-size)
}

func newWalk(r *rand.Rand) *walk {
	w := &walk{shift: uint(r.IntN(21)) * uint(r.IntN(2)), steps: 1 + r.Uint64N(4)}
	one := big.NewInt(1)
	for {
		w.n, w.m = random(r, 512-w.shift), random(r, 256)
		w.n.SetBit(w.n.SetBit(w.n, int(511-w.shift), 1), 0, 1)
		if w.m.Sign() > 0 && new(big.Int).GCD(nil, nil, w.m, w.n).Cmp(one) == 0 {
			break
		}
	}
	inverse := new(big.Int).ModInverse(w.m, w.n)
	multiples := r.IntN(2) == 0 // else most walks would be over after a step
	for i := range w.y {
		w.y[i] = random(r, 512)
		if multiples && r.IntN(2) == 0 { // the product is next to a multiple of n
			w.y[i].Mul(big.NewInt(r.Int64N(9)-4), inverse)
		}
		w.y[i].Mod(w.y[i], w.n)
	}
	w.mask = ^uint64(0)
	w.target = r.Uint64()
	switch r.IntN(3) {
	case 0:
		w.mask = r.Uint64() & r.Uint64() & r.Uint64() & r.Uint64()
	case 1:
		w.target = hash(w.y[r.IntN(8)])
	}
	return w
}

// hash is lane 0 of a residue's SHA3-512.
func hash(y *big.Int) uint64 {
	sum := sha3.Sum512(y.FillBytes(make([]byte, 64)))
	return binary.LittleEndian.Uint64(sum[:])
}

// words returns the words of an integer, least significant first.
func words(x *big.Int, count int) []uint64 {
	b := x.FillBytes(make([]byte, 8*count))
	w := make([]uint64, count)
	for i := range w {
		w[i] = binary.BigEndian.Uint64(b[8*(count-1-i):])
	}
	return w
}

// machine returns a machine that is about to run the kernel.
func (w *walk) machine(file *ir.File) *machine.Machine {
	c := machine.New(file, w.steps)
	scaled := new(big.Int).Lsh(w.n, w.shift)
	reciprocal := new(big.Int).Lsh(w.m, 575)
	c.Store(mu(0), words(reciprocal.Quo(reciprocal, scaled), 5)...)
	c.Store(m(0), words(w.m, 4)...)
	c.Store(negN(0), words(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 512), w.n), 8)...)
	c.Store(shiftLeft(), 1+uint64(w.shift))
	c.Store(shiftRight(), 63-uint64(w.shift))
	c.Store(limit(), -(uint64(12) << (1 + w.shift)))
	rcs := roundConstantsOf()
	c.Store(target(), w.target^rcs[23])
	c.Store(mask(), w.mask)
	for lane, y := range w.y {
		for i, word := range words(y, 8) {
			c.Store(residueOf(lane, i), word)
			c.Store(message(7-i).Offset(8*lane), bits.ReverseBytes64(word))
		}
	}
	c.Table(roundConstants.Symbol.Name, rcs[:]...)
	return c
}

// roundConstantsOf returns ι's constants, by their rule (FIPS 202, 3.2.5): bit
// 2^j − 1 of round i is output 7i+j of a linear feedback shift register.
func roundConstantsOf() (rcs [keccak.Rounds]uint64) {
	state := 1
	for i := range rcs {
		for j := range 7 {
			rcs[i] |= uint64(state&1) << (1<<j - 1)
			state <<= 1
			if state > 0xff {
				state ^= 0x171
			}
		}
	}
	return rcs
}

// residueOf is word i, from the least significant, of a lane's residue.
func residueOf(lane, i int) operand.Mem { return kernel.Word(8*lane + i) }

// check compares what the machine has left with what it should have.
func (w *walk) check(t *testing.T, name string, m *machine.Machine) {
	t.Helper()
	done := w.steps - m.Left()
	flags := m.Load(flagged())
	if done == 0 || done > w.steps {
		t.Fatalf("%s: %d steps of %d", name, done, w.steps)
	}
	for step := range done {
		var want uint64
		for lane, y := range w.y {
			if (hash(y)^w.target)&w.mask == 0 {
				want |= 1 << lane
			}
			w.y[lane] = new(big.Int).Mod(new(big.Int).Mul(y, w.m), w.n)
		}
		switch {
		case step < done-1 && want != 0:
			t.Errorf("%s: step %d went on, though %b survived", name, step, want)
		case step == done-1:
			w.survivors = m.Load(survivors())
			if w.survivors != want {
				t.Errorf("%s: step %d: survivors %b, want %b", name, step, w.survivors, want)
			}
			if step < w.steps-1 && want|flags == 0 {
				t.Errorf("%s: returned after %d steps of %d for nothing", name, done, w.steps)
			}
		}
	}
	for lane, want := range w.y {
		var got, message512 [64]byte
		for i := range 8 {
			binary.BigEndian.PutUint64(got[8*(7-i):], m.Load(residueOf(lane, i)))
			binary.LittleEndian.PutUint64(message512[8*i:], m.Load(message(i).Offset(8*lane)))
		}
		if got != message512 {
			t.Errorf("%s, lane %d: residue %x, message %x", name, lane, got, message512)
		}
		y := new(big.Int).SetBytes(got[:])
		if flags>>lane&1 == 1 { // what package simd does then
			reduced := new(big.Int).Sub(y, w.n)
			if reduced.Sign() < 0 {
				reduced.Add(reduced, new(big.Int).Lsh(big.NewInt(1), 512))
			}
			if reduced.Bit(511) == 0 {
				y = reduced
				w.corrected++
			}
		}
		if y.Cmp(want) != 0 {
			t.Errorf("%s, lane %d: residue %x, want %x", name, lane, y, want)
		}
	}
}
