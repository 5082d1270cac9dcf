package poseidon2

// Folded are the constants of the permutation, moved to where a kernel can add them to a product
// before it reduces that: behind the S-boxes, and in front of the layers. Only those of the first
// round stay where they are.
type Folded struct {
	// External is added to all elements behind the S-boxes of the external rounds: first of those
	// in front of the internal rounds, then of those behind them. Nothing follows the last one, which
	// has zeros.
	External [2 * ExternalRounds][Width]uint64
	// Internal is added to element 0 behind its S-box.
	Internal [InternalRounds]uint64
}

// NewFolded moves the constants of the network.
//
// A layer is linear. So a constant behind it is the same as another one in front of it, which is
// found by the layer's inverse. In the internal rounds that gives each element a constant, but that of
// element 0 must be what its S-box wants. So the others are moved on to the front, through as many
// rounds as there are: they arrive at the external rounds.
func NewFolded() (f Folded) {
	behind := State(constants.Terminal[0])
	for round := InternalRounds - 1; round >= 0; round-- {
		behind.invertInternalLayer()
		f.Internal[round] = behind[0]
		behind[0] = constants.Internal[round]
	}
	for round := range ExternalRounds - 1 {
		f.External[round] = constants.Initial[round+1]
		f.External[ExternalRounds+round] = constants.Terminal[round+1]
	}
	f.External[ExternalRounds-1] = behind
	for round := range f.External {
		f.External[round] = Unmix(f.External[round])
	}
	return f
}

// invertInternalLayer undoes what an internal round does behind its S-box: from
// w_i = Σx + d_i·x_i follows x_i = (w_i − Σx)/d_i, and from the sum of these
// Σx = (Σ w_i/d_i) / (1 + Σ 1/d_i).
func (s *State) invertInternalLayer() {
	above, below := uint64(0), uint64(1)
	for i, w := range s {
		inverse := invert(constants.Diagonal[i])
		above, below = add(above, mul(w, inverse)), add(below, inverse)
	}
	sum := mul(above, invert(below))
	for i, w := range s {
		s[i] = mul(add(w, P-sum), invert(constants.Diagonal[i]))
	}
}

// Mix returns what the external layer makes of s, canonical.
func Mix(s State) State {
	s.externalLayer()
	return s
}

// Unmix returns what the external layer makes s of.
//
// The layer adds to y, which is m4 times each group of x, the sum of the three elements in a place,
// so its sum over them is 4 times that of y. m4 is circulant, as is its inverse, which
// is 1/35 of the one below.
func Unmix(s State) (x State) {
	inverse := [4]uint64{P - 4, 3, P - 11, 17}
	quarter, scale := invert(4), invert(35)
	for place := range 4 {
		sum := mul(quarter, add(add(s[place], s[4+place]), s[8+place]))
		for group := 0; group < Width; group += 4 {
			s[group+place] = add(s[group+place], P-sum)
		}
	}
	for i := range x {
		group := i - i%4
		for j := range 4 {
			x[i] = add(x[i], mul(inverse[(j-i%4+4)%4], s[group+j]))
		}
		x[i] = mul(x[i], scale)
	}
	return x
}

// invert returns 1/x, which is x^(P−2).
func invert(x uint64) uint64 {
	result := uint64(1)
	for power := uint64(P - 2); power > 0; power >>= 1 {
		if power&1 == 1 {
			result = mul(result, x)
		}
		x = mul(x, x)
	}
	return result
}
