package broker

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quantus-network/quantus-miner/internal/host/access"
)

// TestIdentityStays makes an identity, and finds it again.
func TestIdentityStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "fleet")
	made, err := OpenIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Token) < 32 {
		t.Errorf("a token of %d characters", len(made.Token))
	}
	for _, file := range []string{FingerprintFile, certificateFile} { // which follow from the key
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := OpenIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if made.Token != again.Token || made.Fingerprint != again.Fingerprint {
		t.Error("the identity is another one the second time")
	}
	if pin, err := os.ReadFile(filepath.Join(dir, FingerprintFile)); err != nil || string(pin) != made.Fingerprint.String()+"\n" {
		t.Errorf("the fingerprint's file has %q, %v", pin, err)
	}
	other, err := OpenIdentity(t.TempDir())
	if err != nil || other.Token == made.Token || other.Fingerprint == made.Fingerprint {
		t.Errorf("two hubs have the same identity, %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	modes := map[string]os.FileMode{}
	for _, file := range []string{".", TokenFile, keyFile} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		modes[file] = info.Mode().Perm()
	}
	if diff := cmp.Diff(map[string]os.FileMode{".": 0o700, TokenFile: 0o600, keyFile: 0o600}, modes); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
}

// TestIdentityMadeOnce has many open the same new directory at once: all get one identity, and nothing
// else is left there.
func TestIdentityMadeOnce(t *testing.T) {
	dir := t.TempDir()
	tokens := make([]string, 8)
	var opening sync.WaitGroup
	for i := range tokens {
		opening.Go(func() {
			id, err := OpenIdentity(dir)
			if err != nil {
				t.Error(err)
			}
			tokens[i] = id.Token + id.Fingerprint.String()
		})
	}
	opening.Wait()
	id, err := OpenIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if token != id.Token+id.Fingerprint.String() {
			t.Errorf("one has another identity")
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestBrokenIdentity breaks one file at a time.
func TestBrokenIdentity(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(dir string) error
		want   string
	}{
		{"no key", func(dir string) error { return os.Remove(filepath.Join(dir, keyFile)) }, keyFile},
		{"an empty token", func(dir string) error { return os.WriteFile(filepath.Join(dir, TokenFile), nil, 0o600) }, "16 to 256 characters"},
		{"two lines", func(dir string) error { return os.WriteFile(filepath.Join(dir, TokenFile), []byte("a\nb\n"), 0o600) }, "one line"},
		{"another key", func(dir string) error {
			if err := os.RemoveAll(filepath.Join(dir, certificateFile)); err != nil {
				return err
			}
			other := filepath.Join(dir, "other")
			if _, err := OpenIdentity(other); err != nil {
				return err
			}
			return os.Rename(filepath.Join(other, certificateFile), filepath.Join(dir, certificateFile))
		}, "new ones are made"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := OpenIdentity(dir); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			_, err := OpenIdentity(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestExposedIdentity opens one that others can read.
func TestExposedIdentity(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes")
	}
	for _, file := range []string{TokenFile, keyFile} {
		dir := t.TempDir()
		if _, err := OpenIdentity(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, file), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenIdentity(dir); err == nil || !strings.Contains(err.Error(), access.ErrExposed.Error()) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestCredentialsFile reads what NATS servers know clients by.
func TestCredentialsFile(t *testing.T) {
	for _, c := range []struct{ text, err string }{
		{"hub:secret\n", ""},
		{"-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n", ""},
		{"hub", "must have"},
		{":secret", "must have"},
		{"", "must have"},
		{"a:b\nc:d\n", "one line"},
	} {
		file := filepath.Join(t.TempDir(), "creds")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := CheckCredentials(file)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", c.text, err)
		}
	}
}
