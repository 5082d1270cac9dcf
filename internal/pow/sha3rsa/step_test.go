package sha3rsa

import (
	"crypto/sha3"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// shortContext is a context with an m and n of the test's choosing. n is made
// odd and larger than m.
func shortContext(m, n *big.Int) *JobContext {
	n.SetBit(n, 0, 1)
	if n.Cmp(m) <= 0 {
		n.Add(n.Lsh(m, 1), one)
	}
	return (&Reference{M: m, N: n}).JobContext(u512.Max())
}

// checkStep compares one StepMul from y < n with math/big.
func checkStep(t interface{ Fatalf(string, ...any) }, c *JobContext, y *big.Int) {
	got := Residue(mustFit(y).Lsh(c.Step.Shift))
	c.StepMul(&got)
	want := new(big.Int).Mul(y, c.M)
	want.Lsh(want.Mod(want, c.N), c.Step.Shift)
	if u512.Uint(got).Big().Cmp(want) != 0 {
		t.Fatalf("StepMul: m = %x, n = %x, y = %x: got %x, want %x, both times 2^%d",
			c.M, c.N, y, u512.Uint(got).Big(), want, c.Step.Shift)
	}
}

// edgy draws integers of up to bits bits with runs of ones and zeros, where
// carries run far, among them the smallest and the largest.
func edgy(bits int) *rapid.Generator[*big.Int] {
	word := rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}), rapid.Uint64())
	return rapid.Custom(func(t *rapid.T) *big.Int {
		x := new(big.Int)
		for range bits / 64 {
			x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(word.Draw(t, "word")))
		}
		return x.Rsh(x, uint(rapid.IntRange(0, bits-1).Draw(t, "leading zeros")))
	})
}

func TestStepMulAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := shortContext(edgy(256).Draw(t, "m"), edgy(512).Draw(t, "n"))
		y := edgy(512).Draw(t, "y")
		checkStep(t, c, y.Mod(y, c.N))
		checkStep(t, c, new(big.Int).Sub(c.N, one))
	})
}

func FuzzStepMul(f *testing.F) {
	f.Add([]byte{255}, []byte{255, 255}, []byte{1})
	f.Fuzz(func(t *testing.T, mBytes, nBytes, yBytes []byte) {
		integer := func(b []byte, size int) *big.Int { return new(big.Int).SetBytes(b[:min(len(b), size)]) }
		c := shortContext(integer(mBytes, 32), integer(nBytes, 64))
		y := integer(yBytes, 64)
		checkStep(t, c, y.Mod(y, c.N))
	})
}

// TestStepMulCorrection constructs what happens once in 2^59 random steps: products that
// lie just above or below a multiple of n, so that the fraction
// of the estimated quotient is within the slack. Above, the quotient is one
// short and has to be corrected; below, it is right and must be left alone.
func TestStepMulCorrection(t *testing.T) {
	contexts := []*JobContext{
		// The slack is 24/2^64 of N, so every result here lies well inside it.
		shortContext(new(big.Int).Sub(new(big.Int).Lsh(one, 256), big.NewInt(189)), new(big.Int).Sub(new(big.Int).Lsh(one, 512), one)),
		shortContext(big.NewInt(5), new(big.Int).Add(new(big.Int).Lsh(one, 511), big.NewInt(1))),
		shortContext(big.NewInt(65537), new(big.Int).Lsh(one, 300)),
	}
	for i := range 200 {
		contexts = append(contexts, NewJobContext([HeaderSize]byte{byte(i)}, u512.Max()))
	}
	for _, c := range contexts {
		inverse := new(big.Int).ModInverse(c.M, c.N)
		if inverse == nil {
			t.Fatalf("m = %x and n = %x are not coprime", c.M, c.N)
		}
		for k := range int64(5) {
			for _, result := range []*big.Int{big.NewInt(k), new(big.Int).Sub(c.N, big.NewInt(k+1))} {
				y := new(big.Int).Mul(result, inverse)
				checkStep(t, c, y.Mod(y, c.N))
			}
		}
	}
}

// TestIncremental steps through consecutive nonces and compares each with the reference.
func TestIncremental(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var header [HeaderSize]byte
		copy(header[:], rapid.SliceOfN(rapid.Byte(), HeaderSize, HeaderSize).Draw(t, "header"))
		c := NewJobContext(header, u512.Max())
		nonce := mustFit(edgy(512).Draw(t, "nonce"))
		y := c.InitWorkerY0(nonce)
		for range 5 {
			if got, want := c.DistanceFromY(&y), c.Distance(nonce); got != want {
				t.Fatalf("header %x, nonce %s: distance %s, want %s", header, nonce.Hex(), got.Hex(), want.Hex())
			}
			if nonce.Cmp(saturation(c.Reference)) >= 0 {
				return
			}
			c.StepMul(&y)
			nonce = nonce.AddWrap(u512.From64(1))
		}
	})
}

// TestDistanceFromYShortModulus goes through every length of n, those of fewer
// than 449 bits included, which no header in reach has.
func TestDistanceFromYShortModulus(t *testing.T) {
	m := new(big.Int).Lsh(one, 200)
	for length := uint(202); length <= 512; length++ {
		c := shortContext(m, new(big.Int).SetBit(big.NewInt(12345), int(length)-1, 1))
		c.Target = u512.From64(42)
		nonce := u512.From64(3)
		y := c.InitWorkerY0(nonce)
		if got, want := c.DistanceFromY(&y), c.Distance(nonce); got != want {
			t.Fatalf("n of %d bits: distance %s, want %s", length, got.Hex(), want.Hex())
		}
	}
}

// TestSaturation pins the exponent at the end of the nonces: it grows up to
// 2^512−1 at the last nonce that Distinct leaves, and stays there.
func TestSaturation(t *testing.T) {
	for _, header := range [][HeaderSize]byte{{}, {31: 1}, {0: 0x80}, {0: 0xff, 31: 0xfe}} {
		c := NewJobContext(header, u512.Max())
		saturated := saturation(c.Reference)
		before := c.InitWorkerY0(saturated.SubWrap(u512.From64(1)))
		first := c.InitWorkerY0(saturated)
		if before == first {
			t.Errorf("header %x: saturated one nonce early", header)
		}
		c.StepMul(&before)
		if before != first {
			t.Errorf("header %x: StepMul up to the first saturated nonce is wrong", header)
		}
		if last := c.InitWorkerY0(u512.Max()); last != first {
			t.Errorf("header %x: the last nonce's power is not the first saturated one's", header)
		}
	}
}

func TestIsValidDistance(t *testing.T) {
	c := JobContext{Threshold: u512.From64(9)}
	for distance, want := range map[uint64]bool{0: true, 8: true, 9: true, 10: false} {
		if got := c.IsValidDistance(u512.From64(distance)); got != want {
			t.Errorf("distance %d of threshold 9: valid = %t", distance, got)
		}
	}
	if c.IsValidDistance(u512.Max()) {
		t.Error("2^512−1 is within threshold 9")
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	c := NewJobContext([HeaderSize]byte{1}, u512.Uint{})
	y := c.InitWorkerY0(u512.From64(1))
	if n := testing.AllocsPerRun(100, func() {
		c.StepMul(&y)
		c.IsValidDistance(c.DistanceFromY(&y))
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// BenchmarkYardstick is the rate S that everything else is compared with:
// SHA3-512 of 64 bytes.
func BenchmarkYardstick(b *testing.B) {
	var x [u512.Size]byte
	for b.Loop() {
		x = sha3.Sum512(x[:])
	}
}

// BenchmarkNonce is one nonce of cpu-fast.
func BenchmarkNonce(b *testing.B) {
	c := NewJobContext([HeaderSize]byte{1}, u512.Uint{})
	y := c.InitWorkerY0(u512.From64(1))
	for b.Loop() {
		c.IsValidDistance(c.DistanceFromY(&y))
		c.StepMul(&y)
	}
}

func BenchmarkStepMul(b *testing.B) {
	c := NewJobContext([HeaderSize]byte{1}, u512.Uint{})
	y := c.InitWorkerY0(u512.From64(1))
	for b.Loop() {
		c.StepMul(&y)
	}
}

// checkLeap compares one Leap from y < n with math/big.
func checkLeap(t interface{ Fatalf(string, ...any) }, c *JobContext, steps uint64, y *big.Int) {
	got := Residue(mustFit(y).Lsh(c.Step.Shift))
	leap := c.Leap(steps)
	leap.Mul(&got)
	want := new(big.Int).Exp(c.M, new(big.Int).SetUint64(steps), c.N)
	want.Mod(want.Mul(want, y), c.N).Lsh(want, c.Step.Shift)
	if u512.Uint(got).Big().Cmp(want) != 0 {
		t.Fatalf("Leap(%d): m = %x, n = %x, y = %x: got %x, want %x, both times 2^%d",
			steps, c.M, c.N, y, u512.Uint(got).Big(), want, c.Step.Shift)
	}
}

func TestLeapAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := shortContext(edgy(256).Draw(t, "m"), edgy(512).Draw(t, "n"))
		y := edgy(512).Draw(t, "y")
		steps := rapid.Uint64Max(5000).Draw(t, "steps")
		checkLeap(t, c, steps, y.Mod(y, c.N))
		checkLeap(t, c, steps, new(big.Int).Sub(c.N, one))
	})
}

// TestLeapCorrection is TestStepMulCorrection for leaps.
func TestLeapCorrection(t *testing.T) {
	for i := range 50 {
		c := NewJobContext([HeaderSize]byte{byte(i)}, u512.Max())
		for _, steps := range []uint64{1, 16, 1024} {
			power := new(big.Int).Exp(c.M, new(big.Int).SetUint64(steps), c.N)
			inverse := power.ModInverse(power, c.N)
			for k := range int64(5) {
				for _, result := range []*big.Int{big.NewInt(k), new(big.Int).Sub(c.N, big.NewInt(k+1))} {
					y := new(big.Int).Mul(result, inverse)
					checkLeap(t, c, steps, y.Mod(y, c.N))
				}
			}
		}
	}
}

func BenchmarkLeap(b *testing.B) {
	c := NewJobContext([HeaderSize]byte{1}, u512.Max())
	leap := c.Leap(1024)
	y := c.InitWorkerY0(u512.From64(1))
	b.ReportAllocs()
	for b.Loop() {
		leap.Mul(&y)
	}
}
