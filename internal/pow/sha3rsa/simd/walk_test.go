package simd

import (
	"flag"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/pow/enginetest"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// cases is how many random cases the tests draw.
var cases = flag.Int("cases", 300, "random cases for each kernel")

// plain is a walker by the rule's own arithmetic, which shares no code with the
// kernels but StepMul and DistanceFromY.
type plain struct {
	ctx   *sha3rsa.JobContext
	mask  uint64
	lanes []sha3rsa.Residue
}

func newPlain(ctx *sha3rsa.JobContext, lanes int) *plain {
	return &plain{ctx, ^(^uint64(0) >> min(u512.Bits-ctx.Threshold.BitLen(), 64)), make([]sha3rsa.Residue, lanes)}
}

func (p *plain) set(lane int, y sha3rsa.Residue)  { p.lanes[lane] = y }
func (p *plain) residue(lane int) sha3rsa.Residue { return p.lanes[lane] }

func (p *plain) walk(steps int) (done int, survivors uint64) {
	for done < steps && survivors == 0 {
		for lane := range p.lanes {
			y := &p.lanes[lane]
			if p.ctx.DistanceFromY(y)[u512.Words-1]&p.mask == 0 {
				survivors |= 1 << lane
			}
			p.ctx.StepMul(y)
		}
		done++
	}
	return done, survivors
}

// random returns an integer below a bound: any, or with long runs of ones and
// zeros, where carries run far.
func random(r *rand.Rand, bound *big.Int) *big.Int {
	x := new(big.Int)
	for range u512.Words {
		word := r.Uint64()
		if r.IntN(2) == 0 {
			word = []uint64{0, 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}[r.IntN(5)]
		}
		x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(word))
	}
	return x.Mod(x, bound)
}

// arbitrary returns a job whose m and n no header has: of any length that a
// kernel may be given, and with runs of ones and zeros.
func arbitrary(r *rand.Rand) *sha3rsa.JobContext {
	one := big.NewInt(1)
	for {
		length := uint(512)
		if r.IntN(2) == 0 {
			length -= uint(r.IntN(32)) // beyond 20 the kernels in assembly leave it to the portable one
		}
		n := random(r, new(big.Int).Lsh(one, length))
		n.SetBit(n.SetBit(n, int(length)-1, 1), 0, 1)
		m := random(r, new(big.Int).Lsh(one, uint(1+r.IntN(256))))
		if m.Sign() == 0 || new(big.Int).GCD(nil, nil, m, n).Cmp(one) != 0 {
			continue
		}
		ref := &sha3rsa.Reference{M: m, N: n}
		for i := range ref.Target {
			ref.Target[i] = r.Uint64()
		}
		return ref.JobContext(u512.Max().Rsh(uint(r.IntN(10))))
	}
}

// start draws a residue to start from: any, or one whose product with m is so
// close to a multiple of n that the quotient's estimate may be wrong, which no
// random one is.
func start(t testing.TB, r *rand.Rand, ctx *sha3rsa.JobContext) sha3rsa.Residue {
	y := random(r, ctx.N)
	if r.IntN(2) == 0 {
		y.SetInt64(r.Int64N(5)) // the result: 0 … 4, or n−1 … n−4
		if r.IntN(2) == 0 {
			y.Sub(ctx.N, y)
		}
		y.Mul(y, new(big.Int).ModInverse(ctx.M, ctx.N)).Mod(y, ctx.N)
	}
	words, ok := u512.FromBig(y)
	if !ok {
		t.Fatalf("%x is too large", y)
	}
	return sha3rsa.Residue(words.Lsh(ctx.Step.Shift))
}

// TestWalk compares the kernels with the plain walker, step by step and in strides.
func TestWalk(t *testing.T) {
	for _, k := range supported() {
		t.Run(k.Name, func(t *testing.T) {
			for seed := range uint64(*cases) {
				sameWalk(t, k, rand.New(rand.NewPCG(seed, 1)))
			}
		})
	}
}

func FuzzWalk(f *testing.F) {
	f.Add(uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64) {
		for _, k := range supported() {
			sameWalk(t, k, rand.New(rand.NewPCG(seed1, seed2)))
		}
	})
}

func sameWalk(t testing.TB, k kernel, r *rand.Rand) {
	ctx := arbitrary(r)
	w := k.NewWalker(ctx)
	if w == nil {
		if ctx.Step.Shift <= 20 {
			t.Fatalf("%s does not take an n of %d bits", k.Name, ctx.N.BitLen())
		}
		return
	}
	want := newPlain(ctx, k.Lanes)
	for lane := range k.Lanes {
		y := start(t, r, ctx)
		w.set(lane, y)
		want.set(lane, y)
	}
	for range 4 {
		steps := 1 + r.IntN(8)
		gotDone, gotSurvivors := w.walk(steps)
		wantDone, wantSurvivors := want.walk(steps)
		if gotDone != wantDone || gotSurvivors != wantSurvivors {
			t.Fatalf("%s: m = %x, n = %x, threshold %s: %d steps, survivors %b, want %d, %b",
				k.Name, ctx.M, ctx.N, ctx.Threshold, gotDone, gotSurvivors, wantDone, wantSurvivors)
		}
		for lane := range k.Lanes {
			if got, want := w.residue(lane), want.residue(lane); got != want {
				t.Fatalf("%s: m = %x, n = %x, lane %d: residue %x, want %x", k.Name, ctx.M, ctx.N, lane, got, want)
			}
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	for _, k := range supported() {
		b.Run(k.Name, func(b *testing.B) {
			ctx := sha3rsa.NewJobContext([32]byte{1}, u512.Uint{})
			w := k.NewWalker(ctx)
			for lane := range k.Lanes {
				w.set(lane, ctx.InitWorkerY0(u512.From64(uint64(1+lane))))
			}
			const steps = 256
			enginetest.BenchmarkWalk(b, func() { w.walk(steps) }, steps*k.Lanes, steps)
		})
	}
}
