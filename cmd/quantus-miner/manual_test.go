package main

import (
	"slices"
	"strings"
	"testing"

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

// TestVariables has every variable known to the commands that mine: they warn about those
// that are not.
func TestVariables(t *testing.T) {
	whole, err := newLineOf(t.Context(), new(commands), streams{})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := newLineOf(t.Context(), new(duties), streams{})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for flag := range cli.Flags(mine.parser.Model.Node) {
		for _, name := range flag.Envs {
			known[name] = true
		}
	}
	for flag := range cli.Flags(whole.parser.Model.Node) {
		for _, name := range flag.Envs {
			if !known[name] {
				t.Errorf("serve and connect do not know %s", name)
			}
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
