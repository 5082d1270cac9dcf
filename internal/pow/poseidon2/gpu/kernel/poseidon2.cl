// Poseidon2 over elements as field.cl has them.

// externalLayer multiplies by the matrix of the external rounds. Each row of the small matrix adds
// up to 7, and each element is counted four times at most: so of elements with a high half of 2 a
// sum has one of 83 at most.
FUNCTION void externalLayer(const sum *x, ulong *s)
{
	sum y[12], column[4];
#pragma unroll
	for (int i = 0; i < 12; i += 4) {
		sum ab = plusSum(x[i], x[i + 1]), cd = plusSum(x[i + 2], x[i + 3]);
		sum all = plusSum(ab, cd);
		sum allb = plusSum(all, x[i + 1]), alld = plusSum(all, x[i + 3]);
		y[i] = plusSum(allb, ab);
		y[i + 1] = plusSum(plusSum(allb, x[i + 2]), x[i + 2]);
		y[i + 2] = plusSum(alld, cd);
		y[i + 3] = plusSum(plusSum(alld, x[i]), x[i]);
	}
#pragma unroll
	for (int i = 0; i < 4; i++)
		column[i] = plusSum(plusSum(y[i], y[i + 4]), y[i + 8]);
#pragma unroll
	for (int i = 0; i < 12; i++)
		s[i] = reduce(plusSum(y[i], column[i % 4]));
}

// lastElement returns what externalLayer makes of element 0: the rows 2 3 1 1 of all groups, that
// of the first one twice.
FUNCTION ulong lastElement(const sum *x)
{
	sum row[3];
#pragma unroll
	for (int i = 0; i < 12; i += 4) {
		sum ab = plusSum(x[i], x[i + 1]);
		row[i / 4] = plusSum(plusSum(ab, ab), plusSum(plusSum(x[i + 1], x[i + 2]), x[i + 3]));
	}
	return reduce(plusSum(plusSum(row[0], row[0]), plusSum(row[1], row[2])));
}

// internalRound has each element s[i] be Σs + DIAGONAL[i]·s[i], after the S-box of the first one,
// and the constant that is added to that.
FUNCTION void internalRound(ulong *s, CONSTANT ulong *added)
{
	ulong square = mul(s[0], s[0]);
	s[0] = mulConstant(mul(square, square), mul(square, s[0]), added);
	sum all = widen(s[0]);
#pragma unroll
	for (int i = 1; i < 12; i++)
		all = plus(all, s[i]);
#pragma unroll
	for (int i = 0; i < 12; i++)
		s[i] = mulPlus(s[i], DIAGONAL[i], all);
}

FUNCTION uint swap32(uint x)
{
	return x << 24 | (x & 0xff00) << 8 | (x >> 8 & 0xff00) | x >> 24;
}

// hash returns the first element of the hash, canonical. The state is what the first external
// layer has made of the third block of four, with the constants of what follows. Two permutations
// follow, with the last block between them, which is among the constants.
//
// Loops are not unrolled: what a round takes is more than some caches for instructions hold, and a
// card that waits for those computes nothing.
FUNCTION ulong hash(ulong *s)
{
#pragma unroll 1
	for (int part = 0;; part++) { // half a permutation
		sum x[12];
#pragma unroll 1
		for (int r = 0; r < 4; r++) {
			CONSTANT ulong *added = EXTERNAL + 24 * (4 * part + r);
#pragma unroll
			for (int i = 0; i < 12; i++) {
				ulong square = mul(s[i], s[i]);
				x[i] = mulSum(mul(square, square), mul(square, s[i]), added + 2 * i);
			}
			if (part == 3 && r == 3) {
				ulong first = lastElement(x);
				return first > 0xffffffff00000000UL ? first - 0xffffffff00000001UL : first;
			}
			externalLayer(x, s);
		}
		if (part == 1) { // the next one begins
#pragma unroll
			for (int i = 0; i < 12; i++)
				x[i] = widen(s[i]);
			externalLayer(x, s);
			continue;
		}
#pragma unroll 2
		for (int r = 0; r < 22; r++)
			internalRound(s, INTERNAL + 2 * r);
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
