package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/sha3rsa/keccak"
)

var rotations = keccak.Rotations()

// assembler writes instructions in the syntax of Go's assembler, which has the
// operands in the reverse of the manual's order. Its own methods have the
// destination first.
type assembler struct {
	text bytes.Buffer
	// mixed spreads the work over all vector units, see the package comment.
	mixed bool
	// holds is what each register holds. The generator panics instead of writing
	// an instruction that would read something else.
	holds [32]string
}

func (r register) bits() string  { return fmt.Sprintf("V%d.B16", r) }
func (r register) lanes() string { return fmt.Sprintf("V%d.D2", r) }

// lane names a value: a is the state before a round, e after it, b is θ, ρ and π
// of a, and c and d are θ's C and D.
func lane(kind string, i int) string { return fmt.Sprintf("%s[%d]", kind, i) }

func (a *assembler) set(r register, value string) { a.holds[r] = value }

func (a *assembler) want(r register, value string) {
	if a.holds[r] != value {
		panic(fmt.Sprintf("V%d holds %s instead of %s", r, a.holds[r], value))
	}
}

func (a *assembler) print(format string, args ...any) { fmt.Fprintf(&a.text, format, args...) }

func (a *assembler) comment(text string) { a.print("\n\t// %s\n", text) }

func (a *assembler) op(name string, operands ...string) {
	a.print("\t%s\n", strings.TrimSpace(name+" "+strings.Join(operands, ", ")))
}

// eor writes dst = x xor y.
func (a *assembler) eor(dst, x, y register) {
	a.op("VEOR", y.bits(), x.bits(), dst.bits())
}

// eor3 writes dst = x xor y xor z, for another dst than z.
func (a *assembler) eor3(dst, x, y, z register) {
	if a.mixed {
		a.eor(dst, x, y)
		a.eor(dst, dst, z)
		return
	}
	a.op("VEOR3", z.bits(), y.bits(), x.bits(), dst.bits())
}

// rax1 writes dst = x xor y, with y rotated to the left by 1.
func (a *assembler) rax1(dst, x, y register) {
	a.op("VRAX1", y.lanes(), x.lanes(), dst.lanes())
}

// xar writes dst = x xor y, rotated to the left. x is lost.
func (a *assembler) xar(dst, x, y register, left int) {
	switch {
	case left == 0:
		a.eor(dst, x, y)
	case a.mixed && dst.spare():
		a.eor(x, x, y)
		a.rotate(dst, x, left)
	default:
		// The instruction rotates to the right.
		a.op("VXAR", fmt.Sprintf("$%d", 64-left), y.lanes(), x.lanes(), dst.lanes())
	}
}

// xarZero writes what xar does for an x that is 0, and stays 0.
func (a *assembler) xarZero(dst, zero, y register, left int) {
	if a.mixed && dst.spare() {
		a.rotate(dst, y, left)
		return
	}
	a.op("VXAR", fmt.Sprintf("$%d", 64-left), y.lanes(), zero.lanes(), dst.lanes())
}

// rotate writes dst = x, rotated to the left, for another dst than x.
func (a *assembler) rotate(dst, x register, left int) {
	a.op("VSHL", fmt.Sprintf("$%d", left), x.lanes(), dst.lanes())
	a.op("VSRI", fmt.Sprintf("$%d", 64-left), x.lanes(), dst.lanes())
}

// bcax writes dst = x xor (y and not z).
func (a *assembler) bcax(dst, x, y, z register) {
	if a.mixed && dst != x {
		// Where z has ones, x stays as it is.
		a.eor(dst, x, y)
		a.op("VBIT", z.bits(), x.bits(), dst.bits())
		return
	}
	a.op("VBCAX", z.bits(), y.bits(), x.bits(), dst.bits())
}
