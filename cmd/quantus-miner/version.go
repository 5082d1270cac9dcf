package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/quantus-network/quantus-miner/internal/build"
)

// versionCmd prints the version.
type versionCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run prints.
func (c versionCmd) Run(s streams) error {
	info := build.Read()
	if c.JSON {
		return printJSON(s.out, info)
	}
	if _, err := fmt.Fprintf(s.out, "quantus-miner %s, %s, %s/%s\n", info, info.Go, info.OS, info.Arch); err != nil {
		return fmt.Errorf("writing the version: %w", err)
	}
	return nil
}

// versionFlag asks for the version, instead of a command.
type versionFlag bool

// BeforeReset prints, before anything else is looked at.
func (versionFlag) BeforeReset(parser *kong.Kong, s streams) error {
	if err := (versionCmd{}).Run(s); err != nil {
		return err
	}
	parser.Exit(exitOK)
	return nil
}

// version is the version of this program.
func version() string { return build.Read().Version }

// revision is the commit that this program was built from.
func revision() string { return build.Read().Revision }
