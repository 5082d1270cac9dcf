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

FUNCTION uint swap32(uint x)
{
	return x << 24 | (x & 0xff00) << 8 | (x >> 8 & 0xff00) | x >> 24;
}

// lastElement returns what externalLayer makes of element 0, if no constant is to be added: the
// rows 2 3 1 1 of all groups, that of the first one twice.
FUNCTION ulong lastElement(const ulong *s)
{
	sum row[3];
#pragma unroll
	for (int i = 0; i < 12; i += 4) {
		sum ab = plus(widen(s[i]), s[i + 1]);
		row[i / 4] = plusSum(plusSum(ab, ab), plus(plus(widen(s[i + 1]), s[i + 2]), s[i + 3]));
	}
	return reduce(plusSum(plusSum(row[0], row[0]), plusSum(row[1], row[2])));
}

// hash returns the first element of the hash, canonical. The state is what the first external
// layer has made of the third block of four. Two permutations follow, with the last block between
// them, which NEXT has in its last row.
//
// Loops are not unrolled: what a round takes is more than some caches for instructions hold, and a
// card that waits for those computes nothing.
FUNCTION ulong hash(ulong *s)
{
#pragma unroll 1
	for (int part = 0;; part++) { // of a permutation
#pragma unroll 1
		for (int r = 0; r < 4; r++) {
#pragma unroll
			for (int i = 0; i < 12; i++)
				s[i] = sbox(s[i]);
			if (part == 3 && r == 3) {
				ulong first = lastElement(s);
				return first > 0xffffffff00000000UL ? first - 0xffffffff00000001UL : first;
			}
			externalLayer(s, NEXT + 12 * (4 * (part & 1) + r));
		}
		if (part == 1) {
			externalLayer(s, FIRST);
			continue;
		}
#pragma unroll 1
		for (int r = 0; r < 22; r++)
			internalRound(s, INTERNAL[r]);
#pragma unroll
		for (int i = 0; i < 12; i++)
			s[i] = add(s[i], TERMINAL[i]);
	}
}

// search evaluates count nonces from first, which is the low 32 bits of a nonce. The job is what
// the first external layer makes of the midstate and the block that is added to it, but for its
// last element, which is the nonce's. A nonce is found if the top 64 bits of its
// hash are not above the limit: results[0] counts those, and behind it there is room for the
// first MAX_FOUND, in any order.
KERNEL void search(GLOBAL const ulong *job, uint first, uint count, ulong limit, GLOBAL uint *results)
{
	uint i = INDEX;
	if (i >= count)
		return;
	// Column 7 of the external layer is 1 1 3 2, twice that, and 1 1 3 2.
	ulong x = swap32(first + i), s[12];
	ulong column[4] = {x, x, 3 * x, 2 * x};
#pragma unroll
	for (int j = 0; j < 12; j++)
		s[j] = add(job[j], j / 4 == 1 ? 2 * column[j % 4] : column[j % 4]);
	ulong top = hash(s);
	top = (ulong)swap32((uint)top) << 32 | swap32((uint)(top >> 32));
	if (top <= limit) {
		uint place = INCREMENT(results);
		if (place < MAX_FOUND)
			results[1 + place] = i;
	}
}
