// Package layering holds no code: its tests keep the packages of this module in
// the layers that ARCHITECTURE.md draws, and the documents true to what is there.
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

// layers are the parts of the program, from the ground up. A package belongs to the layer
// that is the longest prefix of its own path. It may import
//
//   - what its layer imports: layers further up in this list, or packages of them;
//   - what is above or below it in the tree of directories: an engine the rule of its
//     proof of work, pow the engines;
//   - what its layer shares.
//
// So packages that stand side by side, such as two engines or two sources, do not import
// each other. Tests may import what they like. A new layer needs a line here, a new
// package a place in ARCHITECTURE.md.
var layers = []layer{
	{dir: "internal/u512"},
	{dir: "internal/strictjson"},
	{dir: "internal/host"},
	{dir: "internal/build"},
	{dir: "internal/cli"},
	{dir: "internal/engine", imports: []string{"internal/u512"}},
	{
		dir: "internal/pow", imports: []string{"internal/u512", "internal/engine"},
		shared: []string{"internal/pow/blocks", "internal/pow/kernels"},
	},
	{
		dir: "internal/pow/poseidon2/gpu", imports: []string{"internal/u512", "internal/engine", "internal/pow/poseidon2", "internal/host/program"},
		shared: []string{"internal/pow/poseidon2/gpu/wire", "internal/pow/poseidon2/gpu/kernel", "internal/pow/poseidon2/gpu/driver", "internal/pow/poseidon2/gpu/driver/dynlib"},
	},
	{dir: "internal/mining", imports: []string{"internal/u512", "internal/engine"}},
	{
		dir: "internal/fleet", imports: []string{"internal/u512", "internal/engine", "internal/mining", "internal/host"},
		shared: []string{"internal/fleet/wire"},
	},
	{
		dir: "internal/source", imports: []string{"internal/u512", "internal/engine", "internal/mining", "internal/strictjson", "internal/host/connlimit", "internal/fleet/wire"},
		shared: []string{"internal/source/upstream"},
	},
	{
		dir: "internal/watch", imports: []string{"internal/u512", "internal/mining", "internal/source", "internal/fleet"},
		shared: []string{"internal/watch/hashrate", "internal/watch/status"},
	},
	{dir: "internal/bench", imports: []string{"internal/u512", "internal/engine"}},
	{dir: "internal/simulate/workers", imports: []string{"internal/u512", "internal/engine", "internal/mining", "internal/source/fleet", "internal/source/upstream"}},
	{dir: "internal/simulate", imports: []string{"internal/u512", "internal/pow/sha3rsa", "internal/pow/poseidon2", "internal/source/quicnode/wire", "internal/strictjson"}},
	{dir: "cmd", imports: []string{"internal"}},

	// For tests: no other layer imports them.
	{dir: "internal/pipenet"},
	{dir: "internal/logtest"},
	{dir: "internal/kat", imports: []string{"internal/u512"}},
	{dir: "internal/pow/poseidon2/steer", imports: []string{"internal/pow/poseidon2"}},
	{dir: "internal/pow/enginetest", imports: []string{"internal/u512", "internal/engine", "internal/kat", "internal/pow/sha3rsa", "internal/pow/poseidon2"}},
	{dir: "internal/pow/poseidon2/gpu/gputest", imports: []string{"internal/u512", "internal/pow/poseidon2", "internal/pow/poseidon2/gpu/driver", "internal/pow/poseidon2/gpu/wire"}},
}

// layer is a directory with one or more packages.
type layer struct {
	dir string
	// imports are the directories whose packages its own may import.
	imports []string
	// shared are those of its packages that all others in it may import.
	shared []string
}

// never are the imports of single packages that the layers allow and that are wrong
// nevertheless.
var never = map[string][]string{
	// A rule knows no jobs: what checks engines does not depend on them.
	"internal/pow/sha3rsa":   {"internal/engine", "internal/pow"},
	"internal/pow/poseidon2": {"internal/engine", "internal/pow"},
	// The node's side of the protocol has the same messages, and no miner.
	"internal/source/quicnode/wire": {"internal/mining", "internal/engine"},
	// Whoever writes a worker of their own needs these messages and no miner.
	"internal/fleet/wire": {"internal/mining", "internal/engine", "internal/host"},
	// The curve and the page show any miner, whatever its source.
	"internal/watch/hashrate":  {"internal/source"},
	"internal/watch/status":    {"internal/source"},
	"internal/watch/dashboard": {"internal/source"},
	// Only quantus-miner-gpu opens drivers: quantus-miner is static, and survives their
	// crashes.
	"internal/pow/poseidon2/gpu": openDrivers,
	"cmd/quantus-miner":          slices.Concat(forTests, openDrivers),
	"cmd/quantus-miner-gpu":      forTests,
	"cmd/quantus-miner-nats":     forTests,
}

// only are packages that no others than these import, so that what they bring along does not come into the
// miner by any way.
var only = map[string][]string{
	// Only quantus-miner-nats has a NATS server in it, which is large, and reads /proc each
	// second as soon as it is linked.
	"internal/fleet/broker/server": {"cmd/quantus-miner-nats"},
}

// foreign are modules whose packages no others than these import.
var foreign = map[string][]string{
	"github.com/nats-io/nats-server": {"internal/fleet/broker/server"},
	"github.com/ebitengine/purego":   {"internal/pow/poseidon2/gpu/driver/dynlib"},
}

var (
	forTests    = []string{"internal/pipenet", "internal/logtest", "internal/kat", "internal/pow/enginetest", "internal/pow/poseidon2/gpu/gputest", "internal/pow/poseidon2/steer"}
	openDrivers = []string{"internal/pow/poseidon2/gpu/driver", "internal/pow/poseidon2/gpu/kernel", "internal/pow/poseidon2/gpu/process"}
)

// within reports whether a package is a directory or lies in it.
func within(dir, pkg string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// layerOf returns the place in layers of a package's layer, or -1.
func layerOf(pkg string) int {
	at := -1
	for i, layer := range layers {
		if within(layer.dir, pkg) && (at < 0 || len(layer.dir) > len(layers[at].dir)) {
			at = i
		}
	}
	return at
}

// mayImport reports whether the rules let a package import another.
func mayImport(from, to string) bool {
	contains := func(dir string) bool { return within(dir, to) }
	own := layers[layerOf(from)]
	switch {
	case slices.ContainsFunc(never[from], contains):
		return false
	case only[to] != nil:
		return slices.Contains(only[to], from)
	case layerOf(from) != layerOf(to):
		return slices.ContainsFunc(own.imports, contains)
	default:
		return slices.Contains(own.shared, to) || within(from, to) || within(to, from)
	}
}

// TestOrder holds the rules to themselves: imports run downwards, and what they name exists.
func TestOrder(t *testing.T) {
	all := packages(t)
	exists := func(dir string) bool {
		return slices.ContainsFunc(all, func(pkg string) bool { return within(dir, pkg) })
	}
	for i, layer := range layers {
		for _, dir := range slices.Concat([]string{layer.dir}, layer.imports, layer.shared) {
			if !exists(dir) {
				t.Errorf("%s: there is no %s", layer.dir, dir)
			}
		}
		for _, dir := range layer.imports {
			if at := layerOf(dir); dir != "internal" && (at < 0 || at >= i) {
				t.Errorf("%s does not stand above %s, which it may import", layer.dir, dir)
			}
		}
	}
	for pkg, imports := range never {
		for _, dir := range append(imports, pkg) {
			if !exists(dir) {
				t.Errorf("%s, which must not import %s: one of them does not exist", pkg, dir)
			}
		}
	}
}

func TestLayers(t *testing.T) {
	architecture, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range packages(t) {
		if layerOf(dir) < 0 {
			t.Errorf("%s belongs to no layer", dir)
			continue
		}
		if !strings.Contains(string(architecture), "\n"+dir+" ") { // a line of the tree
			t.Errorf("the tree in ARCHITECTURE.md has no line for %s", dir)
		}
		p, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", dir)
		}
		for _, path := range p.Imports {
			if own, ok := strings.CutPrefix(path, module); ok && !mayImport(dir, own) {
				t.Errorf("%s must not import %s", dir, own)
			}
			for other, importers := range foreign {
				if within(other, path) && !slices.Contains(importers, dir) {
					t.Errorf("%s must not import %s", dir, path)
				}
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
