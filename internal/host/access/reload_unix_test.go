//go:build unix

package access

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	put(t, path, theToken)
	for _, c := range []struct {
		mode      fs.FileMode
		forbidden fs.FileMode
		err       string
	}{
		{0o600, SecretMode, ""},
		{0o400, SecretMode, ""},
		{0o640, SecretMode, ""},
		{0o750, SecretMode, ""},
		{0o644, SecretMode, "its mode is 0644, which gives away a secret: it must be 0640 or stricter"},
		{0o602, SecretMode, "its mode is 0602, which gives away a secret: it must be 0600 or stricter"},
		{0o601, SecretMode, "its mode is 0601, which gives away a secret: it must be 0600 or stricter"},
		{0o660, SecretMode, "its mode is 0660, which gives away a secret: it must be 0640 or stricter"},
		{0o777, SecretMode, "its mode is 0777, which gives away a secret: it must be 0750 or stricter"},
		{0o600, forbiddenKeyMode, ""},
		{0o660, forbiddenKeyMode, ""},
		{0o664, forbiddenKeyMode, "its mode is 0664, which gives away a secret: it must be 0660 or stricter"},
		{0o622, forbiddenKeyMode, "its mode is 0622, which gives away a secret: it must be 0620 or stricter"},
		{0o611, forbiddenKeyMode, "its mode is 0611, which gives away a secret: it must be 0610 or stricter"},
		{0o666, 0, ""},
	} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		content, err := Read(path, maxFile, c.forbidden)
		if c.err == "" {
			if err != nil || string(content) != theToken {
				t.Errorf("%04o without %04o: %q, %v", c.mode, c.forbidden, content, err)
			}
		} else if err == nil || err.Error() != path+": "+c.err {
			t.Errorf("%04o without %04o: %v, want %s", c.mode, c.forbidden, err, c.err)
		}
	}
}

// TestModesInUse looks which modes credentials and keys may have.
func TestModesInUse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "auth")
	put(t, path, theToken)
	certFile, keyFile := newPair(t, "miner", time.Now()).put(t, dir)
	for _, c := range []struct {
		mode             fs.FileMode
		guard, key, cert bool
	}{
		{0o640, true, true, true},
		{0o660, false, true, true},
		{0o644, false, false, true},
	} {
		for _, file := range []string{path, certFile, keyFile} {
			if err := os.Chmod(file, c.mode); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := NewGuard(path, nil); (err == nil) != c.guard {
			t.Errorf("%04o: credentials: %v", c.mode, err)
		}
		if _, err := TLS(certFile, keyFile, nil); (err == nil) != c.key {
			t.Errorf("%04o: the key: %v", c.mode, err)
		}
		if err := os.Chmod(keyFile, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := TLS(certFile, keyFile, nil); (err == nil) != c.cert {
			t.Errorf("%04o: the certificate: %v", c.mode, err)
		}
	}
}

// TestModeChanges makes a secret public, and private again.
func TestModeChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "auth")
		put(t, path, theToken)
		var j journal
		g, err := NewGuard(path, j.log())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			mode fs.FileMode
			says string
		}{
			{0o644, "its mode is 0644"},
			{0o600, "reloaded the credentials"},
		} {
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			<-time.After(lookInterval)
			if !g.credentials.get().isToken(theToken) {
				t.Errorf("%04o: the token is wrong", c.mode)
			}
			if text := j.text.String(); !strings.Contains(text, c.says) {
				t.Errorf("%04o: the log has %s", c.mode, text)
			}
		}
	})
}

// TestFIFO gives the name of a FIFO, which nobody writes to.
func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewGuard(path, nil); err == nil || err.Error() != "credentials: "+path+": must be a regular file" {
		t.Errorf("the error is %v", err)
	}
}

// TestVolume updates a file as Kubernetes does: its name is a link through a link to
// a directory, which is replaced. All versions have the same time and size.
func TestVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		at := time.Unix(1<<30, 0)
		mount := func(version, content string) {
			t.Helper()
			file := filepath.Join(dir, version, "auth")
			for _, err := range []error{
				os.Mkdir(filepath.Join(dir, version), 0o700),
				os.WriteFile(file, []byte(content), 0o600),
				os.Chtimes(file, at, at),
				os.Symlink(version, filepath.Join(dir, "..new")),
				os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		mount("..1", "one")
		path := filepath.Join(dir, "auth")
		if err := os.Symlink(filepath.Join("..data", "auth"), path); err != nil {
			t.Fatal(err)
		}
		c := newTexts(t, path)
		c.expect(t, lookInterval, "one", 0, 0)
		mount("..2", "two")
		c.expect(t, lookInterval, "two", 1, 0)
		c.expect(t, lookInterval, "two", 0, 0)
	})
}
