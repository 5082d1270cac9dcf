//go:build !purego

package simd

// walkUMULH is the kernel for any arm64, with two lanes in general registers. It returns
// when it has taken all steps or when a nonce survives, with the number of steps that are left.
//
//go:noescape
func walkUMULH(b *block, steps int) (left int)
