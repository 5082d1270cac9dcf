// Poseidon2 over elements as field.cl has them.

FUNCTION ulong sbox(ulong x)
{
	ulong square = mul(x, x), cube = mul(square, x);
	return mul(mul(square, square), cube);
}

// externalLayer multiplies by the matrix of the external rounds, and adds the constants of
// what comes next. Each row of the small matrix adds up to 7, and each element is counted four
// times at most: with a constant a sum has a high half of 28 at most.
FUNCTION void externalLayer(ulong *s, CONSTANT ulong *next)
{
	sum y[12], column[4];
#pragma unroll
	for (int i = 0; i < 12; i += 4) {
		sum a = widen(s[i]), c = widen(s[i + 2]);
		sum ab = plus(a, s[i + 1]), cd = plus(c, s[i + 3]);
		sum all = plusSum(ab, cd);
		sum allb = plus(all, s[i + 1]), alld = plus(all, s[i + 3]);
		y[i] = plusSum(allb, ab);
		y[i + 1] = plus(plus(allb, s[i + 2]), s[i + 2]);
		y[i + 2] = plusSum(alld, cd);
		y[i + 3] = plus(plus(alld, s[i]), s[i]);
	}
#pragma unroll
	for (int i = 0; i < 4; i++)
		column[i] = plusSum(plusSum(y[i], y[i + 4]), y[i + 8]);
#pragma unroll
	for (int i = 0; i < 12; i++)
		s[i] = reduce(plus(plusSum(y[i], column[i % 4]), next[i]));
}

// internalRound has each element s[i] be Σs + DIAGONAL[i]·s[i], after the S-box of the
// first one, to which the round's constant was added already. It adds that of what comes next.
FUNCTION void internalRound(ulong *s, ulong next)
{
	s[0] = sbox(s[0]);
	sum all = widen(s[0]);
#pragma unroll
	for (int i = 1; i < 12; i++)
		all = plus(all, s[i]);
	s[0] = mulPlus(s[0], DIAGONAL[0], plus(all, next));
#pragma unroll
	for (int i = 1; i < 12; i++)
		s[i] = mulPlus(s[i], DIAGONAL[i], all);
}

// permute is the permutation. Loops are not unrolled: what a round takes is more than some
// caches for instructions hold, and a card that waits for those computes nothing.
FUNCTION void permute(ulong *s)
{
	externalLayer(s, FIRST);
#pragma unroll 1
	for (int part = 0; part < 2; part++) {
#pragma unroll 1
		for (int r = 0; r < 4; r++) {
#pragma unroll
			for (int i = 0; i < 12; i++)
				s[i] = sbox(s[i]);
			externalLayer(s, NEXT + 12 * (4 * part + r));
		}
		if (part == 0) {
#pragma unroll 1
			for (int r = 0; r < 22; r++)
				internalRound(s, INTERNAL[r]);
#pragma unroll
			for (int i = 0; i < 12; i++)
				s[i] = reduce(plus(widen(s[i]), TERMINAL[i]));
		}
	}
}

FUNCTION uint swap32(uint x)
{
	return x << 24 | (x & 0xff00) << 8 | (x >> 8 & 0xff00) | x >> 24;
}

// search evaluates count nonces from first, which is the low 32 bits of a nonce. The job is
// the midstate, and the block that is added to it. A nonce is found if the top 64 bits of its
// hash are not above the limit: results[0] counts those, and behind it there is room for the
// first MAX_FOUND, in any order.
KERNEL void search(GLOBAL const ulong *job, uint first, uint count, ulong limit, GLOBAL uint *results)
{
	uint i = INDEX;
	if (i >= count)
		return;
	ulong s[12];
	for (int j = 0; j < 12; j++)
		s[j] = job[j];
	for (int j = 0; j < 7; j++)
		s[j] = reduce(plus(widen(s[j]), job[12 + j]));
	s[7] = reduce(plus(widen(s[7]), swap32(first + i)));
#pragma unroll 1
	for (int left = 1; left >= 0; left--) { // of the blocks: the last one is two ones
		permute(s);
		s[0] = reduce(plus(widen(s[0]), left));
		s[1] = reduce(plus(widen(s[1]), left));
	}
	ulong hash = s[0];
	if (hash > 0xffffffff00000000UL)
		hash -= 0xffffffff00000001UL;
	hash = (ulong)swap32((uint)hash) << 32 | swap32((uint)(hash >> 32));
	if (hash <= limit) {
		uint place = INCREMENT(results);
		if (place < MAX_FOUND)
			results[1 + place] = i;
	}
}
