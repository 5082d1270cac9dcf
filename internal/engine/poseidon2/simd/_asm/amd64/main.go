// Command amd64 writes the kernels for amd64, each of which evaluates nonces on
// several lanes.
package main

import (
	"flag"
	"go/token"
	"go/types"
	"log"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", ".", "write the files into this `directory`")
	flag.Parse()
	for name, kernel := range map[string]func(*build.Context){
		"avx2": func(c *build.Context) {
			k := newAVX2(c)
			walk(c, "walkAVX2", " is the kernel for AVX2, with four lanes and two scalar ones.", k, newScalars(c, 4, 2), k.rounds)
		},
		"avx512": func(c *build.Context) {
			k := newAVX512(c)
			walk(c, "walkAVX512", " is the kernel for AVX-512, with eight lanes and two scalar ones.", k, newScalars(c, 8, 2), k.rounds)
		},
	} {
		if err := write(*dir, name, kernel); err != nil {
			log.Fatalf("generating %s: %v", name, err)
		}
	}
}

// compile generates a kernel.
func compile(kernel func(*build.Context)) (*ir.File, error) {
	c := build.NewContext()
	c.ConstraintExpr("!purego")
	kernel(c)
	file, err := c.Result()
	if err != nil {
		return nil, err
	}
	return file, pass.Compile.Execute(file)
}

// write generates name_amd64.s, and its declaration in Go beside it.
func write(dir, name string, kernel func(*build.Context)) error {
	file, err := compile(kernel)
	if err != nil {
		return err
	}
	config := printer.Config{Name: "the generator in _asm/amd64", Pkg: "simd"}
	for suffix, p := range map[string]printer.Printer{".s": printer.NewGoAsm(config), ".go": printer.NewStubs(config)} {
		text, err := p.Print(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+"_amd64"+suffix), text, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// must returns what a constructor of package x86 returned.
func must(i *ir.Instruction, err error) *ir.Instruction {
	if err != nil {
		panic(err) // a mistake in this generator
	}
	return i
}

// walkSignature is the one of all kernels. Type block is the package's own, of
// which avo need not know more than the name.
func walkSignature() *gotypes.Signature {
	pkg := types.NewPackage("simd", "simd")
	name := types.NewTypeName(token.NoPos, pkg, "block", nil)
	types.NewNamed(name, types.NewStruct(nil, nil), nil)
	pkg.Scope().Insert(name)
	signature, err := gotypes.ParseSignatureInPackage(pkg, "func(b *block, steps int) (left int)")
	if err != nil {
		panic(err) // a mistake in this generator
	}
	return signature
}
