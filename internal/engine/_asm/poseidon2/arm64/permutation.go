package main

import "github.com/quantus-network/quantus-miner/internal/pow/poseidon2"

// The registers that keep their meaning between the parts of a step.
const (
	block     register = 0
	constants register = 1 // where they are in the table
	// rounds is how many external rounds are left but the last one, times 2; the last bit says
	// that the second lane's turn is next.
	rounds register = 2
	lane   register = 3 // a lane's part of the block
	// inner is where the constant of an internal round is, less where those of the last one end.
	inner register = 3
)

// Where things are in the Go type block that the kernel works on, in words. TestLayout
// compares the two.
const (
	counterAt   = 12
	targetAt    = 13
	survivorsAt = 14
	roundsAt    = 15 // while there is something else in the register
	lanesAt     = 16
	// And in a lane's part of it, behind its state.
	laneSize   = 16
	firstAt    = 12
	survivesAt = 13
)

const lanes = 2

// external are registers for external rounds, which need no block, internal are those for internal
// ones, where some keep their values from round to round, see pending, others those for what there is
// besides.
func external() []register { return registers(0, 0, 4, 17, 19, 26) }
func internal() []register { return registers(2, 2, 4, 17, 25, 26) }
func others() []register   { return registers(4, 17, 19, 26) }

// registers returns those from one to another, for each pair of numbers.
func registers(ends ...register) (pool []register) {
	for i := 0; i < len(ends); i += 2 {
		for r := ends[i]; r <= ends[i+1]; r++ {
			pool = append(pool, r)
		}
	}
	return pool
}

// absorb begins the states: base + column · element 7 of the third block.
func absorb() *code {
	c := newCode()
	column := poseidon2.Mix([width]uint64{7: 1})
	counter := c.load(block, counterAt)
	carried := c.op(immediate(epsilon))
	for l := range lanes {
		e := c.op("REVW %v, %v", counter)
		counter = c.op("ADD $1, %v, %v", counter)
		one := c.op("SUB %v, %v, %v", e, c.op("LSL $32, %v, %v", e))
		oneEpsilon := c.op("ADD %v, %v, %v", carried, one)
		two := c.plus(one, oneEpsilon)
		three := c.plus(two, oneEpsilon)
		four := c.plus(three, oneEpsilon)
		six := c.plus(three, c.op("ADD %v, %v, %v", carried, three))
		times := map[uint64]register{1: one, 2: two, 3: three, 4: four, 6: six}
		for i := 0; i < width; i += 2 {
			x, y := c.load2(block, i)
			c.store2(c.plus(times[column[i]], x), c.plus(times[column[i+1]], y), block, lanesAt+laneSize*l+i)
		}
	}
	c.store(counter, block, counterAt)
	return c
}

// sboxes takes all elements of a lane to the seventh power, three side by side. It returns
// them, those of the first groups in memory as well, and the sums of the groups' places.
func (c *code) sboxes(stored int) (state [width]register, sums [4]wide) {
	for i := 0; i < 4; i += 2 {
		var boxes [2][3]sbox
		for g := range 3 {
			boxes[0][g].x, boxes[1][g].x = c.load2(lane, 4*g+i)
		}
		for k := range boxes {
			var pieces [3]*code
			for g := range pieces {
				pieces[g] = c.beside()
				box := &boxes[k][g]
				box.square(pieces[g])
				box.powers(pieces[g])
				state[4*g+i+k] = pieces[g].reduced(box.seventh(pieces[g]))
			}
			c.weave(pieces[:]...)
			sums[i+k] = c.sum(state[i+k], state[4+i+k], state[8+i+k])
		}
		for g := range stored {
			c.store2(state[4*g+i], state[4*g+i+1], lane, 4*g+i)
		}
	}
	return state, sums
}

// sum returns x + y + z.
func (c *code) sum(x, y, z register) wide {
	return c.add(c.add(wide{x, zero}, wide{y, zero}), wide{z, zero})
}

// m4 multiplies a group by the matrix of the external layer. It gives an element of the
// result as soon as that is made.
func (c *code) m4(x [4]wide, result func(i int, x wide)) {
	ab, cd := c.add(x[0], x[1]), c.add(x[2], x[3])
	all := c.add(ab, cd)
	allB, allD := c.add(all, x[1]), c.add(all, x[3])
	result(0, c.add(allB, ab))
	result(1, c.twice(allB, x[2]))
	result(2, c.add(allD, cd))
	result(3, c.twice(allD, x[0]))
}

// ends returns what m4 gives its results to: they are reduced, with constants, and stored.
func (c *code) ends(group int) func(i int, x wide) {
	var before, next register
	return func(i int, x wide) {
		if i%2 == 0 {
			var e register
			e, next = c.load2(constants, 4*group+i)
			before = c.folded(x, e)
			return
		}
		c.store2(before, c.folded(x, next), lane, 4*group+i-1)
	}
}

// group returns the elements of a group, each with the sum of its place.
func (c *code) group(g int, sums [4]wide) (x [4]wide) {
	for i := 0; i < 4; i += 2 {
		a, b := c.load2(lane, 4*g+i)
		x[i], x[i+1] = c.add(sums[i], wide{a, zero}), c.add(sums[i+1], wide{b, zero})
	}
	return x
}

// externalRound is an external round of one lane, without its constants, which have been added
// before, and with those of the next one.
//
// The products by m4 that are added up in a place make the product of their groups' sum, so that
// sum is added to each group before it is multiplied.
func externalRound() *code {
	c := newCode()
	_, sums := c.sboxes(3)
	for g := range 3 {
		c.m4(c.group(g, sums), c.ends(g))
	}
	return c
}

// between is the last external round of the first permutation with the layer that the second
// one begins with. The layers are one: the matrix by which each group is multiplied is the square
// of m4, and the sum is added 5 times, as it has been added to each of the three groups when it is
// made again.
func between() *code {
	c := newCode()
	_, sums := c.sboxes(3)
	for i := range sums {
		sums[i] = c.fiveTimes(sums[i])
	}
	for g := range 3 {
		var x [4]wide
		c.m4(c.group(g, sums), func(i int, y wide) { x[i] = y })
		c.m4(x, c.ends(g))
	}
	return c
}

// end is the last external round, for element 0 alone, and what becomes of it: the top
// 64 bits of the hash, and whether they are not above the target's.
func end() *code {
	c := newCode()
	state, sums := c.sboxes(0)
	var x [4]wide
	for i := range x {
		x[i] = c.add(sums[i], wide{state[i], zero})
	}
	ab := c.add(x[0], x[1])
	sum := c.add(c.add(c.add(c.add(x[2], x[3]), x[1]), ab), ab)
	first := c.reduced(wide{c.folded(sum, c.op(immediate(ending(0, mostOfLayer)))), zero})
	first = c.op("REV %v, %v", first)
	c.store(first, lane, firstAt)
	c.do("CMP %v, %v", c.load(block, targetAt), first)
	c.store(c.op("CSETW LS, %v"), lane, survivesAt)
	return c
}

// pending is what an internal round leaves in registers, of one lane: element 0, and the sum of
// all, as products are, that is times 2^64. The next round adds it to the others' products.
type pending struct {
	x   register
	sum wide
}

func pendingOf(l int) pending {
	first := register(19 + 3*l)
	return pending{first, wide{first + 1, first + 2}}
}

// at is where an element of a lane is in the block.
func at(l, i int) int { return lanesAt + laneSize*l + i }

// factor returns an element of the diagonal, from behind the internal rounds' constants.
func (c *code) factor(i int) register         { return c.load(constants, diagonalAt-rowsAfter+i) }
func (c *code) factors(i int) (x, y register) { return c.load2(constants, diagonalAt-rowsAfter+i) }

// internalFirst begins the internal rounds: the S-boxes of element 0, the sums of all, and the
// next elements 0. The products of the others are taken during the next round's S-boxes, as they
// would have to wait for the sums.
func internalFirst() *code {
	c := newCode()
	var boxes [lanes]sbox
	var rest [lanes]wide
	c.both(func(c *code, l int) {
		rest[l] = wide{c.load(block, at(l, 1)), zero}
		for i := 2; i < width; i += 2 {
			x, y := c.load2(block, at(l, i))
			rest[l] = c.add(c.add(rest[l], wide{x, zero}), wide{y, zero})
		}
	})
	c.both(func(c *code, l int) {
		boxes[l].x = c.load(block, at(l, 0))
		boxes[l].square(c)
		boxes[l].powers(c)
	})
	c.joinBoth(boxes, rest)
	return c
}

// both weaves the same piece of both lanes.
func (c *code) both(piece func(c *code, l int)) {
	var pieces [lanes]*code
	for l := range pieces {
		pieces[l] = c.beside()
		piece(pieces[l], l)
	}
	c.weave(pieces[:]...)
}

// internalRound is a round but the first: the S-boxes, and meanwhile the elements that have been
// left by the round before.
func internalRound() *code {
	c := newCode()
	var boxes [lanes]sbox
	var rest [lanes]wide
	pair := func(i int) {
		d, e := c.factors(i)
		c.both(func(c *code, l int) {
			x, y := c.update(l, i, d, e)
			rest[l] = c.add(c.add(rest[l], wide{x, zero}), wide{y, zero})
		})
	}

	d := c.factor(1)
	c.both(func(c *code, l int) {
		boxes[l].x = pendingOf(l).x
		boxes[l].square(c)
		x := c.updated(l, c.load(block, at(l, 1)), d)
		c.store(x, block, at(l, 1))
		rest[l] = wide{x, zero}
	})
	pair(2)
	c.both(func(c *code, l int) { boxes[l].powers(c) })
	pair(4)
	pair(6)
	pair(8)
	pair(10)
	c.joinBoth(boxes, rest)
	return c
}

// internalLast updates what the last round has left.
func internalLast() *code {
	c := newCode()
	d := c.factor(1)
	c.both(func(c *code, l int) {
		c.store2(pendingOf(l).x, c.updated(l, c.load(block, at(l, 1)), d), block, at(l, 0))
	})
	for i := 2; i < width; i += 2 {
		d, e := c.factors(i)
		c.both(func(c *code, l int) { c.update(l, i, d, e) })
	}
	return c
}

// update has two elements be their products by the diagonal and the sum of all.
func (c *code) update(l, i int, d, e register) (x, y register) {
	x, y = c.load2(block, at(l, i))
	x, y = c.updated(l, x, d), c.updated(l, y, e)
	c.store2(x, y, block, at(l, i))
	return x, y
}

func (c *code) updated(l int, x, factor register) register {
	return c.reduced(c.add(c.product(x, factor), pendingOf(l).sum))
}

// joinBoth ends a round, given the sums of all elements but the first: with that one they are
// below 12 times 2^64. The round's constant is added to the S-boxes.
func (c *code) joinBoth(boxes [lanes]sbox, rest [lanes]wide) {
	var y [lanes]register
	constant := c.op("MOVD (%v)(%v), %v", constants, inner)
	c.both(func(c *code, l int) {
		y[l] = c.reduced(c.add(boxes[l].seventh(c), wide{constant, zero}))
	})
	factor := c.factor(0)
	c.both(func(c *code, l int) {
		p := pendingOf(l)
		c.timesEpsilon(c.add(rest[l], wide{y[l], zero}), p.sum)
		c.reducedInto(p.x, c.add(c.product(y[l], factor), p.sum))
	})
}

// firstInner is the value of inner in the first internal round.
const firstInner = -8 * poseidon2.InternalRounds
