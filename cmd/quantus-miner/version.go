package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// versionCmd prints the version.
type versionCmd struct{}

// Run prints.
func (versionCmd) Run(s streams) error {
	if _, err := fmt.Fprintf(s.out, "quantus-miner %s, %s, %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH); err != nil {
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

// revision is the commit that a build from a checkout was made of.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "(unknown)"
}

// version is the module's version, which Go derives from the commit in a build from a
// checkout. Where it does not it is "(devel)", with the commit if that is known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return versionOf(info)
}

// versionOf is the version of a build.
func versionOf(info *debug.BuildInfo) string {
	setting := make(map[string]string)
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	commit := setting["vcs.revision"]
	if info.Main.Version != "(devel)" || commit == "" {
		return info.Main.Version
	}
	version := "(devel) " + commit[:min(12, len(commit))]
	if setting["vcs.modified"] == "true" {
		version += "+dirty"
	}
	return version
}
