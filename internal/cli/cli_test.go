package cli

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

func TestNearest(t *testing.T) {
	names := []string{"serve", "connect", "search", "verify", "bench", "WORKERS", "METRICS_PORT"}
	for text, want := range map[string]string{
		"serv": "serve", "sreve": "", "conect": "connect", "conenct": "connect", "benchmark": "", "WORKER": "WORKERS",
		"METRIC_PORTS": "METRICS_PORT", "": "", "x": "", "serve": "serve",
	} {
		if got := Nearest(text, names); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ä", "a", 1}, {"flaw", "lawn", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// grammar is a command line for tests.
type grammar struct {
	Run struct {
		Workers int      `aliases:"cores" env:"CLI_TEST_WORKERS,CLI_TEST_CORES" default:"4"`
		Node    []string `env:"CLI_TEST_NODE"`
		Token   string   `env:"CLI_TEST_TOKEN" secret:""`
		Port    *int     `env:"CLI_TEST_PORT"`
		Quiet   bool     `short:"q"`
	} `cmd:"" default:"withargs"`
	Look struct {
		Deep bool `short:"d"`
	} `cmd:""`
}

// parse parses a command line, with a configuration file if there is a text of it.
func parse(t *testing.T, file string, args ...string) (*grammar, *Settings, *kong.Context, error) {
	t.Helper()
	g, settings := new(grammar), &Settings{Defaults: map[string]string{"port": "9"}}
	parser, err := kong.New(g, kong.Resolvers(settings), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	if file != "" {
		read := func(path string, secret bool) ([]byte, error) {
			if secret && strings.Contains(file, "# open") {
				return nil, errors.New("anyone can read it")
			}
			return []byte(file), nil
		}
		if err := settings.Load("file", parser.Model, read); err != nil {
			return g, settings, nil, err
		}
	}
	ctx, err := parser.Parse(args)
	return g, settings, ctx, err
}

// TestSettings has values in several places, of which one wins.
func TestSettings(t *testing.T) {
	t.Setenv("CLI_TEST_NODE", "b")
	t.Setenv("CLI_TEST_CORES", "3")
	file := "token: 007\nnode: [x, y]\ncores: 2\n"
	g, settings, ctx, err := parse(t, file, "--workers", "1")
	if err != nil {
		t.Fatal(err)
	}
	if g.Run.Token != "007" || g.Run.Workers != 1 || *g.Run.Port != 9 || !slices.Equal(g.Run.Node, []string{"b"}) {
		t.Errorf("%+v", g.Run)
	}
	want := []Setting{
		{"--workers", "1", FromFlag, ""},
		{"--node", "b", FromVariable, "CLI_TEST_NODE"},
		{"--token", hidden, FromFile, "file, line 1"},
		{"--port", "9", FromDefault, ""},
		{"--quiet", "false", FromDefault, ""},
	}
	if diff := cmp.Diff(want, settings.Of(ctx)); diff != "" {
		t.Error(diff)
	}

	os.Unsetenv("CLI_TEST_NODE")
	g, settings, ctx, err = parse(t, file+"port: 8\nquiet: yes\n")
	if err != nil || g.Run.Workers != 3 || *g.Run.Port != 8 || !g.Run.Quiet || !slices.Equal(g.Run.Node, []string{"x", "y"}) {
		t.Errorf("%+v, %v", g.Run, err)
	}
	if got := settings.Of(ctx)[:2]; !cmp.Equal(got, []Setting{
		{"--workers", "3", FromVariable, "CLI_TEST_CORES"},
		{"--node", "x,y", FromFile, "file, line 2"},
	}) {
		t.Errorf("%+v", got)
	}
}

// TestSettingsWrong has files that are refused.
func TestSettingsWrong(t *testing.T) {
	for file, want := range map[string]string{
		"wrokers: 1":                "file, line 1: there is no flag --wrokers; did you mean workers?",
		"something-else: 1":         "file, line 1: there is no flag --something-else",
		"node: [[a]]":               "file, line 1: node: must be a list of values",
		"node: [a, ~]":              "must be a list of values",
		"token: [a]":                "must be one value, not a list",
		"- a":                       "file, line 1: must be lines of the form flag: value",
		"token: x # open":           "anyone can read it",
		"\n\nworkers: x":            "--workers: expected a valid 64 bit int but got \"x\" (file, line 3)",
		"quiet: perhaps":            "(file, line 1)",
		"help: true":                "there is no flag --help",
		"workers: 1\nworkers: 2":    "already",
		"workers: &a 1\ncores: *a":  "already",
		"node: &a [x]\nworkers: *a": "workers: must be a value",
	} {
		_, _, _, err := parse(t, file)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}

// FuzzSettings has files of any text. Whatever is in them, nothing panics.
func FuzzSettings(f *testing.F) {
	for _, file := range []string{"", "workers: 1", "node: [a, 'b,c']\nport: 0x10", "{workers: 1}", "- a", "? [a]\n: b", "a: &x [*x]", "\xef\xbb\xbfworkers: 2"} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file string) {
		if _, settings, ctx, err := parse(t, file+"\n"); err == nil && len(settings.Of(ctx)) != 5 {
			t.Error("settings are missing")
		}
	})
}

func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"CLI_TEST_PORT": "", "CLI_TEST_NODE": " \t ", "CLI_TEST_WORKERS": " 7\n", "CLI_TEST_WORKER": "1", "CLI_TEST_XYZ": "1", "CLI_TEST_OTHER": "1", "OTHER": " ",
	} {
		t.Setenv(name, value)
	}
	if err := TidyEnvironment("CLI_TEST_"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"CLI_TEST_WORKERS": "7", "CLI_TEST_XYZ": "1", "OTHER": " "} {
		if got := os.Getenv(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	for _, name := range []string{"CLI_TEST_PORT", "CLI_TEST_NODE"} {
		if value, set := os.LookupEnv(name); set {
			t.Errorf("%s is %q", name, value)
		}
	}
	_, _, ctx, err := parse(t, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the variable CLI_TEST_WORKER is ignored: it is not one of this program's; did you mean CLI_TEST_WORKERS?",
		"the variable CLI_TEST_XYZ is ignored: it is not one of this program's",
	}
	if diff := cmp.Diff(want, UnknownVariables("CLI_TEST_", ctx.Model, "CLI_TEST_OTHER")); diff != "" {
		t.Error(diff)
	}
}

func TestCheckQuotes(t *testing.T) {
	for value, ok := range map[string]bool{
		`"a"`: false, `'a'`: false, `""`: false, `"a'`: true, `"`: true, `a"b"`: true, "": true, "a": true,
	} {
		t.Setenv("CLI_TEST_TOKEN", value)
		if err := CheckQuotes("CLI_TEST_TOKEN"); (err == nil) != ok || err != nil && strings.Contains(err.Error(), value) {
			t.Errorf("%s: %v", value, err)
		}
	}
	t.Setenv("CLI_TEST_TOKEN", `"a"`)
	if _, _, _, err := parse(t, ""); err == nil || !strings.Contains(err.Error(), "--token: the value of the variable CLI_TEST_TOKEN is in quotes") {
		t.Error(err)
	}
	if _, _, _, err := parse(t, "", "--token", "b"); err != nil {
		t.Errorf("with a flag that wins: %v", err)
	}
}

func TestExplain(t *testing.T) {
	for args, want := range map[string]string{
		"--workers":          "--workers: needs a value",
		"--node":             "--node: needs a value",
		"--port --workers 1": "--port: needs a value, and --workers is a flag; a value that begins with - is given as --port=VALUE",
		"--deep":             "unknown flag --deep here: it is a flag of look",
		"-d":                 "unknown flag -d here: it is a flag of look",
		"look --cores 1":     "unknown flag --cores here: it is a flag of run",
		"--wrokers 1":        `unknown flag --wrokers, did you mean "--workers"?`,
		"lok":                `unexpected argument lok, did you mean "look"?`,
		"other":              "unexpected argument other",
	} {
		g := new(grammar)
		parser, err := kong.New(g)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parser.Parse(strings.Fields(args))
		if err == nil {
			t.Errorf("%s is parsed", args)
		} else if got := Explain(err, parser.Model); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}
