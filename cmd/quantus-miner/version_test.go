package main

import (
	"runtime/debug"
	"testing"
)

func TestVersionOf(t *testing.T) {
	settings := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: modified}}
	}
	for _, c := range []struct {
		module   string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.1.0", settings("false"), "v1.1.0"},
		{"(devel)", settings("false"), "(devel) 0123456789ab"},
		{"(devel)", settings("true"), "(devel) 0123456789ab+dirty"},
		{"(devel)", nil, "(devel)"},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings}
		if got := versionOf(info); got != c.want {
			t.Errorf("%s: %s, want %s", c.module, got, c.want)
		}
	}
}
