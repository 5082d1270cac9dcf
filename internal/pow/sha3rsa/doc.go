// Package sha3rsa is the consensus rule of the Quantus proof of work, SHA3
// generation, and nothing else: it knows no jobs, ranges or threads.
//
// For a header h (32 bytes) the rule fixes a base m = SHA-256(h), an odd
// composite modulus n derived from SHA3-512(h), and a target element
// T = H(m^int(h) mod n), where H is SHA3-512 over 64 big-endian bytes. A nonce
// s ≠ 0 is valid when its distance
//
//	T xor H(m^min(int(h)+s, 2^512−1) mod n)
//
// does not exceed the threshold.
//
// The rule is written down twice. [Reference] (reference.go) is the plain
// one, on math/big without short cuts: read it first. Everything faster is
// compared with it. [JobContext] (context.go, step.go) walks through
// consecutive nonces with one modular multiplication each:
//
//	y := c.InitWorkerY0(nonce)        // one exponentiation
//	for {
//		d := c.DistanceFromY(&y)  // of this nonce
//		if c.IsValidDistance(d) { … }
//		c.StepMul(&y)             // to the next nonce, up to Distinct's last
//	}
//
// All integers are unsigned and all byte strings big-endian.
package sha3rsa
