package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quantus-network/quantus-miner/internal/cli"
)

// TestManual looks for every command, flag and variable in the manual pages and in the
// completions.
func TestManual(t *testing.T) {
	l, err := newLineOf(t.Context(), new(commands), streams{})
	if err != nil {
		t.Fatal(err)
	}
	app := l.parser.Model
	for _, node := range app.Children {
		var page strings.Builder
		if err := cli.Manual(&page, app, node, program, "1"); err != nil {
			t.Error(err)
		}
		text := strings.ReplaceAll(page.String(), `\-`, "-")
		for _, flag := range node.Flags {
			for _, name := range slices.Concat([]string{"--" + flag.Name}, flag.Envs) {
				if !strings.Contains(text, name) && !flag.Hidden {
					t.Errorf("the page of %s lacks %s", node.Name, name)
				}
			}
			if flag.Hidden && strings.Contains(text, "--"+flag.Name) {
				t.Errorf("the page of %s has %s", node.Name, flag.Name)
			}
		}
	}
	for _, shell := range cli.Shells() {
		var script strings.Builder
		if err := cli.Completion(&script, shell, app, program); err != nil {
			t.Error(err)
		}
		for _, node := range app.Children {
			if !strings.Contains(script.String(), node.Name) {
				t.Errorf("the completions of %s lack %s", shell, node.Name)
			}
		}
		for flag := range cli.Flags(app.Node) {
			if !strings.Contains(script.String(), flag.Name) && !flag.Hidden {
				t.Errorf("the completions of %s lack %s", shell, flag.Name)
			}
		}
	}
	if err := cli.Completion(new(strings.Builder), "sh", app, program); err == nil {
		t.Error("there are completions of sh")
	}
}

// TestVariablesFile has every variable of the commands that mine in the file that config
// --variables prints, where none is set, and those of one command under its heading.
func TestVariablesFile(t *testing.T) {
	var out strings.Builder
	if code := run(t.Context(), []string{"config", "--variables"}, streams{out: &out, err: &out}); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &out)
	}
	l, err := newLineOf(t.Context(), new(duties), streams{})
	if err != nil {
		t.Fatal(err)
	}
	file := out.String()
	for flag := range cli.Flags(l.parser.Model.Node) {
		for i, name := range flag.Envs {
			form := "\n#" + name + "="
			if i > 0 {
				form = name
			}
			if !flag.Hidden && (!strings.Contains(file, form) || strings.Contains(file, form+"\n")) {
				t.Errorf("it lacks %s, or an example of it", name)
			}
		}
	}
	for line := range strings.Lines(file) {
		if line != "\n" && !strings.HasPrefix(line, "#") {
			t.Errorf("a variable is set: %s", line)
		}
	}
	sections := strings.Split(file, "\n#### For ")
	i := slices.IndexFunc(sections, func(s string) bool { return strings.HasPrefix(s, "connect\n") })
	if i < 0 || !strings.Contains(sections[i], "\n#MINER_NODE_ADDR=HOST:PORT\n") || strings.Contains(sections[i], "MINER_WORKERS") {
		t.Errorf("the variables of connect are elsewhere:\n%s", file)
	}
	if last := sections[len(sections)-1]; !strings.HasPrefix(last, "all commands\n") || !strings.Contains(last, "\n#MINER_WORKERS=N\n") || !strings.Contains(last, "\n#MINER_SIMD_KERNEL=") {
		t.Errorf("the variables of all commands are elsewhere:\n%s", file)
	}
}

// TestOwnLines has a command line of one command alone mean what it means among all commands,
// and know the variables of the others.
func TestOwnLines(t *testing.T) {
	whole, err := newLineOf(t.Context(), new(commands), streams{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"serve", "connect", "pool", "work"} {
		own, err := newLine(t.Context(), []string{name}, streams{})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(own.parser.Model.Children); n != 1 {
			t.Errorf("%s has a line of %d commands", name, n)
		}
		var manual, among strings.Builder
		if err := cli.Manual(&manual, own.parser.Model, own.parser.Model.Children[0], program, ""); err != nil {
			t.Fatal(err)
		}
		for _, node := range whole.parser.Model.Children {
			if node.Name == name {
				if err := cli.Manual(&among, whole.parser.Model, node, program, ""); err != nil {
					t.Fatal(err)
				}
			}
		}
		page, _, _ := strings.Cut(manual.String(), ".SH SEE ALSO")
		want, _, _ := strings.Cut(among.String(), ".SH SEE ALSO")
		if diff := cmp.Diff(want, page); diff != "" {
			t.Errorf("%s among all commands and alone:\n%s", name, diff)
		}
		t.Setenv("MINER_TLS_CERT_SHA256", "x")
		t.Setenv("MINER_POOL_URL", "x")
		t.Setenv("MINER_PORT", "x")
		t.Setenv("MINER_WORKER", "x")
		if warnings := own.unknownVariables(); len(warnings) != 1 || !strings.Contains(warnings[0], "did you mean MINER_WORKERS?") {
			t.Errorf("%s warns: %q", name, warnings)
		}
	}
}

// TestSecrets has every command know that a token is a secret, and a password.
func TestSecrets(t *testing.T) {
	l, err := newLineOf(t.Context(), new(commands), streams{})
	if err != nil {
		t.Fatal(err)
	}
	for flag := range cli.Flags(l.parser.Model.Node) {
		if (flag.Name == "auth-token" || flag.Name == "password") && !flag.Tag.Has(cli.SecretTag) {
			t.Errorf("--%s of a command is not marked as a secret", flag.Name)
		}
	}
}
