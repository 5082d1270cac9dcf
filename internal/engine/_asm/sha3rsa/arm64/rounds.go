package main

import (
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/sha3rsa/keccak"
)

// register is the number of a vector register.
type register int

// The registers that hold no lanes between rounds. When D is made, C[0] and C[4]
// are not needed any more.
const (
	parity0 register = 25 // C[x] is in V(25+x)
	spareA           = parity0
	spareB           = parity0 + 4
)

// spare says whether a register is free between D and the next round's parities.
func (r register) spare() bool { return r == spareA || r == spareB }

// dRegisters is where D[x] goes: the first two into registers of their own, the
// others over C[x−1], which has been read for the last time.
var dRegisters = [5]register{30, 31, 26, 27, 28}

// placement says which register holds which lane of the state.
type placement [25]register

// placements returns where the lanes are before the first and before the second
// round of the loop.
func placements() (home, away placement) {
	for i := range home {
		home[i] = register(i)
	}
	for i := range away {
		x, y := i%5, i/5
		// Of the sources of row y, the one for column r is in the home of row r.
		away[i] = home[keccak.Source((2*x+3*y)%5, y)]
	}
	return home, away
}

// kernel writes a function that hashes two messages.
func (a *assembler) kernel(name string) {
	home, away := placements()
	a.print("\n// func %s(messages *[8][2]uint64) (lane0 [2]uint64)\n", name)
	a.print("TEXT ·%s(SB), NOSPLIT|NOFRAME, $0-24\n", name)
	a.op("MOVD", "messages+0(FP)", "R0")
	a.op("MOVD", "$·roundConstants(SB)", "R1")
	for i := 0; i < keccak.MessageLanes; i += 2 {
		a.op("FLDPQ", fmt.Sprintf("%d(R0)", 16*i), fmt.Sprintf("(F%d, F%d)", away[i], away[i+1]))
		a.set(away[i], lane("a", i))
		a.set(away[i+1], lane("a", i+1))
	}
	a.op("MOVD", fmt.Sprintf("$%#x", uint64(keccak.Padding)), "R2")
	a.op("VDUP", "R2", away[keccak.MessageLanes].lanes())
	a.set(away[keccak.MessageLanes], lane("a", keccak.MessageLanes))
	a.firstRound(away, home)
	a.op("MOVD", fmt.Sprintf("$%d", (keccak.Rounds-2)/2), "R2")
	a.print("\nloop:")
	a.round(home, away)
	a.round(away, home)
	a.op("SUB", "$1", "R2")
	a.op("CBNZ", "R2", "loop")
	a.lastRound(home)
	a.op("MOVD", "$lane0+8(FP)", "R0")
	a.op("VST1", "["+home[0].lanes()+"]", "(R0)")
	a.op("RET")
}

// firstRound writes the round of a state whose lanes behind the padding are 0.
func (a *assembler) firstRound(from, to placement) {
	a.comment("First round: the lanes from 9 on are 0. Parities.")
	var c [5]register
	for x := range 4 {
		c[x] = parity0 + register(x)
		a.eor(c[x], from[x], from[x+5])
		a.set(c[x], lane("c", x))
	}
	c[4] = from[4] // alone in its column, so its own parity
	a.set(c[4], lane("c", 4))
	d := a.effect(c, 5)
	a.set(c[4], lane("a", 4))

	// A lane that is 0 takes a rotation of D, for which XAR wants a register that is
	// 0. Those that the last row begins with will do, as all rows can read them.
	var zero register
	for x := range 5 {
		if i := keccak.Source(x, 4); i > keccak.MessageLanes {
			zero = from[i]
			a.eor(zero, zero, zero)
			a.set(zero, lane("a", i))
		}
	}
	a.rows(from, to, d, &zero)
}

// round writes any round but the first and the last.
func (a *assembler) round(from, to placement) {
	a.comment("Parities of the columns.")
	a.rows(from, to, a.effect(a.parities(from), 5), nil)
}

// lastRound writes as much of the last round as lane 0 needs. The round constant
// goes into b[0], which nothing but lane 0 reads here.
func (a *assembler) lastRound(at placement) {
	a.comment("Last round: all parities, but only the three lanes that make lane 0.")
	d := a.effect(a.parities(at), 3)
	a.op("VLD1R", "(R1)", "["+spareA.lanes()+"]")
	a.comment("Lane 0.")
	b := [3]register{at[0], at[6], at[12]}
	a.eor3(b[0], at[0], d[0], spareA)
	a.xar(b[1], at[6], d[1], rotations[6])
	a.xar(b[2], at[12], d[2], rotations[12])
	a.bcax(at[0], b[0], b[2], b[1])
}

// parities writes C[x], the parity of column x. The rows that were made last are
// added last.
func (a *assembler) parities(at placement) (c [5]register) {
	for x := range 5 {
		for y := range 5 {
			a.want(at[x+5*y], lane("a", x+5*y))
		}
		c[x] = parity0 + register(x)
		a.eor3(c[x], at[x], at[x+5], at[x+10])
		a.eor3(c[x], c[x], at[x+15], at[x+20])
		a.set(c[x], lane("c", x))
	}
	return c
}

// effect writes the first n of D[x], what θ adds to the lanes of column x: the
// parity of the column before and the rotated one of the column behind.
func (a *assembler) effect(c [5]register, n int) [5]register {
	for x := range n {
		before, behind := (x+4)%5, (x+1)%5
		a.want(c[before], lane("c", before))
		a.want(c[behind], lane("c", behind))
		a.rax1(dRegisters[x], c[before], c[behind])
		a.set(dRegisters[x], lane("d", x))
	}
	return dRegisters
}

// rows writes the rest of θ, ρ, π, χ and ι. With zero, the lanes behind the
// padding are in no registers but those of the last row.
func (a *assembler) rows(from, to placement, d [5]register, zero *register) {
	for y := range 5 {
		a.comment(fmt.Sprintf("Row %d.", y))
		var source [5]int
		var at, target [5]register
		for x := range 5 {
			source[x] = keccak.Source(x, y)
			at[x], target[x] = from[source[x]], to[x+5*y]
		}
		moves := order(at, target)
		first, second := moves[0], moves[1]

		b := target
		b[first], b[second] = spareA, spareB
		for _, x := range moves {
			i := source[x]
			a.want(d[i%5], lane("d", i%5))
			if zero != nil && i > keccak.MessageLanes && y < 4 {
				a.xarZero(b[x], *zero, d[i%5], rotations[i])
			} else {
				a.want(at[x], lane("a", i))
				a.xar(b[x], at[x], d[i%5], rotations[i])
			}
			a.set(b[x], lane("b", x))
		}
		for i := range 5 {
			x := (first + i) % 5
			x1, x2 := (x+1)%5, (x+2)%5
			a.want(b[x], lane("b", x))
			a.want(b[x1], lane("b", x1))
			a.want(b[x2], lane("b", x2))
			a.bcax(target[x], b[x], b[x2], b[x1])
			a.set(target[x], lane("e", x+5*y))
		}
		if y == 0 {
			// Early, so that the next parities need not wait for it.
			a.op("VLD1R.P", "8(R1)", "["+spareA.lanes()+"]")
			a.eor(target[0], target[0], spareA)
		}
	}
	for i, r := range to {
		a.want(r, lane("e", i))
		a.set(r, lane("a", i))
	}
}

// order returns the order in which the five lanes of a row can be moved from where
// they are to their targets, with two registers to spare. The first two, which
// are neighbours, go to the spare registers; where they have been is room for the
// others.
func order(at, target [5]register) []int {
	for first := range 5 {
		moves := []int{first, (first + 1) % 5}
		room := map[register]bool{at[moves[0]]: true, at[moves[1]]: true}
		waiting := []int{(first + 2) % 5, (first + 3) % 5, (first + 4) % 5}
		for tries := 0; tries < len(waiting); {
			x := waiting[0]
			waiting = waiting[1:]
			if target[x] == at[x] || room[target[x]] {
				moves, tries = append(moves, x), 0
				delete(room, target[x])
				room[at[x]] = target[x] != at[x]
			} else {
				waiting, tries = append(waiting, x), tries+1
			}
		}
		if len(waiting) == 0 {
			return moves
		}
	}
	panic("a row cannot be made in its place")
}
