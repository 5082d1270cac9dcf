package main

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"

	"github.com/quantus-network/quantus-miner/internal/engine/_asm/kernel"
)

var turns = flag.Int("turns", 0, "time the kernels in so many turns on this CPU as well")

// TestSilicon runs the tests of package simd with the kernel for AVX-IFMA on a CPU that
// has AVX-512 instead: its instructions for vectors of 32 bytes do the same, and differ
// in their bytes alone. So the kernel is there as Go's assembler makes it, and one line
// that says which CPUs it is for is another.
func TestSilicon(t *testing.T) {
	if !cpu.X86.HasAVX512IFMA || !cpu.X86.HasAVX512VL {
		t.Skip("this CPU does not have AVX-512 with IFMA and VL")
	}
	root, err := filepath.Abs("../../../../..")
	if err != nil {
		t.Fatal(err)
	}
	const simd = "internal/pow/poseidon2/simd"
	temporary := t.TempDir()
	if err := kernel.Write(generator, temporary, "avxifma", walkAVXIFMA); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(root, simd, "kernels_amd64.go"))
	if err != nil {
		t.Fatal(err)
	}
	const feature = "cpu.X86.HasAVXIFMA"
	if strings.Count(string(list), feature) != 1 {
		t.Fatalf("the kernels' list does not have %s once", feature)
	}
	list = []byte(strings.ReplaceAll(string(list), feature, "true"))
	if err := os.WriteFile(filepath.Join(temporary, "kernels_amd64.go"), list, 0o666); err != nil {
		t.Fatal(err)
	}
	replaced := map[string]string{}
	for _, name := range []string{"avxifma_amd64.s", "kernels_amd64.go"} {
		replaced[filepath.Join(root, simd, name)] = filepath.Join(temporary, name)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(temporary, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o666); err != nil {
		t.Fatal(err)
	}
	run := func(arguments ...string) {
		t.Helper()
		command := exec.Command("go", append([]string{"test", "-timeout", "0", "-overlay", file, "./" + simd}, arguments...)...)
		command.Dir = root
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
	}
	run("-run", "(Required|Aligned|Permutations|Edges|Results|Searches)/avxifma", "-args", "-kernels", "avxifma", "-cases", strconv.Itoa(*cases))
	if *turns > 0 {
		run("-run", "^$", "-bench", "Walk/avx", "-benchtime", strconv.Itoa(*turns)+"x")
	}
}
