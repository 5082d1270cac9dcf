package build

import (
	"runtime/debug"
	"testing"
)

func TestOf(t *testing.T) {
	const commit = "0123456789abcdef0123"
	known := func(module, commit, modified string) *debug.BuildInfo {
		info := &debug.BuildInfo{Main: debug.Module{Version: module}}
		if commit != "" {
			info.Settings = []debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: modified}}
		}
		return info
	}
	for _, c := range []struct {
		known             *debug.BuildInfo
		version, revision string // that the linker was told
		want              Info
		text              string
	}{
		{known("v1.1.0", commit, "false"), "", "", Info{Version: "v1.1.0", Revision: commit}, "v1.1.0 (0123456789ab)"},
		{known("v0.0.0-20260102030405-0123456789ab", commit, "false"), "", "", Info{Version: "v0.0.0-20260102030405-0123456789ab", Revision: commit}, "v0.0.0-20260102030405-0123456789ab"},
		{known("(devel)", commit, "false"), "", "", Info{Version: "(devel) 0123456789ab", Revision: commit}, "(devel) 0123456789ab"},
		{known("(devel)", commit, "true"), "", "", Info{Version: "(devel) 0123456789ab+dirty", Revision: commit, Modified: true}, "(devel) 0123456789ab+dirty"},
		{known("(devel)", "", ""), "", "", Info{Version: "(devel)", Revision: Unknown}, "(devel)"},
		{known("", "", ""), "", "", Info{Version: Unknown, Revision: Unknown}, Unknown},
		{known("(devel)", "", ""), "v1.0.0", commit, Info{Version: "v1.0.0", Revision: commit}, "v1.0.0 (0123456789ab)"},
		{known("v9.9.9", "feed", "true"), "v1.0.0", commit, Info{Version: "v1.0.0", Revision: commit}, "v1.0.0 (0123456789ab)"},
	} {
		got := of(c.known, c.version, c.revision)
		if got != c.want || got.String() != c.text {
			t.Errorf("%v, linked as %q %q: %+v, want %+v; %s, want %s", c.known.Main.Version, c.version, c.revision, got, c.want, got, c.text)
		}
	}
}
