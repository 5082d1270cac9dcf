package sha3rsa

import (
	"crypto/sha256"
	"crypto/sha3"
	"math/big"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// HeaderSize is the length in bytes of a mining hash, the header that a job is for.
const HeaderSize = 32

// witnesses is the number of Miller–Rabin bases that the rule prescribes.
const witnesses = 32

var (
	one   = big.NewInt(1)
	two   = big.NewInt(2)
	three = big.NewInt(3)
	four  = big.NewInt(4)
)

// Reference is the rule for one header, computed just as it is written: an
// exponentiation for every nonce. Its methods may be called concurrently.
type Reference struct {
	// Header is h, the mining hash.
	Header [HeaderSize]byte
	// M is the base m = SHA-256(h), below 2^256.
	M *big.Int
	// N is the modulus n: odd, composite, coprime to m, and m < n < 2^512.
	N *big.Int
	// Target is T, the hashed power of nonce 0.
	Target u512.Uint
}

// NewReference derives (m, n, T) from a header. Nearly all of its time goes
// into two exponentiations: the one that shows n to be composite, and T's.
func NewReference(header [HeaderSize]byte) *Reference {
	m := sha256.Sum256(header[:])
	r := &Reference{Header: header, M: new(big.Int).SetBytes(m[:])}
	r.N = modulus(header, r.M)
	r.Target = hash(r.Y(u512.Uint{}))
	return r
}

// Y returns y(s) = m^e(s) mod n with e(s) = min(int(h) + s, 2^512−1).
func (r *Reference) Y(nonce u512.Uint) u512.Uint {
	e := fromHeader(r.Header).AddSat(nonce)
	return mustFit(new(big.Int).Exp(r.M, e.Big(), r.N))
}

// Distance returns T xor H(y(s)).
func (r *Reference) Distance(nonce u512.Uint) u512.Uint {
	return r.Target.Xor(hash(r.Y(nonce)))
}

// Verify returns a nonce's distance and whether the nonce is valid: not 0, and
// its distance at most the threshold. Nonce 0 has distance 0 by construction,
// and the node refuses it as cheating.
func (r *Reference) Verify(nonce, threshold u512.Uint) (distance u512.Uint, ok bool) {
	distance = r.Distance(nonce)
	return distance, !nonce.IsZero() && distance.Cmp(threshold) <= 0
}

// Distinct narrows the range [start, end] to the nonces that have to be looked
// at, first to last; there are none if first > last.
//
// At the front, nonce 0 is left out, as it is never valid. So there are less than
// 2^512 of them. At the end, those are left out that share the distance of last:
// from nonce 2^512−1−int(h) on the exponent stays at 2^512−1, so if last is not
// valid, none of those up to end is.
func (r *Reference) Distinct(start, end u512.Uint) (first, last u512.Uint) {
	if start.IsZero() {
		start = u512.From64(1)
	}
	saturated := u512.Max().SubWrap(fromHeader(r.Header))
	switch {
	case end.Cmp(saturated) <= 0 || end.Cmp(start) <= 0:
		return start, end
	case start.Cmp(saturated) >= 0:
		return start, start
	default:
		return start, saturated
	}
}

// hash is H: SHA3-512 over the 64 big-endian bytes of x, read as an integer.
func hash(x u512.Uint) u512.Uint {
	b := x.Bytes()
	return u512.FromBytes(sha3.Sum512(b[:]))
}

// modulus derives n. Each candidate is the hash of the one before; 2.6 are tried
// on average.
func modulus(header [HeaderSize]byte, m *big.Int) *big.Int {
	for candidate := firstCandidate(header); ; candidate = hash(candidate) {
		n := candidate.Big()
		// The cheap conditions go first; their order does not change which n passes.
		if n.Bit(0) == 1 && n.Cmp(m) > 0 && new(big.Int).GCD(nil, nil, m, n).Cmp(one) == 0 && !isPrime(n) {
			return n
		}
	}
}

// firstCandidate is SHA3-512 of the 32 header bytes.
func firstCandidate(header [HeaderSize]byte) u512.Uint {
	return u512.FromBytes(sha3.Sum512(header[:]))
}

// isPrime is the rule's Miller–Rabin test. The bases are part of consensus, so
// a composite that fools all 32 of them counts as prime for everybody. A base
// is derived only when the ones before it have not decided: for a composite n
// the first nearly always does.
func isPrime(n *big.Int) bool {
	switch {
	case n.Cmp(one) <= 0:
		return false
	case n.Cmp(three) <= 0:
		return true
	case n.Bit(0) == 0:
		return false
	}
	for i := range uint64(witnesses) {
		if isWitness(millerRabinBase(n, i), n) {
			return false
		}
	}
	return true
}

// millerRabinBase returns base i for n > 4:
// (SHA3-512(be64(n) ‖ be64(i)) mod (n − 4)) + 2, so 2 ≤ base ≤ n − 3.
func millerRabinBase(n *big.Int, i uint64) *big.Int {
	nBytes, iBytes := mustFit(n).Bytes(), u512.From64(i).Bytes()
	sum := sha3.Sum512(append(nBytes[:], iBytes[:]...))
	base := new(big.Int).SetBytes(sum[:])
	base.Mod(base, new(big.Int).Sub(n, four))
	return base.Add(base, two)
}

// isWitness reports whether base a proves the odd n > 4 composite. With
// n − 1 = d·2^k and d odd, it does unless a^d = 1 or a^(d·2^j) = −1 (mod n) for
// some j < k. (Rabin, “Probabilistic algorithm for testing primality”, 1980.)
func isWitness(a, n *big.Int) bool {
	minusOne := new(big.Int).Sub(n, one)
	k := minusOne.TrailingZeroBits()
	d := new(big.Int).Rsh(minusOne, k)

	x := new(big.Int).Exp(a, d, n)
	if x.Cmp(one) == 0 {
		return false
	}
	for range k {
		if x.Cmp(minusOne) == 0 {
			return false
		}
		x.Mod(x.Mul(x, x), n)
	}
	return true
}

// fromHeader returns int(h).
func fromHeader(header [HeaderSize]byte) u512.Uint {
	var b [u512.Size]byte
	copy(b[u512.Size-HeaderSize:], header[:])
	return u512.FromBytes(b)
}

// mustFit converts a value that is below some n < 2^512 by construction.
func mustFit(b *big.Int) u512.Uint {
	x, ok := u512.FromBig(b)
	if !ok {
		panic("sha3rsa: a residue outgrew 512 bits")
	}
	return x
}
