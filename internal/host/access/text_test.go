package access

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for _, c := range []struct{ name, content, want, err string }{
		{"as nodes write it", "secret\n", "secret", ""},
		{"without an end of its line", "secret", "secret", ""},
		{"of Windows", "secret\r\n", "secret", ""},
		{"white space around it", "\n \tsecret\u00a0\n\n", "secret", ""},
		{"spaces in it", "a secret of four words", "a secret of four words", ""},
		{"a byte order mark", "\ufeffsecret\r\n", "secret", ""},
		{"not ASCII", "sécret☃\U0001f40c", "sécret☃\U0001f40c", ""},
		{"empty", "", "", ""},
		{"a mark and nothing else", "\ufeff\n", "", ""},

		{"two lines", "secret\nsecret\n", "", "must be one line, and has more"},
		{"two lines of Windows", "secret\r\nsecret", "", "must be one line, and has more"},
		{"two lines of old", "secret\rsecret", "", "must be one line, and has more"},
		{"NUL at its end", "secret\x00\n", "", "must not have control characters: character 7 is U+0000"},
		{"NUL in front", "\x00secret", "", "must not have control characters: character 1 is U+0000"},
		{"a tab", "sec\tret", "", "must not have control characters: character 4 is U+0009"},
		{"escape", "é\x1b[0msecret", "", "must not have control characters: character 2 is U+001B"},
		{"DEL", "secret\x7f", "", "must not have control characters: character 7 is U+007F"},
		{"a control character beyond ASCII", "sec\u0080ret", "", "must not have control characters: character 4 is U+0080"},
		{"a second mark", "\ufeff\ufeffsecret", "", "must not have characters that cannot be seen: character 1 is U+FEFF"},
		{"a mark within", "sec\ufeffret", "", "must not have characters that cannot be seen: character 4 is U+FEFF"},
		{"a space of no width, as web pages have", "secret\u200b", "", "must not have characters that cannot be seen: character 7 is U+200B"},
		{"a separator of lines", "sec\u2028ret", "", "must not have characters that cannot be seen: character 4 is U+2028"},
		{"UTF-16 of Windows", "\xff\xfes\x00e\x00c\x00", "", "is in UTF-16, as Windows saves text: save it as UTF-8"},
		{"UTF-16, the other order", "\xfe\xff\x00s\x00e", "", "is in UTF-16, as Windows saves text: save it as UTF-8"},
		{"UTF-16 without a mark", "s\x00e\x00", "", "must not have control characters: character 2 is U+0000"},
	} {
		got, err := Line([]byte(c.content))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: %q, %v; want %q, %s", c.name, got, err, c.want, c.err)
		}
	}
}

func TestReadLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{
		"\ufeffsecret\n":              "secret",
		"secret\nsecond\n":            path + ": must be one line, and has more",
		strings.Repeat("secret ", 10): path + ": must not be larger than 64 bytes",
	} {
		put(t, path, content)
		got, err := ReadLine(path, 64)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s", content, got)
		}
	}
	if _, err := ReadLine(path+".none", 64); err == nil {
		t.Error("a file that is not there is read")
	}
}

// FuzzLine holds what is accepted to its visible characters, and errors to not quoting.
func FuzzLine(f *testing.F) {
	f.Add([]byte("\ufeffsecret\r\n"))
	f.Add([]byte("a\x00b"))
	f.Add([]byte("\xff\xfea\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		line, err := Line(content)
		if err != nil {
			if line != "" {
				t.Errorf("%q: %q with the error %v", content, line, err)
			}
			return
		}
		if !strings.Contains(string(content), line) || strings.TrimSpace(line) != line || strings.ContainsAny(line, "\x00\r\n\t\ufeff") {
			t.Errorf("%q was read as %q", content, line)
		}
	})
}
