package main

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestVersions makes versions of commits with and without tags.
func TestVersions(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		c := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false"}, args...)...)
		c.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	want := func(version string) {
		t.Helper()
		s, err := readSource(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		version = strings.ReplaceAll(version, "HEAD", s.revision[:12])
		if s.version != version || s.revision != run("rev-parse", "HEAD") || !s.time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
			t.Errorf("%s %s %s, want %s", s.version, s.revision, s.time, version)
		}
	}
	file := filepath.Join(dir, "file")
	run("init", "-q")
	if err := os.WriteFile(file, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("add", ".")
	run("commit", "-qm", "1")
	want("v0.0.0-20260102030405-HEAD")
	run("tag", "v1.0")
	run("tag", "other")
	want("v0.0.0-20260102030405-HEAD") // those are no versions of modules
	run("tag", "v1.0.0-rc.1")
	run("tag", "v1.0.0")
	want("v1.0.0")
	run("commit", "-q", "--allow-empty", "-m", "2")
	want("v1.0.1-0.20260102030405-HEAD")
	if err := os.WriteFile(file, []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("v1.0.1-0.20260102030405-HEAD+dirty")
}

func TestCommands(t *testing.T) {
	page := ".SH NAME\n.B no\n.SH COMMANDS\n.TP\n.B serve\nServe.\n.TP\n.B a\\-b\nDo.\n.SH FLAGS\n.B no\n"
	if got := commands([]byte(page)); !slices.Equal(got, []string{"serve", "a-b"}) {
		t.Errorf("%q", got)
	}
}

func TestChoose(t *testing.T) {
	if got, err := choose("linux/arm64,windows/amd64"); err != nil || !slices.Equal(got, []target{{"linux", "arm64"}, {"windows", "amd64"}}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := choose(""); err != nil || !slices.Equal(got, targets) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose("linux/amd64,plan9/amd64"); err == nil || !strings.Contains(err.Error(), `-only: there is no platform "plan9/amd64"`) {
		t.Errorf("error %v", err)
	}
}

// TestArchives writes archives that do not depend on the order of the files, the time and
// the time zone, and looks at one.
func TestArchives(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)
	files := []file{{name: "b/c", content: []byte("text")}, {name: "a", content: []byte("program"), executable: true}}
	var contents [][]byte
	for _, os := range []string{"linux", "windows"} {
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("there", 3600)} {
			slices.Reverse(files)
			r := &release{source: source{version: "v1.0.0", time: at.In(zone).UTC()}, out: t.TempDir()}
			if err := r.archive(target{os, "amd64"}, files); err != nil {
				t.Fatal(err)
			}
			contents = append(contents, read(t, r.out))
		}
	}
	if !bytes.Equal(contents[0], contents[1]) || !bytes.Equal(contents[2], contents[3]) {
		t.Error("archives of the same files differ")
	}
	z, err := zip.NewReader(bytes.NewReader(contents[2]), int64(len(contents[2])))
	if err != nil {
		t.Fatal(err)
	}
	first := z.File[0]
	if first.Name != "quantus-miner_1.0.0_windows_amd64/a" || first.Mode() != 0o755 || !first.Modified.Equal(at) {
		t.Errorf("%s %s %s", first.Name, first.Mode(), first.Modified)
	}
}

// read returns the content of the one file in a directory.
func read(t *testing.T, dir string) []byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	content, err := os.ReadFile(filepath.Join(dir, entries[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	return content
}
