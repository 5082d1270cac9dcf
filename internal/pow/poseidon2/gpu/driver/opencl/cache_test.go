package opencl

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestCache(t *testing.T) {
	f := cacheFile{directory: filepath.Join(t.TempDir(), "new", "directory"), key: [32]byte{1}}
	none := func(when string) {
		t.Helper()
		if binary, ok := f.read(); ok {
			t.Errorf("%s: read %q", when, binary)
		}
	}
	none("before anything was kept")
	want := []byte("a compiled program")
	f.write(want)
	if got, ok := f.read(); !ok || !bytes.Equal(got, want) {
		t.Fatalf("got %q, %t, want %q", got, ok, want)
	}
	if other := (cacheFile{directory: f.directory, key: [32]byte{2}}); other.path() == f.path() {
		t.Error("other programs are kept in the same file")
	}
	whole, err := os.ReadFile(f.path())
	if err != nil {
		t.Fatal(err)
	}
	for when, content := range map[string][]byte{
		"empty":           {},
		"cut off":         whole[:len(whole)-1],
		"longer":          append(bytes.Clone(whole), 0),
		"changed":         append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
		"with a bad sum":  append([]byte{whole[0] ^ 1}, whole[1:]...),
		"without program": whole[:32],
	} {
		if err := os.WriteFile(f.path(), content, 0o600); err != nil {
			t.Fatal(err)
		}
		none(when)
	}
	f.write(want)
	if got, ok := f.read(); !ok || !bytes.Equal(got, want) {
		t.Errorf("written anew: got %q, %t", got, ok)
	}
	if entries, err := os.ReadDir(f.directory); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v are left in the directory", entries, err)
	}
	f = cacheFile{directory: f.path(), key: f.key} // which is no directory
	f.write(want)
	none("where nothing can be kept")
	f.directory = ""
	f.write(want)
	none("nowhere")
}
