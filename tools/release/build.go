package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// target is a platform.
type target struct{ os, arch string }

// String returns the platform as Go names it.
func (t target) String() string { return t.os + "/" + t.arch }

// programs returns the programs that there are for a platform. quantus-miner-gpu needs a
// C compiler on FreeBSD.
func (t target) programs() []string {
	if t.os == "freebsd" {
		return []string{"quantus-miner", "quantus-miner-nats"}
	}
	return []string{"quantus-miner", "quantus-miner-nats", "quantus-miner-gpu"}
}

// suffix returns what the names of programs end with.
func (t target) suffix() string {
	if t.os == "windows" {
		return ".exe"
	}
	return ""
}

// release is a release that is being made.
type release struct {
	source
	work string // directory for what is made on the way
	out  string // directory for the files of the release

	common []file // that every archive has
}

// goEnvironment returns the variables to run go with. Those that change what it builds are
// as they are by default.
func goEnvironment(more ...string) []string {
	return append(os.Environ(), append([]string{"GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=", "GOARM64=", "GORISCV64=", "CGO_ENABLED=0"}, more...)...)
}

// build builds a program for a platform, and returns the file.
func (r *release) build(ctx context.Context, t target, program string) (string, error) {
	file := filepath.Join(r.work, t.os+"-"+t.arch, program+t.suffix())
	const stamp = " -X github.com/quantus-network/quantus-miner/internal/build."
	stamps := "-s -w" + stamp + "version=" + r.version + stamp + "revision=" + r.revision
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", stamps, "-o", file, "./cmd/"+program)
	c.Dir, c.Env = r.root, goEnvironment("GOOS="+t.os, "GOARCH="+t.arch)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", program, err, out)
	}
	return file, nil
}

// generate has the program itself make its manual pages, its completions and its file of
// variables.
func (r *release) generate(ctx context.Context) error {
	program, err := r.build(ctx, target{runtime.GOOS, runtime.GOARCH}, "quantus-miner")
	if err != nil {
		return err
	}
	say := func(args ...string) ([]byte, error) {
		var complaint bytes.Buffer
		c := exec.CommandContext(ctx, program, args...)
		c.Env, c.Stderr = []string{}, &complaint
		out, err := c.Output()
		if err != nil {
			return nil, fmt.Errorf("quantus-miner %s: %w\n%s", strings.Join(args, " "), err, &complaint)
		}
		return out, nil
	}
	add := func(name string, content []byte) { r.common = append(r.common, file{name: name, content: content}) }
	for _, name := range []string{"README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"} {
		content, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return err
		}
		add(name, content)
	}
	page, err := say("man")
	if err != nil {
		return err
	}
	add("man/quantus-miner.1", page)
	for _, command := range commands(page) {
		if page, err = say("man", command); err != nil {
			return err
		}
		add("man/quantus-miner-"+command+".1", page)
	}
	for shell, name := range map[string]string{"bash": "quantus-miner.bash", "zsh": "_quantus-miner", "fish": "quantus-miner.fish"} {
		script, err := say("completion", shell)
		if err != nil {
			return err
		}
		add("completions/"+name, script)
	}
	head, err := os.ReadFile(filepath.Join(r.root, "deploy/systemd/quantus-miner.env"))
	if err != nil {
		return err
	}
	variables, err := say("config", "--variables")
	if err != nil {
		return err
	}
	add("quantus-miner.env", append(head, variables...))
	return nil
}

// commands returns the commands that the program's manual page lists.
func commands(page []byte) (names []string) {
	_, list, _ := strings.Cut(string(page), "\n.SH COMMANDS\n")
	list, _, _ = strings.Cut(list, "\n.SH ")
	for line := range strings.Lines(list) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), ".B "); ok {
			names = append(names, strings.ReplaceAll(name, `\-`, "-"))
		}
	}
	return names
}

// make makes the files for one platform.
func (r *release) make(ctx context.Context, t target) error {
	files := append([]file(nil), r.common...)
	for _, program := range t.programs() {
		built, err := r.build(ctx, t, program)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(built)
		if err != nil {
			return err
		}
		files = append(files, file{name: program + t.suffix(), content: content, executable: true})
	}
	more := map[string][]string{
		"linux":  {"systemd/quantus-miner.service", "systemd/gpu.conf"},
		"darwin": {"launchd/network.quantus.miner.plist"},
	}
	for _, name := range more[t.os] {
		content, err := os.ReadFile(filepath.Join(r.root, "deploy", name))
		if err != nil {
			return err
		}
		files = append(files, file{name: filepath.Base(name), content: content})
	}
	if err := r.archive(t, files); err != nil {
		return err
	}
	if t.os == "linux" && (t.arch == "amd64" || t.arch == "arm64") {
		return r.packages(t, files)
	}
	return nil
}

// bill makes the bill of materials.
func (r *release) bill(ctx context.Context) error {
	c := exec.CommandContext(ctx, filepath.Join(r.root, ".ci/sbom"))
	c.Env = goEnvironment("CI_ARTIFACTS=" + r.out)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("making the bill of materials: %w\n%s", err, out)
	}
	return nil
}
