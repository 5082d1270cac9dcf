// Command amd64 writes the kernels for amd64, each of which evaluates nonces on
// several lanes: the states of all are hashed at once in vectors, and the residues
// multiplied one after the other in general registers, in one stream of
// instructions.
//
// multiply.go has the multiplication, keccak.go where the lanes of a state are from
// round to round, avx512.go and avx2.go a kernel each. stream.go weaves, and layout.go
// says where everything is.
package main

import (
	"flag"
	"go/token"
	"go/types"
	"log"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", ".", "write the files into this `directory`")
	var omit omission
	flag.BoolVar(&omit.multiply, "without-multiply", false, "leave the multiplications out, to see what they cost")
	flag.BoolVar(&omit.hash, "without-hash", false, "leave the rounds out, to see what they cost")
	flag.Parse()
	for name, kernel := range map[string]func(*build.Context, omission){
		"avx2":   walkAVX2,
		"avx512": walkAVX512,
	} {
		if err := write(*dir, name, kernel, omit); err != nil {
			log.Fatalf("generating %s: %v", name, err)
		}
	}
}

// omission says what to leave out of kernels that are timed and do not work.
type omission struct{ multiply, hash bool }

// step weaves the rounds of several states with the multiplication of a lane.
func (o omission) step(rounds *stream) *stream {
	switch {
	case o.multiply:
		return rounds
	case o.hash:
		return multiply()
	}
	return weave(rounds, multiply())
}

// rounds are rounds without a multiplication.
func (o omission) rounds(rounds *stream) *stream {
	if o.hash {
		return &stream{}
	}
	return rounds
}

// compile generates a kernel.
func compile(kernel func(*build.Context, omission), omit omission) (*ir.File, error) {
	c := build.NewContext()
	c.ConstraintExpr("!purego")
	kernel(c, omit)
	file, err := c.Result()
	if err != nil {
		return nil, err
	}
	return file, pass.Compile.Execute(file)
}

// write generates name_amd64.s, and its declaration in Go beside it.
func write(dir, name string, kernel func(*build.Context, omission), omit omission) error {
	file, err := compile(kernel, omit)
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

// global begins a table of constants.
func global(c *build.Context, name string) operand.Mem {
	m := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	return m
}
