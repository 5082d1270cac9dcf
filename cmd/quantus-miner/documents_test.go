package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/cli"
	"github.com/quantus-network/quantus-miner/internal/pow"
)

// foreign are the flags of other programs that the documents name.
var foreign = []string{
	"--base-path", "--chain", "--external-miner-url", "--miner-listen-port", "--validator", // a node's
	"--env-file", "--gpus", "--secret", "--name", "--restart", "--read-only", "--cap-drop", "--rm", "--cpus", "--cpu-shares", "--build-arg", "--format", // a container's
	"--now", "--ignore-missing", "--check", "--strip-components", // of systemctl, sha256sum, tar
	"--bundle", "--certificate-identity-regexp", "--certificate-oidc-issuer", "--repo", // of cosign and gh
}

// TestDocuments has the documents name no flag and no variable that the program does not have.
func TestDocuments(t *testing.T) {
	l, err := newLineOf(t.Context(), new(commands), streams{})
	if err != nil {
		t.Fatal(err)
	}
	known := append([]string{pow.KernelVariable, backendVariable, variables}, foreign...)
	for flag := range cli.Flags(l.parser.Model.Node) {
		known = append(known, names(flag)...)
		known = append(known, flag.Envs...)
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal("no documents found", err)
	}
	for _, page := range append(pages, "../../README.md", "../../SECURITY.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)(?:^|[^-\w])(--[a-z][a-z0-9-]+|MINER_[A-Z0-9_]*)`).FindAllStringSubmatch(string(text), -1) {
			if name := found[1]; !slices.Contains(known, name) {
				t.Errorf("%s names %s, which neither this program has nor one that is known here", filepath.Base(page), name)
			}
		}
	}
}
