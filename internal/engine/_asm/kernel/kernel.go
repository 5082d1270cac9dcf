// Package kernel is what the generators of kernels for amd64 share: streams of
// instructions, which they interleave, and the frame of a kernel's files. All kernels are
// functions of a package simd with the same signature.
package kernel

import (
	"go/token"
	"go/types"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

// Compile generates a kernel.
func Compile(generate func(*build.Context)) (*ir.File, error) {
	c := build.NewContext()
	c.ConstraintExpr("!purego")
	generate(c)
	file, err := c.Result()
	if err != nil {
		return nil, err
	}
	return file, pass.Compile.Execute(file)
}

// Write generates name_amd64.s, and its declaration in Go beside it. They name their
// generator by its directory. What else is done with the compiled file, finish says.
func Write(generator, dir, name string, generate func(*build.Context), finish ...func(*ir.File) error) error {
	file, err := Compile(generate)
	if err != nil {
		return err
	}
	for _, f := range finish {
		if err := f(file); err != nil {
			return err
		}
	}
	config := printer.Config{Name: "the generator in " + generator, Pkg: "simd"}
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

// Block is the register of every kernel's *block, see Begin.
var Block = reg.RDI

// Word is a word of the block.
func Word(i int) operand.Mem { return operand.Mem{Base: Block, Disp: 8 * i} }

// Begin begins the function of a kernel, and says what it is in its comment. The
// function takes b, a *block, to the register Block. Returned is where the number of
// steps to take is, and where that of the steps that are left has to go, the result.
func Begin(c *build.Context, name, what string) (steps, left operand.Mem) {
	c.Function(name)
	c.Doc(name + " is the kernel " + what)
	c.Pragma("noescape")
	c.Signature(signature())
	c.Load(c.Param("b"), Block)
	return operand.NewParamAddr("steps", 8), operand.NewParamAddr("left", 16)
}

// signature is the one of all kernels. Type block is the package's own, of which avo
// need not know more than the name.
func signature() *gotypes.Signature {
	pkg := types.NewPackage("simd", "simd")
	name := types.NewTypeName(token.NoPos, pkg, "block", nil)
	types.NewNamed(name, types.NewStruct(nil, nil), nil)
	pkg.Scope().Insert(name)
	signature, err := gotypes.ParseSignatureInPackage(pkg, "func(b *block, steps int) (left int)")
	if err != nil {
		panic(err) // a mistake in a generator
	}
	return signature
}

// Global begins a table of constants.
func Global(c *build.Context, name string) operand.Mem {
	m := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	return m
}
