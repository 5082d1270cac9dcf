//go:build unix

package access

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExposed reads secrets with modes as containers and systemd give them, in the places
// where that is accepted and in others.
func TestExposed(t *testing.T) {
	dir := t.TempDir()
	credentials, elsewhere := filepath.Join(dir, "credentials"), filepath.Join(dir, "elsewhere")
	for _, d := range []string{credentials, elsewhere, credentials + ".d"} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	inside, outside := filepath.Join(credentials, "token"), filepath.Join(elsewhere, "token")
	put(t, inside, theToken)
	put(t, outside, theToken)
	put(t, filepath.Join(credentials+".d", "token"), theToken)
	for name, target := range map[string]string{
		filepath.Join(credentials, "out"): outside,
		filepath.Join(elsewhere, "in"):    inside,
		filepath.Join(dir, "link"):        credentials,
	} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)

	mounted := func(readOnly bool) places { return places{"", func(*os.File) bool { return readOnly }} }
	systemd := func(dir string) places { return places{dir, func(*os.File) bool { return false }} }
	const refused, quiet = "refused", "" // or what the warning says
	const readOnly, credential = "it is on a read-only mount", "it is in systemd's directory of credentials"
	for _, c := range []struct {
		name      string
		places    places
		path      string
		mode      fs.FileMode
		forbidden fs.FileMode
		want      string
	}{
		{"a secret of Docker's", mounted(true), outside, 0o444, SecretMode, readOnly},
		{"a secret of Kubernetes'", mounted(true), outside, 0o644, SecretMode, readOnly},
		{"a key of Kubernetes'", mounted(true), outside, 0o644, forbiddenKeyMode, readOnly},
		{"a secret mounted right", mounted(true), outside, 0o440, SecretMode, quiet},
		{"what others can write elsewhere", mounted(true), outside, 0o646, SecretMode, refused},
		{"what the group can write elsewhere", mounted(true), outside, 0o664, SecretMode, refused},
		{"a key that its group can write", mounted(true), outside, 0o660, forbiddenKeyMode, quiet},
		{"the same mode elsewhere", mounted(false), outside, 0o444, SecretMode, refused},
		{"a certificate", mounted(false), outside, 0o666, 0, quiet},

		{"a credential", systemd(credentials), inside, 0o444, SecretMode, credential},
		{"a credential by a relative path", systemd(credentials), "credentials/token", 0o444, SecretMode, credential},
		{"a credential as systemd has it", systemd(credentials), inside, 0o400, SecretMode, quiet},
		{"a directory behind a symlink", systemd(filepath.Join(dir, "link")), inside, 0o444, SecretMode, credential},
		{"a symlink to a credential", systemd(credentials), filepath.Join(elsewhere, "in"), 0o444, SecretMode, credential},
		{"a symlink out of the directory", systemd(credentials), filepath.Join(credentials, "out"), 0o444, SecretMode, refused},
		{"beside the directory", systemd(credentials), filepath.Join(credentials+".d", "token"), 0o444, SecretMode, refused},
		{"a credential that others can write", systemd(credentials), inside, 0o466, SecretMode, refused},
		{"a relative directory", systemd("credentials"), inside, 0o444, SecretMode, refused},
		{"a directory that is not there", systemd(filepath.Join(dir, "none")), inside, 0o444, SecretMode, refused},
		{"no directory", systemd(""), inside, 0o444, SecretMode, refused},
	} {
		if err := os.Chmod(c.path, c.mode); err != nil {
			t.Fatal(err)
		}
		content, err := read(c.path, maxFile, c.forbidden, c.places)
		if c.want == refused {
			if err == nil || !strings.Contains(err.Error(), "gives away a secret") {
				t.Errorf("%s: %q, %v", c.name, content, err)
			}
		} else if err != nil || string(content) != theToken {
			t.Errorf("%s: %q, %v", c.name, content, err)
		}

		var j journal
		warnExposed(j.log(), c.path, c.forbidden, c.places)
		switch lines := j.lines(slog.LevelWarn); {
		case c.want == refused: // which the error says
		case c.want == quiet && len(lines) > 0:
			t.Errorf("%s: the log has %s", c.name, lines)
		case c.want != quiet && (len(lines) != 1 || !strings.Contains(lines[0], c.want) || !strings.Contains(lines[0], c.path)):
			t.Errorf("%s: the log has %s, want %s", c.name, lines, c.want)
		}
	}
}
