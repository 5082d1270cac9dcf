package access

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// texts holds files in a test, as their contents.
type texts struct {
	*reloader[string]
	journal journal
	loaded  int
	failure error // of the next loads, unless they fail by themselves
}

// newTexts returns the contents of files.
func newTexts(t *testing.T, paths ...string) *texts {
	t.Helper()
	c := new(texts)
	load := func() (string, error) {
		c.loaded++
		var all strings.Builder
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			all.Write(content)
		}
		return all.String(), c.failure
	}
	var err error
	if c.reloader, err = newReloader("texts", c.journal.log(), load, paths...); err != nil {
		t.Fatal(err)
	}
	return c
}

// expect waits so long, and gets what is in force.
func (c *texts) expect(t *testing.T, after time.Duration, want string, loaded, errors int) {
	t.Helper()
	<-time.After(after)
	c.loaded = 0
	got := c.get()
	if lines := c.journal.lines(slog.LevelError); got != want || c.loaded != loaded || len(lines) != errors {
		t.Errorf("%q, loaded %d times, want %q, loaded %d times, and %d errors: %s", got, c.loaded, want, loaded, errors, lines)
	}
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
		put(t, first, "a")
		put(t, second, "b")
		c := newTexts(t, first, second)
		c.expect(t, 0, "ab", 0, 0)
		c.expect(t, time.Hour, "ab", 0, 0)
		put(t, second, "B")
		c.expect(t, lookInterval-1, "ab", 0, 0) // too soon after the last look
		c.expect(t, 1, "aB", 1, 0)
		put(t, first, "A")
		c.expect(t, 0, "aB", 0, 0)
		c.expect(t, lookInterval, "AB", 1, 0)
		c.expect(t, lookInterval, "AB", 0, 0)

		if err := os.Remove(first); err != nil {
			t.Fatal(err)
		}
		c.expect(t, lookInterval, "AB", 1, 1)
		c.expect(t, 0, "AB", 0, 0)
		c.expect(t, lookInterval, "AB", 1, 0) // tried again, with the same result
		if err := os.Remove(second); err != nil {
			t.Fatal(err)
		}
		c.expect(t, lookInterval, "AB", 1, 1)
		put(t, first, "a")
		c.expect(t, lookInterval, "AB", 1, 1)
		put(t, second, "b")
		c.expect(t, lookInterval, "ab", 1, 0)

		// Something fails that is none of the files' faults, and passes by itself.
		put(t, first, "A")
		c.failure = errors.New("too many open files")
		c.expect(t, lookInterval, "ab", 1, 1)
		c.failure = errors.New("out of memory")
		c.expect(t, lookInterval, "ab", 1, 1)
		c.failure = nil
		c.expect(t, lookInterval, "Ab", 1, 0)
		c.expect(t, lookInterval, "Ab", 0, 0)

		// Wrong in the same way, but another version.
		c.failure = errors.New("no sense in it")
		put(t, first, "1")
		c.expect(t, lookInterval, "Ab", 1, 1)
		put(t, first, "2")
		c.expect(t, lookInterval, "Ab", 1, 1)
	})
}

// TestVersions tells versions of a file by one thing at a time.
func TestVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
		at := time.Unix(1<<30, 0)
		set := func(path, content string, at time.Time) {
			t.Helper()
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		set(path, "1", at)
		c := newTexts(t, path)
		set(path, "2", at.Add(time.Second))
		c.expect(t, lookInterval, "2", 1, 0)
		set(path, "3", at) // an older one, restored
		c.expect(t, lookInterval, "3", 1, 0)
		set(path, "44", at)
		c.expect(t, lookInterval, "44", 1, 0)
		set(other, "55", at)
		if err := os.Rename(other, path); err != nil {
			t.Fatal(err)
		}
		c.expect(t, lookInterval, "55", 1, 0)
		c.expect(t, lookInterval, "55", 0, 0)
	})
}
