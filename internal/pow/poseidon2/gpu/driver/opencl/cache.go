package opencl

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
)

// maxBinary is the largest size of a compiled program that is kept, in bytes.
const maxBinary = 64 << 20

// cacheFile is a compiled program that is kept in a directory, by the hash of what it
// depends on. Before it is its SHA-256. A file that cannot be read or written is as
// good as none, and one that was changed as well: the program is compiled then.
type cacheFile struct {
	directory string // "" for none
	key       [sha256.Size]byte
}

func (f cacheFile) path() string {
	return filepath.Join(f.directory, "poseidon2-"+hex.EncodeToString(f.key[:16])+".bin")
}

// read returns the program, if there is one.
func (f cacheFile) read() (binary []byte, ok bool) {
	if f.directory == "" {
		return nil, false
	}
	file, err := os.Open(f.path())
	if err != nil {
		return nil, false
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, sha256.Size+maxBinary+1))
	if err != nil || len(content) <= sha256.Size || len(content) > sha256.Size+maxBinary {
		return nil, false
	}
	binary = content[sha256.Size:]
	sum := sha256.Sum256(binary)
	return binary, bytes.Equal(sum[:], content[:sha256.Size])
}

// write keeps the program. It is there as a whole or not at all.
func (f cacheFile) write(binary []byte) {
	if f.directory == "" || os.MkdirAll(f.directory, 0o700) != nil {
		return
	}
	file, err := os.CreateTemp(f.directory, "new-*")
	if err != nil {
		return
	}
	sum := sha256.Sum256(binary)
	_, err = file.Write(append(sum[:], binary...))
	if closed := file.Close(); err != nil || closed != nil || os.Rename(file.Name(), f.path()) != nil {
		_ = os.Remove(file.Name())
	}
}
