// Poseidon2 over the field of 2^64 − 2^32 + 1, plain: every element is any of its
// representatives below 2^64.

#define EPSILON 0xffffffffUL // 2^64 modulo the prime

FUNCTION ulong add(ulong a, ulong b)
{
	ulong sum = a + b;
	if (sum < a) {
		sum += EPSILON;
		if (sum < EPSILON)
			sum += EPSILON;
	}
	return sum;
}

FUNCTION ulong mul(ulong a, ulong b)
{
	ulong low = a * b, high = MUL_HI(a, b);
	ulong top = high >> 32;
	ulong t = low - top;
	if (low < top)
		t -= EPSILON;
	ulong more = (high & EPSILON) * EPSILON;
	ulong r = t + more;
	if (r < more)
		r += EPSILON;
	return r;
}

FUNCTION ulong sbox(ulong x)
{
	ulong square = mul(x, x);
	return mul(mul(square, square), mul(square, x));
}

FUNCTION void externalLayer(ulong *s)
{
	for (int i = 0; i < 12; i += 4) {
		ulong a = s[i], b = s[i + 1], c = s[i + 2], d = s[i + 3];
		ulong ab = add(a, b), cd = add(c, d), all = add(ab, cd);
		s[i] = add(add(all, b), ab);
		s[i + 1] = add(add(all, b), add(c, c));
		s[i + 2] = add(add(all, d), cd);
		s[i + 3] = add(add(all, d), add(a, a));
	}
	for (int i = 0; i < 4; i++) {
		ulong sum = add(add(s[i], s[4 + i]), s[8 + i]);
		s[i] = add(s[i], sum);
		s[4 + i] = add(s[4 + i], sum);
		s[8 + i] = add(s[8 + i], sum);
	}
}

FUNCTION void externalRound(ulong *s, CONSTANT ulong *round)
{
	for (int i = 0; i < 12; i++)
		s[i] = sbox(add(s[i], round[i]));
	externalLayer(s);
}

FUNCTION void permute(ulong *s)
{
	externalLayer(s);
	for (int r = 0; r < 4; r++)
		externalRound(s, INITIAL + 12 * r);
	for (int r = 0; r < 22; r++) {
		s[0] = sbox(add(s[0], INTERNAL[r]));
		ulong sum = 0;
		for (int i = 0; i < 12; i++)
			sum = add(sum, s[i]);
		for (int i = 0; i < 12; i++)
			s[i] = add(sum, mul(s[i], DIAGONAL[i]));
	}
	for (int r = 0; r < 4; r++)
		externalRound(s, TERMINAL + 12 * r);
}

FUNCTION uint swap32(uint x)
{
	return x << 24 | (x & 0xff00) << 8 | (x >> 8 & 0xff00) | x >> 24;
}

KERNEL void search(GLOBAL const ulong *job, uint first, uint count, ulong limit, GLOBAL uint *results)
{
	uint i = INDEX;
	if (i >= count)
		return;
	ulong s[12];
	for (int j = 0; j < 12; j++)
		s[j] = job[j];
	for (int j = 0; j < 7; j++)
		s[j] = add(s[j], job[12 + j]);
	s[7] = add(s[7], swap32(first + i));
	permute(s);
	s[0] = add(s[0], 1);
	s[1] = add(s[1], 1);
	permute(s);
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
