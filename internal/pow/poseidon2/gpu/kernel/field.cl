// The field of p = 2^64 − 2^32 + 1, with E = 2^64 mod p = 2^32 − 1.
//
// An element is any of its representatives below 2^64: nothing is canonical but the
// constants, and the word that is compared in the end. Sums are kept in 96 bits, and are
// reduced when they are complete. No case is left out because it is rare.

#define E 0xffffffffUL

// A sum: low + 2^64·high. No sum here has a high half above 28.
typedef struct {
	ulong low;
	uint high;
} sum;

FUNCTION sum widen(ulong x)
{
	sum s = {x, 0};
	return s;
}

#ifdef __CUDACC_RTC__

// With carries, which C does not know, in PTX. ptxas makes one instruction of each pair of a
// low and a high half of a product, and of carries that are added to the same word. E is read
// from memory: as a constant, ptxas would take its products for cheaper than they are, and
// make several instructions of each.
TABLE uint E32 = 0xffffffffu;

// plus returns s + x.
FUNCTION sum plus(sum s, ulong x)
{
	asm("add.cc.u64 %0, %0, %2;\n\taddc.u32 %1, %1, 0;" : "+l"(s.low), "+r"(s.high) : "l"(x));
	return s;
}

// plusSum returns s + t.
FUNCTION sum plusSum(sum s, sum t)
{
	asm("add.cc.u64 %0, %0, %2;\n\taddc.u32 %1, %1, %3;" : "+l"(s.low), "+r"(s.high) : "l"(t.low), "r"(t.high));
	return s;
}

// correct returns t + k·2^64 modulo p, below 2^64, for k = −1, 0 or 1: t + k·E, which is
// t − k with k as a word of 32 bits, and 2^32 more if k is 1. It is right as long as that neither
// overflows nor is negative.
FUNCTION ulong correct(uint t0, uint t1, int k)
{
	asm("sub.cc.u32 %0, %0, %2;\n\tsubc.u32 %1, %1, 0;" : "+r"(t0), "+r"(t1) : "r"(k));
	t1 += max(k, 0);
	return (ulong)t1 << 32 | t0;
}

// overflowed is correct for k = 0 or 1.
FUNCTION ulong overflowed(uint t0, uint t1, uint k)
{
	asm("sub.cc.u32 %0, %0, %2;\n\tsubc.u32 %1, %1, 0;" : "+r"(t0), "+r"(t1) : "r"(k));
	t1 += k;
	return (ulong)t1 << 32 | t0;
}

// reduce returns a sum modulo p, below 2^64: low + high·E. If that overflows, what is left
// is below high·E, so E more does not overflow again.
FUNCTION ulong reduce(sum s)
{
	uint t0 = (uint)s.low, t1 = (uint)(s.low >> 32);
	uint k;
	asm("mad.lo.cc.u32 %0, %3, %4, %0;\n\tmadc.hi.cc.u32 %1, %3, %4, %1;\n\taddc.u32 %2, 0, 0;"
		: "+r"(t0), "+r"(t1), "=r"(k) : "r"(s.high), "r"(E32));
	return overflowed(t0, t1, k);
}

// add returns x + c modulo p, below 2^64. One of them is canonical: so if they overflow, what is
// left is below p − 1, and E more does not overflow again.
FUNCTION ulong add(ulong x, ulong c)
{
	uint t0 = (uint)x, t1 = (uint)(x >> 32);
	uint k;
	asm("add.cc.u32 %0, %0, %3;\n\taddc.cc.u32 %1, %1, %4;\n\taddc.u32 %2, 0, 0;"
		: "+r"(t0), "+r"(t1), "=r"(k) : "r"((uint)c), "r"((uint)(c >> 32)));
	return overflowed(t0, t1, k);
}

// A product has four words of 32 bits, x0 … x3. As 2^64 = E and 2^96 = −1, it is
// T = (x0 + 2^32·x1) − x3 + x2·E modulo p, and −2^32 < T < 2^64 + E². If T is negative, T + 2^64
// is above 2^64 − 2^32, so E can be taken away; if T is 2^64 or more, T − 2^64 is below E², so
// E can be added. That is what correct does.
//
// These parts of a product take its factors from %3 and %4, and leave T in %0 and %1, with k,
// the multiple of 2^64 in it, in %2.
#define FACTORS \
	".reg .u32 a0, a1, b0, b1, x0, x1, x2, x3, y0, y1, c0, c1, z0, z1;\n\t" \
	".reg .u64 q;\n\t" \
	"mov.b64 {a0, a1}, %3;\n\t" \
	"mov.b64 {b0, b1}, %4;\n\t"
// The products of a0, without an addend.
#define ALONE \
	"mul.wide.u32 q, a0, b0;\n\t" \
	"mov.b64 {x0, x1}, q;\n\t" \
	"mul.wide.u32 q, a0, b1;\n\t" \
	"mov.b64 {y0, y1}, q;\n\t"
// The same with one: c0 + 2^32·z0 is added to a0·b0, and c1 + 2^32·z1 to a0·b1, where it must not
// overflow. So an addend costs nothing.
#define PLUS(c0, z0, c1, z1) \
	"mad.lo.cc.u32 x0, a0, b0, " c0 ";\n\t" \
	"madc.hi.u32 x1, a0, b0, " z0 ";\n\t" \
	"mad.lo.cc.u32 y0, a0, b1, " c1 ";\n\t" \
	"madc.hi.u32 y1, a0, b1, " z1 ";\n\t"
// The products of a1, and T. k is its multiple of 2^64, and what it begins with.
#define REDUCED(e, k) \
	"mul.wide.u32 q, a1, b1;\n\t" \
	"mov.b64 {x2, x3}, q;\n\t" \
	"mad.lo.cc.u32 y0, a1, b0, y0;\n\t" \
	"madc.hi.cc.u32 y1, a1, b0, y1;\n\t" \
	"addc.u32 x3, x3, 0;\n\t" \
	"add.cc.u32 x1, x1, y0;\n\t" \
	"addc.cc.u32 x2, x2, y1;\n\t" \
	"addc.u32 x3, x3, 0;\n\t" \
	"sub.cc.u32 %0, x0, x3;\n\t" \
	"subc.cc.u32 %1, x1, 0;\n\t" \
	"subc.u32 %2, " k ", 0;\n\t" \
	"mad.lo.cc.u32 %0, x2, " e ", %0;\n\t" \
	"madc.hi.cc.u32 %1, x2, " e ", %1;\n\t" \
	"addc.u32 %2, %2, 0;\n\t"

// mul returns a·b modulo p, below 2^64.
FUNCTION ulong mul(ulong a, ulong b)
{
	uint t0, t1;
	int k;
	asm("{\n\t" FACTORS ALONE REDUCED("%5", "0") "}"
		: "=r"(t0), "=r"(t1), "=r"(k) : "l"(a), "l"(b), "r"(E32));
	return correct(t0, t1, k);
}

// mulConstant returns a·b + c modulo p, below 2^64. The constant has two words of 32 bits.
FUNCTION ulong mulConstant(ulong a, ulong b, CONSTANT ulong *c)
{
	uint t0, t1;
	int k;
	asm("{\n\t" FACTORS
		"mov.b64 {c0, z0}, %5;\n\t"
		"mov.b64 {c1, z1}, %6;\n\t"
		PLUS("c0", "z0", "c1", "z1") REDUCED("%7", "0") "}"
		: "=r"(t0), "=r"(t1), "=r"(k) : "l"(a), "l"(b), "l"(c[0]), "l"(c[1]), "r"(E32));
	return correct(t0, t1, k);
}

// mulSum returns a·b + c + 2^64 modulo p, as a sum whose high half is 2 at most: the correction is
// left to whoever reduces the sum.
FUNCTION sum mulSum(ulong a, ulong b, CONSTANT ulong *c)
{
	uint t0, t1;
	sum s;
	asm("{\n\t" FACTORS
		"mov.b64 {c0, z0}, %5;\n\t"
		"mov.b64 {c1, z1}, %6;\n\t"
		PLUS("c0", "z0", "c1", "z1") REDUCED("%7", "1") "}"
		: "=r"(t0), "=r"(t1), "=r"(s.high) : "l"(a), "l"(b), "l"(c[0]), "l"(c[1]), "r"(E32));
	s.low = (ulong)t1 << 32 | t0;
	return s;
}

// mulPlus returns a·b + s modulo p, below 2^64, for a b whose high word is below 2^32 − 12, and an s
// whose high half is 11 at most. So a0·b1 + s1 + 2^32·s2 is below 2^64, and a·b + s below 2^128.
FUNCTION ulong mulPlus(ulong a, ulong b, sum s)
{
	uint t0, t1;
	int k;
	asm("{\n\t" FACTORS
		"mov.b64 {c0, c1}, %5;\n\t"
		PLUS("c0", "0", "c1", "%6") REDUCED("%7", "0") "}"
		: "=r"(t0), "=r"(t1), "=r"(k) : "l"(a), "l"(b), "l"(s.low), "r"(s.high), "r"(E32));
	return correct(t0, t1, k);
}

#else

// plus returns s + x.
FUNCTION sum plus(sum s, ulong x)
{
	s.low += x;
	s.high += s.low < x;
	return s;
}

// plusSum returns s + t.
FUNCTION sum plusSum(sum s, sum t)
{
	s = plus(s, t.low);
	s.high += t.high;
	return s;
}

// reduce returns a sum modulo p, below 2^64: low + high·E. If that overflows, what is left
// is below high·E, so E more does not overflow again.
FUNCTION ulong reduce(sum s)
{
	ulong more = s.high * E;
	ulong r = s.low + more;
	return r + (r < more ? E : 0);
}

// add returns x + c modulo p, below 2^64. One of them is canonical: so if they overflow, what is
// left is below p − 1, and E more does not overflow again.
FUNCTION ulong add(ulong x, ulong c)
{
	ulong r = x + c;
	return r + (r < c ? E : 0);
}

// reduceProduct returns low + 2^64·high modulo p, below 2^64. As 2^64 = E and 2^96 = −1, it
// is low − (high >> 32) + (high & E)·E. After the first step, t − E does not borrow, as t is
// above 2^64 − 2^32 if it has borrowed; after the second, what is left is below E².
FUNCTION ulong reduceProduct(ulong low, ulong high)
{
	ulong top = high >> 32, more = (high & E) * E;
	ulong t = low - top;
	t -= low < top ? E : 0;
	ulong r = t + more;
	return r + (r < more ? E : 0);
}

// mulPlus returns a·b + s modulo p, below 2^64, for a canonical b: so a·b + s is below 2^128.
FUNCTION ulong mulPlus(ulong a, ulong b, sum s)
{
	sum low = plus(s, a * b);
	return reduceProduct(low.low, MUL_HI(a, b) + low.high);
}

// mulConstant returns a·b + c modulo p, below 2^64. The constant has two words of 32 bits.
FUNCTION ulong mulConstant(ulong a, ulong b, CONSTANT ulong *c)
{
	return mulPlus(a, b, widen(c[1] << 32 | c[0])); // (2^64 − 1)² + c is below 2^128, too
}

// mulSum returns a·b + c + 2^64 modulo p, as a sum whose high half is 2 at most.
FUNCTION sum mulSum(ulong a, ulong b, CONSTANT ulong *c)
{
	sum low = plus(widen(c[1] << 32 | c[0]), a * b);
	ulong high = MUL_HI(a, b) + low.high, top = high >> 32;
	sum s = {low.low - top - (low.low < top ? E : 0), 1};
	return plus(s, (high & E) * E);
}

// mul returns a·b modulo p, below 2^64.
FUNCTION ulong mul(ulong a, ulong b) { return reduceProduct(a * b, MUL_HI(a, b)); }

#endif

