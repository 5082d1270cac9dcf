package kernel

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2/steer"
)

// finds reports whether the kernel in PTX finds a job's nonce within a limit.
func finds(p *program, j steer.Job, limit uint64) (bool, error) {
	const results = 8 * poseidon2.Width
	global := make([]byte, results+8)
	for i, x := range (*poseidon2.Midstate)(&j.Midstate).FirstLayer(j.Low) {
		binary.LittleEndian.PutUint64(global[8*i:], x)
	}
	param := map[string]uint64{}
	for i, x := range []uint64{globalBase, uint64(j.First), 1, limit, globalBase + results} {
		param[fmt.Sprintf("%s_param_%d", Entry, i)] = x
	}
	err := p.run(global, param)
	return binary.LittleEndian.Uint32(global[results:]) == 1, err
}

// TestPTXEdges has a machine run the kernel in PTX, on random inputs and on such as lead to edges in
// each round of both permutations. It finds a nonce if its hash is not above the limit, and does
// not if it is: so all 64 bits are right. In each shape of inline PTX each carry must have been
// taken, and not, but for the sign of a product with a constant: see [TestPTXProducts].
func TestPTXEdges(t *testing.T) {
	p, err := parse(PTX())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 2400 {
		s := steer.State(r, i)
		switch {
		case i%8 == 0:
			for i := range s {
				s[i] = r.Uint64() % poseidon2.P
			}
		case i%8 == 1: // where the nonce is added
			s = steer.State(r, 0)
		}
		j := steer.NewJob(r, s)
		for _, below := range []uint64{0, 1} {
			found, err := finds(p, j, j.Hash-below)
			if err != nil {
				t.Fatal(err)
			}
			if found == (below == 1) && j.Hash >= below {
				t.Fatalf("input %d, %+v: found %t within its hash − %d", i, j, found, below)
			}
		}
	}
	type use struct {
		shape string
		at    int
	}
	seen := map[use][2]uint64{}
	for _, b := range p.blocks {
		for i, c := range b.carries {
			if c.text == "subc.u32" && b.wide() == 4 {
				continue
			}
			sum := seen[use{b.shape, i}]
			seen[use{b.shape, i}] = [2]uint64{sum[0] + c.seen[0], sum[1] + c.seen[1]}
		}
	}
	for u, n := range seen {
		if n[0] == 0 || n[1] == 0 {
			t.Errorf("carry %d was 0 %d times and 1 %d times in %s", u.at, n[0], n[1], u.shape)
		}
	}
}

// TestPTXProducts has a machine run each product of the kernel in PTX alone. Of some, no input
// of the kernel is known that has them be negative before they are corrected: here they are, all of
// them, and each carry is taken, and not.
func TestPTXProducts(t *testing.T) {
	p, err := parse(PTX())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	products := 0
	for _, b := range p.blocks {
		if strings.Count(b.shape, "mul.wide")+strings.Count(b.shape, "mad.lo") < 4 {
			continue
		}
		products++
		zeros, err := p.runBlock(b, make([]uint64, len(b.inputs)))
		if err != nil || len(zeros) != 3 || zeros[0] != 0 || zeros[1] != 0 || zeros[2] > 1 {
			t.Fatalf("the product of zeros is %d (%v) by %s", zeros, err, b.shape)
		}
		for range 300 {
			f := drawFactors(r, b)
			out, err := p.runBlock(b, f.inputs)
			if err != nil {
				t.Fatal(err)
			}
			got := new(big.Int).SetUint64(out[1]<<32 | out[0])
			got.Add(got, new(big.Int).Lsh(big.NewInt(int64(int32(out[2]-zeros[2]))), 64))
			if got.Sub(got, f.want).Mod(got, order).Sign() != 0 {
				t.Fatalf("of %x came %x by %s", f.inputs, out, b.shape)
			}
		}
		for i, c := range b.carries {
			if c.seen[0] == 0 || c.seen[1] == 0 {
				t.Errorf("carry %d was 0 %d times and 1 %d times in %s", i, c.seen[0], c.seen[1], b.shape)
			}
		}
	}
	if products == 0 {
		t.Error("no products were found")
	}
}

var order = new(big.Int).SetUint64(poseidon2.P)

// factors are what a product is of.
type factors struct {
	inputs []uint64
	want   *big.Int // modulo P
}

// wide returns how many of the inputs have 64 bits.
func (b *asmBlock) wide() (n int) {
	for _, name := range b.inputs {
		if strings.HasPrefix(name, "%rd") {
			n++
		}
	}
	return n
}

// drawFactors draws factors of a², of a·b, of a·b + c with c in two words, or of a·b + s with s of 96 bits: in that
// order, and then comes 2^32 − 1. Half of the products are x3·2^96 + x2·2^64 + x0.
func drawFactors(r *rand.Rand, b *asmBlock) (f factors) {
	// The limits are those of mulPlus.
	a, factor, more, high := steer.Edge(r), r.Uint64N(1<<64-13<<32), steer.Edge(r)%poseidon2.P, r.Uint64N(12)
	switch r.IntN(4) {
	case 0: // with a remainder
		factor = 1<<63 | r.Uint64N(1<<62)
		top := (1+r.Uint64N(1<<30))<<32 | r.Uint64N(2)*r.Uint64N(1<<32)
		a, more = bits.Div64(top-high, r.Uint64N(top>>32), factor)
	case 1: // without one
		shift := 33 + r.IntN(31)
		a, factor, more, high = (1+r.Uint64N(1<<(64-shift)-1))<<shift|r.Uint64N(2), 1<<(96-shift), 0, 0
	case 2:
		a, more = 1<<64-1-r.Uint64N(3), 1<<64-1<<32-r.Uint64N(3)
	}
	if b.wide() == 1 {
		if r.IntN(2) == 0 {
			a = (1+r.Uint64N(1<<16-1))<<48 | r.Uint64N(2)<<15
		}
		f.inputs, f.want = []uint64{a, 1<<32 - 1}, new(big.Int).SetUint64(a)
		f.want.Mul(f.want, f.want)
		return f
	}
	f.want = new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(factor))
	f.inputs = []uint64{a, factor}
	switch b.wide() {
	case 3:
		f.inputs = append(f.inputs, more, high)
		f.want.Add(f.want, new(big.Int).Lsh(new(big.Int).SetUint64(high), 64))
	case 4:
		f.inputs = append(f.inputs, more&(1<<32-1), more>>32)
	default:
		more = 0
	}
	f.inputs = append(f.inputs, 1<<32-1)
	f.want.Add(f.want, new(big.Int).SetUint64(more))
	return f
}
