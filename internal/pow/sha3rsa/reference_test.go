package sha3rsa

import (
	"math/big"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/kat"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestKnownAnswers(t *testing.T) {
	for _, c := range kat.Headers(t) {
		t.Run(c.Name, func(t *testing.T) {
			ctx := NewJobContext(c.Header, u512.Max())
			equal := func(what string, got, want u512.Uint) {
				t.Helper()
				if got != want {
					t.Errorf("%s = %s, want %s", what, got.PaddedHex(), want.PaddedHex())
				}
			}
			equal("m", mustFit(ctx.M), c.M)
			equal("n", mustFit(ctx.N), c.N)
			equal("target", ctx.Target, c.Target)

			candidate := firstCandidate(ctx.Header)
			for range c.Rehashes {
				candidate = hash(candidate)
			}
			equal("the last candidate for n", candidate, c.N)

			for _, n := range c.Nonces {
				equal(n.Label+": y", ctx.Y(n.Nonce), n.Y)
				equal(n.Label+": distance", ctx.Distance(n.Nonce), n.Distance)

				y := ctx.InitWorkerY0(n.Nonce)
				equal(n.Label+": InitWorkerY0", u512.Uint(y).Rsh(ctx.Step.Shift), n.Y)
				equal(n.Label+": DistanceFromY", ctx.DistanceFromY(&y), n.Distance)

				if n.Nonce.Cmp(saturation(ctx.Reference)) <= 0 {
					y = ctx.InitWorkerY0(n.Nonce.SubWrap(u512.From64(1)))
					ctx.StepMul(&y)
					equal(n.Label+": StepMul", u512.Uint(y).Rsh(ctx.Step.Shift), n.Y)
				}
			}
		})
	}
}

func TestVerify(t *testing.T) {
	ref := NewReference([HeaderSize]byte{1})
	nonce := u512.From64(7)
	distance := ref.Distance(nonce)
	below := distance.SubWrap(u512.From64(1))
	for _, c := range []struct {
		name             string
		nonce, threshold u512.Uint
		want             bool
	}{
		{"distance = threshold", nonce, distance, true},
		{"distance > threshold by one", nonce, below, false},
		{"any distance", nonce, u512.Max(), true},
		{"nonce 0, whose distance is 0", u512.Uint{}, u512.Max(), false},
	} {
		if _, got := ref.Verify(c.nonce, c.threshold); got != c.want {
			t.Errorf("%s: valid = %t, want %t", c.name, got, c.want)
		}
	}
	if got := ref.Distance(u512.Uint{}); !got.IsZero() {
		t.Errorf("distance of nonce 0 = %s, want 0", got.Hex())
	}
}

// saturation returns the first nonce whose exponent is 2^512−1.
func saturation(r *Reference) u512.Uint {
	_, last := r.Distinct(u512.Uint{}, u512.Max())
	return last
}

func TestDistinct(t *testing.T) {
	ref := &Reference{Header: [HeaderSize]byte{31: 100}} // saturates at 2^512−1−100
	number, zero := u512.From64, u512.Uint{}
	fromEnd := func(n uint64) u512.Uint { return u512.Max().SubWrap(number(n)) }
	for _, c := range []struct {
		name                    string
		start, end, first, last u512.Uint
	}{
		{"far below", number(1), number(9), number(1), number(9)},
		{"from nonce 0", zero, number(9), number(1), number(9)},
		{"nonce 0 alone: none", zero, zero, number(1), zero},
		{"none", number(9), number(8), number(9), number(8)},
		{"none, saturated", fromEnd(5), fromEnd(6), fromEnd(5), fromEnd(6)},
		{"up to the first saturated", fromEnd(103), fromEnd(100), fromEnd(103), fromEnd(100)},
		{"across it", fromEnd(103), fromEnd(99), fromEnd(103), fromEnd(100)},
		{"from it", fromEnd(100), fromEnd(50), fromEnd(100), fromEnd(100)},
		{"above it", fromEnd(60), fromEnd(50), fromEnd(60), fromEnd(60)},
		{"the last nonce", fromEnd(0), fromEnd(0), fromEnd(0), fromEnd(0)},
		{"all nonces", zero, fromEnd(0), number(1), fromEnd(100)},
	} {
		if first, last := ref.Distinct(c.start, c.end); first != c.first || last != c.last {
			t.Errorf("%s: %s to %s, want %s to %s", c.name, first.Hex(), last.Hex(), c.first.Hex(), c.last.Hex())
		}
	}
	unsaturated := &Reference{} // int(h) = 0
	if _, last := unsaturated.Distinct(fromEnd(5), fromEnd(0)); last != u512.Max() {
		t.Errorf("header 0: %s, want the last nonce", last.Hex())
	}
}

func TestIsPrime(t *testing.T) {
	for n := range int64(3000) {
		if got, want := isPrime(big.NewInt(n)), big.NewInt(n).ProbablyPrime(0); got != want {
			t.Errorf("isPrime(%d) = %t", n, got)
		}
	}
	p521 := new(big.Int).Sub(new(big.Int).Lsh(one, 521), one) // wider than any n
	p127 := new(big.Int).Sub(new(big.Int).Lsh(one, 127), one)
	p107 := new(big.Int).Sub(new(big.Int).Lsh(one, 107), one)
	for _, c := range []struct {
		name string
		n    *big.Int
		want bool
	}{
		{"2^127−1", p127, true},
		{"(2^127−1)(2^107−1)", new(big.Int).Mul(p127, p107), false},
		{"(2^127−1)²", new(big.Int).Mul(p127, p127), false},
		{"Carmichael 561", big.NewInt(561), false},
		{"Carmichael 825265", big.NewInt(825265), false},
		{"strong pseudoprime to bases 2 to 17", big.NewInt(341550071728321), false},
		{"−7", big.NewInt(-7), false},
	} {
		if got := isPrime(c.n); got != c.want {
			t.Errorf("isPrime(%s) = %t, want %t", c.name, got, c.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("isPrime accepted a number of more than 512 bits")
		}
	}()
	isPrime(p521)
}

// TestMillerRabinBases pins the bases, which are part of consensus. No known
// answer would notice another: for a composite n nearly every base decides.
// The values are for n = 2^512−569, from another implementation of SHA3.
func TestMillerRabinBases(t *testing.T) {
	n := new(big.Int).Sub(new(big.Int).Lsh(one, 512), big.NewInt(569))
	for i, want := range map[uint64]string{
		0:  "32c3267369cca8a47e702db137ec4ba4087fafdd7a931ef0296b2db46f6395a919062313aa6d0ed1fa42a4ead9311696dfea5bddd57000def175671ec7ad6",
		1:  "f9580f3e72c0460a150ba86aeaa336ec2eb5d365741a2b50dd0a08fab8e5e902d2c1011b97570122f5d011c1b508fca8adf6aeae33809ad07d0a57201f012a5e",
		31: "d2a29b6b67a621d1257e21ba1ee1f0fe282f441a94221f19d5cdb2589e5c907252a9c4c59e906438e4831eb6f156355b1c7259b559f4b29f9b549d3e1695b48a",
	} {
		if got := millerRabinBase(n, i).Text(16); got != want {
			t.Errorf("base %d = %s, want %s", i, got, want)
		}
	}
	// 5 is the smallest n that is ever tested: the only base is 2 = n − 3.
	if got := millerRabinBase(big.NewInt(5), 0); got.Cmp(two) != 0 {
		t.Errorf("base 0 for 5 = %s, want 2", got)
	}
	if witnesses != 32 {
		t.Errorf("%d bases, want 32", witnesses)
	}
}

// BenchmarkNewReference is what a new header costs before its first nonce.
func BenchmarkNewReference(b *testing.B) {
	b.ReportAllocs()
	var header [HeaderSize]byte
	for b.Loop() {
		NewReference(header)
		header[0]++
	}
}

// BenchmarkReferenceDistance is a nonce of cpu-baseline.
func BenchmarkReferenceDistance(b *testing.B) {
	ref := NewReference([HeaderSize]byte{1})
	nonce := u512.Max().Rsh(1)
	for b.Loop() {
		ref.Distance(nonce)
	}
}
