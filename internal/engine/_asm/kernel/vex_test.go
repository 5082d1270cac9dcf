package kernel

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// TestEncode compares bytes with those of Go's assembler for VFMADD231PD, an instruction
// that it knows, and whose encoding differs from those of AVX-IFMA in the opcode alone.
func TestEncode(t *testing.T) {
	const opcode = 0xb8
	vectors, general := reg.Vector.Registers(), reg.GeneralPurpose.Registers()
	register := func(r *rand.Rand, of []reg.Physical, size uint, fits func(reg.Physical) bool) reg.Physical {
		for {
			x := of[r.IntN(len(of))]
			if x.Size() == size && fits(x) {
				return x
			}
		}
	}
	any16 := func(x reg.Physical) bool { return x.PhysicalIndex() < 16 }
	noStack := func(x reg.Physical) bool { return x.Info()&reg.Restricted == 0 }
	r := rand.New(rand.NewPCG(1, 52))
	var theirs, ours strings.Builder
	for range 2000 {
		vector := func() operand.Op { return register(r, vectors, 32, any16) }
		operands := []operand.Op{vector(), vector(), vector()}
		if r.IntN(2) == 0 {
			m := operand.Mem{Base: register(r, general, 8, noStack)}
			m.Disp = []int{0, 8, -8, 127, 128, -128, -129, 1 << 20, -1 << 20}[r.IntN(9)]
			operands[0] = m
		}
		code, err := encode(opcode, operands)
		if err != nil {
			t.Fatal(err)
		}
		in := ir.Instruction{Opcode: "VFMADD231PD", Operands: operands}
		fmt.Fprintf(&theirs, "\t%s\n", text(&in))
		fmt.Fprintf(&ours, "\t%s\n", data(code))
	}
	if got, want := assembled(t, ours.String()), assembled(t, theirs.String()); got != want {
		t.Errorf("the bytes are not those of Go's assembler:\n%s\nwant\n%s", got, want)
	}
}

// assembled returns the bytes that Go's assembler makes of a function.
func assembled(t *testing.T, body string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f.s")
	text := "TEXT ·f(SB), $0-0\n" + body + "\tRET\n"
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "tool", "asm", "-S", "-p", "f", "-o", filepath.Join(filepath.Dir(file), "f.o"), file)
	command.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64")
	listing, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, listing)
	}
	var code strings.Builder
	for _, line := range regexp.MustCompile(`(?m)^\t0x[0-9a-f]+ ((?:[0-9a-f]{2} )+)`).FindAllSubmatch(listing, -1) {
		code.Write(line[1])
	}
	if code.Len() < len(body)/20 {
		t.Fatalf("the assembler's listing has no bytes:\n%s", listing)
	}
	return code.String()
}

// TestVEX has files be for AVX-IFMA, and others refused that take more of AVX-512.
func TestVEX(t *testing.T) {
	for want, generate := range map[string]func(c *build.Context){
		"":                                    func(c *build.Context) { c.VPMADD52HUQ(Word(1), reg.Y1, reg.Y2) },
		"there is no register Y16":            func(c *build.Context) { c.VPADDQ(reg.Y16, reg.Y1, reg.Y2) },
		"there is no register Y31":            func(c *build.Context) { c.VPMADD52LUQ(reg.Y1, reg.Y31, reg.Y2) },
		"there is no register Z1":             func(c *build.Context) { c.VPMADD52LUQ(reg.Z1, reg.Z2, reg.Z3) },
		"requires AVX512":                     func(c *build.Context) { c.VPSRAQ(operand.U8(1), reg.Y1, reg.Y2) },
		"not an address of a register":        func(c *build.Context) { c.VPMADD52LUQ(Global(c, "table"), reg.Y1, reg.Y2) },
		"VPMADD52LUQ.BCST 8(DI), Y1, Y2: is ": func(c *build.Context) { c.VPMADD52LUQ_BCST(Word(1), reg.Y1, reg.Y2) },
		"VPMADD52LUQ Y1, Y2, K1, Y3: is ":     func(c *build.Context) { c.VPMADD52LUQ(reg.Y1, reg.Y2, reg.K1, reg.Y3) },
	} {
		file, err := Compile(func(c *build.Context) {
			Begin(c, "walk", "of a test.")
			generate(c)
			Do(c)(x86.RET())
		})
		if err != nil {
			t.Fatal(err)
		}
		err = VEX(file)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
