//go:build purego || !(amd64 || arm64)

package simd

// native returns no kernel: there is none in assembly for this machine.
func native() []kernel { return nil }
