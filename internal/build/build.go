// Package build tells what a program was built from.
package build

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// Of a release the linker sets these (-ldflags "-X …/internal/build.version=v1.0.0"), as
// tools/release does: Go's own stamps are missing from builds of a source archive, of a
// worktree of git, and with -buildvcs=false.
var version, revision string

// Unknown is what takes the place of what a build was not told.
const Unknown = "(unknown)"

// Info is what a program was built from. Its names in JSON are part of the contract of
// "quantus-miner version --json".
type Info struct {
	Version  string `json:"version"`  // as Go writes versions of modules: v1.0.0, a pseudo-version, or (devel)
	Revision string `json:"revision"` // the commit, in hex, or (unknown)
	Modified bool   `json:"modified"` // whether the checkout had changes that are in no commit
	Go       string `json:"go"`       // version of the toolchain
	OS       string `json:"os"`       // as Go calls it
	Arch     string `json:"arch"`     // as Go calls it
}

// Read returns what the running program was built from.
func Read() Info {
	info := Info{Version: Unknown, Revision: Unknown}
	if known, ok := debug.ReadBuildInfo(); ok {
		info = of(known, version, revision)
	}
	info.Go, info.OS, info.Arch = runtime.Version(), runtime.GOOS, runtime.GOARCH
	return info
}

// of returns what a build is of: what the linker was told, or else what Go knows.
func of(known *debug.BuildInfo, version, revision string) Info {
	if version != "" && revision != "" {
		return Info{Version: version, Revision: revision}
	}
	info := Info{Version: known.Main.Version, Revision: Unknown}
	for _, s := range known.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Revision = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		}
	}
	switch {
	case info.Version == "":
		info.Version = Unknown
	case info.Version == "(devel)" && info.Revision != Unknown:
		info.Version += " " + short(info.Revision)
		if info.Modified {
			info.Version += "+dirty"
		}
	}
	return info
}

// String returns the version, with the commit unless the version has it.
func (i Info) String() string {
	if i.Revision == Unknown || strings.Contains(i.Version, short(i.Revision)) {
		return i.Version
	}
	return i.Version + " (" + short(i.Revision) + ")"
}

// short returns as much of a commit as Go puts into versions.
func short(revision string) string { return revision[:min(12, len(revision))] }
