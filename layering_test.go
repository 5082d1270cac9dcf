// Package layering holds no code: its test keeps the packages of this module in
// the layers that ARCHITECTURE.md draws.
package layering

import (
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/quantus-network/quantus-miner/"

// mayImport says which packages of this module a package's own code may import.
// Tests may import what they like. A new package needs a line here and a place
// in ARCHITECTURE.md.
var mayImport = map[string][]string{
	"internal/u512":                   {},
	"internal/kat":                    {"internal/u512"},
	"internal/pow/sha3rsa":            {"internal/u512"},
	"internal/pow/poseidon2":          {"internal/u512"},
	"internal/engine":                 {"internal/u512"},
	"internal/pow/blocks":             {"internal/engine", "internal/u512"},
	"internal/pow/kernels":            {"internal/engine"},
	"internal/pow/sha3rsa/baseline":   {"internal/engine", "internal/pow/blocks", "internal/pow/sha3rsa", "internal/u512"},
	"internal/pow/sha3rsa/fast":       {"internal/engine", "internal/pow/blocks", "internal/pow/sha3rsa", "internal/u512"},
	"internal/pow/sha3rsa/simd":       {"internal/engine", "internal/pow/blocks", "internal/pow/kernels", "internal/pow/sha3rsa", "internal/u512"},
	"internal/pow/enginetest":         {"internal/engine", "internal/kat", "internal/pow/poseidon2", "internal/pow/sha3rsa", "internal/u512"},
	"internal/pow/poseidon2/baseline": {"internal/engine", "internal/pow/blocks", "internal/pow/poseidon2", "internal/u512"},
	"internal/pow/poseidon2/fast":     {"internal/engine", "internal/pow/blocks", "internal/pow/poseidon2", "internal/u512"},
	"internal/pow/poseidon2/simd":     {"internal/engine", "internal/pow/blocks", "internal/pow/kernels", "internal/pow/poseidon2", "internal/u512"},
	// Only quantus-miner-gpu opens drivers: quantus-miner is static, and survives their crashes.
	"internal/pow/poseidon2/gpu":               {"internal/engine", "internal/pow/poseidon2", "internal/pow/poseidon2/gpu/wire", "internal/u512"},
	"internal/pow/poseidon2/gpu/wire":          {"internal/u512"},
	"internal/pow/poseidon2/gpu/kernel":        {"internal/pow/poseidon2", "internal/pow/poseidon2/gpu/wire"},
	"internal/pow/poseidon2/gpu/driver":        {"internal/pow/poseidon2", "internal/pow/poseidon2/gpu/wire"},
	"internal/pow/poseidon2/gpu/driver/dynlib": {},
	"internal/pow/poseidon2/gpu/driver/cuda":   {"internal/pow/poseidon2/gpu/driver", "internal/pow/poseidon2/gpu/driver/dynlib", "internal/pow/poseidon2/gpu/kernel", "internal/pow/poseidon2/gpu/wire"},
	"internal/pow/poseidon2/gpu/driver/opencl": {"internal/pow/poseidon2/gpu/driver", "internal/pow/poseidon2/gpu/driver/dynlib", "internal/pow/poseidon2/gpu/kernel", "internal/pow/poseidon2/gpu/wire"},
	"internal/pow/poseidon2/gpu/process":       {"internal/pow/poseidon2", "internal/pow/poseidon2/gpu/driver", "internal/pow/poseidon2/gpu/kernel", "internal/pow/poseidon2/gpu/wire", "internal/u512"},
	"cmd/quantus-miner-gpu":                    {"internal/pow/poseidon2/gpu/driver", "internal/pow/poseidon2/gpu/driver/cuda", "internal/pow/poseidon2/gpu/driver/opencl", "internal/pow/poseidon2/gpu/process", "internal/pow/poseidon2/gpu/wire"},
	"internal/pow": {
		"internal/engine", "internal/pow/sha3rsa/baseline", "internal/pow/sha3rsa/fast", "internal/pow/sha3rsa/simd", "internal/pow/poseidon2/baseline",
		"internal/pow/poseidon2/fast", "internal/pow/poseidon2/simd", "internal/u512",
	},
	"internal/mining":               {"internal/engine", "internal/u512"},
	"internal/watch/hashrate":       {"internal/mining", "internal/u512"},
	"internal/watch/metrics":        {"internal/watch/hashrate", "internal/mining", "internal/source/quicnode"},
	"internal/watch/dashboard":      {"internal/watch/hashrate", "internal/watch/status", "internal/mining"},
	"internal/watch/status":         {"internal/watch/hashrate", "internal/mining", "internal/u512"},
	"internal/watch/console":        {},
	"internal/host/access":          {},
	"internal/host/priority":        {},
	"internal/strictjson":           {},
	"internal/pipenet":              {},
	"internal/host/connlimit":       {},
	"internal/source/quicnode/wire": {"internal/strictjson", "internal/u512"},
	"internal/source/quicnode":      {"internal/engine", "internal/mining", "internal/source/quicnode/wire", "internal/u512"},
	"internal/source/httpapi":       {"internal/host/connlimit", "internal/mining", "internal/strictjson", "internal/u512"},
	"internal/simulate":             {"internal/source/quicnode/wire", "internal/pow/poseidon2", "internal/pow/sha3rsa", "internal/strictjson", "internal/u512"},
	"internal/bench":                {"internal/engine", "internal/u512"},
	"cmd/quantus-miner": {
		"internal/host/access", "internal/bench", "internal/host/connlimit", "internal/watch/dashboard", "internal/engine", "internal/pow", "internal/watch/hashrate",
		"internal/source/httpapi", "internal/watch/metrics", "internal/mining", "internal/source/quicnode", "internal/source/quicnode/wire", "internal/pow/poseidon2", "internal/host/priority", "internal/pow/sha3rsa", "internal/simulate",
		"internal/u512", "internal/watch/console", "internal/watch/status",
	},
}

func TestLayers(t *testing.T) {
	house, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range packages(t) {
		allowed, known := mayImport[dir]
		if !known {
			t.Errorf("%s has no place among the layers", dir)
		}
		if !strings.Contains(string(house), dir) {
			t.Errorf("ARCHITECTURE.md does not mention %s", dir)
		}
		p, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", dir)
		}
		for _, path := range p.Imports {
			if own, ok := strings.CutPrefix(path, module); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s must not import %s", dir, own)
			}
		}
	}
}

// packages returns the directories below cmd and internal that hold Go code of
// this module: like the go command, it leaves out those that begin with _.
func packages(t *testing.T) (dirs []string) {
	t.Helper()
	for _, root := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), "_") {
				return filepath.SkipDir
			}
			if err == nil && filepath.Ext(path) == ".go" {
				if dir := filepath.ToSlash(filepath.Dir(path)); !slices.Contains(dirs, dir) {
					dirs = append(dirs, dir)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(dirs) == 0 {
		t.Fatal("no packages found")
	}
	return dirs
}
