//go:build !linux

package priority

// Lower does nothing here. Windows lets a thread that was waiting go first by
// itself; to macOS a thread of lower priority belongs on the slow cores.
func Lower() error { return nil }
