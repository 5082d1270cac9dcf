package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/quantus-network/quantus-miner/internal/cli"
)

// program is the name that completions and manual pages are for.
const program = "quantus-miner"

// completionCmd prints completions for a shell.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: bash, zsh or fish."`
}

// Help is what --help says beyond the summary.
func (c *completionCmd) Help() string {
	return "For example:\n\n" +
		"  source <(quantus-miner completion bash)\n\n" +
		"  quantus-miner completion zsh >\"${fpath[1]}/_quantus-miner\"\n\n" +
		"  quantus-miner completion fish >~/.config/fish/completions/quantus-miner.fish\n"
}

// Run prints.
func (c *completionCmd) Run(s streams, parser *kong.Kong) error {
	return cli.Completion(s.out, c.Shell, parser.Model, program)
}

// manCmd prints manual pages.
type manCmd struct {
	Command string `arg:"" commands:"" optional:"" help:"Command of which to print the page; none is the program itself."`
}

// Help is what --help says beyond the summary.
func (c *manCmd) Help() string {
	return "For example:\n\n  quantus-miner man connect | man -l -\n"
}

// Run prints.
func (c *manCmd) Run(s streams, parser *kong.Kong) error {
	if c.Command == "" {
		return cli.Manual(s.out, parser.Model, parser.Model.Node, program, version())
	}
	for _, node := range parser.Model.Children {
		if node.Name == c.Command {
			return cli.Manual(s.out, parser.Model, node, program, version())
		}
	}
	return exitError{exitUsage, fmt.Errorf("there is no command %q", c.Command)}
}
