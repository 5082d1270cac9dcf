package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	gocmp "github.com/google/go-cmp/cmp"
)

var updateReference = flag.Bool("update-reference", false, "rewrite what docs/reference.md has of the definitions")

// reference is the page that TestReference keeps true.
const reference = "../../docs/reference.md"

// results are the objects that commands print with --json, part by part, and the types that
// they are made of.
var results = []struct{ command, part, of string }{
	{"search --json", "", "searchResult"},
	{"verify --json", "", "sha3RSAResult"},
	{"verify --json --pow poseidon2", "", "poseidon2Result"},
	{"bench --json", "", "benchResult"},
	{"bench --json", "`yardstick`", "benchYardstick"},
	{"bench --json", "each of `results`", "engineResult"},
	{"devices --json", "", "devicesResult"},
	{"devices --json", "each of `devices`", "deviceResult"},
	{"simulate --json", "", "simulateResult"},
	{"simulate --json", "each of `blocks`", "simulateBlock"},
	{"doctor --json", "", "doctorResult"},
	{"doctor --json", "each of `findings`", "finding"},
	{"version --json", "", "Info"},
	{"config --json", "", "configResult"},
	{"config --json", "each of `settings`", "Setting"},
}

// TestReference holds docs/reference.md to the definitions of flags, exit codes and results:
// what is between its marks is what they say.
func TestReference(t *testing.T) {
	l, err := newLineOf(t.Context(), new(commands), streams{})
	if err != nil {
		t.Fatal(err)
	}
	app := l.parser.Model
	source := parseSource(t, ".", "../../internal/cli", "../../internal/build")
	page, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	want := string(page)
	for mark, text := range map[string]string{
		"exit codes":   exitCodes(source),
		"every":        flagTable(app.Node.Flags),
		"shared flags": sharedFlags(app),
		"commands":     commandSections(app),
		"results":      resultTables(t, source),
	} {
		begin, end := "<!-- generated: "+mark+" -->\n", "<!-- end: "+mark+" -->"
		before, rest, found := strings.Cut(want, begin)
		_, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Fatalf("%s has no marks for %s", reference, mark)
		}
		want = before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after
	}
	if *updateReference {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := gocmp.Diff(want, string(page)); diff != "" && !*updateReference {
		t.Errorf("%s is not what the definitions say (-definitions +page); run\n  go test ./cmd/quantus-miner -run TestReference -update-reference\n%s", reference, diff)
	}
}

// parseSource parses the Go files of directories, without their tests.
func parseSource(t *testing.T, dirs ...string) (files []*ast.File) {
	t.Helper()
	for _, dir := range dirs {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	return files
}

// exitCodes is a table of the constants whose names begin with exit, and of their comments.
func exitCodes(source []*ast.File) string {
	rows := "| code | meaning |\n|---|---|\n"
	for _, file := range source {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if ok && strings.HasPrefix(spec.Names[0].Name, "exit") && spec.Comment != nil {
				rows += fmt.Sprintf("| %s | %s |\n", spec.Values[0].(*ast.BasicLit).Value, strings.TrimSpace(spec.Comment.Text()))
			}
			return true
		})
	}
	return rows
}

// resultTables are tables of the fields of all results, and of their comments.
func resultTables(t *testing.T, source []*ast.File) (text string) {
	t.Helper()
	structs := make(map[string]*ast.StructType)
	for _, file := range source {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if of, ok := spec.Type.(*ast.StructType); ok {
					structs[spec.Name.Name] = of
				}
			}
			return true
		})
	}
	for _, result := range results {
		of := structs[result.of]
		if of == nil {
			t.Fatalf("there is no type %s", result.of)
		}
		heading := "`" + result.command + "`"
		if result.part != "" {
			heading += ": " + result.part
		}
		text += "### " + heading + "\n\n| field | meaning |\n|---|---|\n"
		for _, field := range of.Fields.List {
			tag := regexp.MustCompile(`json:"([^,"]+)`).FindStringSubmatch(field.Tag.Value)
			comment := cmp.Or(field.Comment.Text(), field.Doc.Text())
			if comment == "" {
				t.Errorf("the field %s of %s has no comment to document it by", tag[1], result.of)
			}
			text += fmt.Sprintf("| `%s` | %s |\n", tag[1], strings.TrimSpace(comment))
		}
		text += "\n"
	}
	return text
}

// definition is what makes two flags of different commands the same.
func definition(f *kong.Flag) string { return fmt.Sprint(names(f), f.Envs, defaultOf(f), f.Help) }

// few is how many commands may have a flag and list it each in its own table.
const few = 2

// users returns the commands that have a flag of the same definition.
func users(app *kong.Application, flag *kong.Flag) (commands []string) {
	for _, node := range app.Children {
		if slices.ContainsFunc(node.Flags, func(f *kong.Flag) bool { return definition(f) == definition(flag) }) {
			commands = append(commands, node.Name)
		}
	}
	return commands
}

// sharedFlags are tables of the flags that several commands have, one for each group.
func sharedFlags(app *kong.Application) (text string) {
	var groups []string
	rows := make(map[string]string)
	seen := make(map[string]bool)
	for _, node := range app.Children {
		for _, f := range node.Flags {
			commands := users(app, f)
			if f.Hidden || len(commands) <= few || seen[definition(f)] {
				continue
			}
			seen[definition(f)] = true
			group := "General"
			if f.Group != nil {
				group = strings.TrimSuffix(f.Group.Title, ":")
			}
			if !slices.Contains(groups, group) {
				groups = append(groups, group)
			}
			rows[group] += row(f, "`"+strings.Join(commands, "`, `")+"`")
		}
	}
	for _, group := range groups {
		text += "### " + group + "\n\n| flag | variable | default | meaning | of |\n|---|---|---|---|---|\n" + rows[group] + "\n"
	}
	return text
}

// commandSections are what each command is for, and the flags that it alone has.
func commandSections(app *kong.Application) (text string) {
	for _, node := range app.Children {
		if node.Hidden {
			continue
		}
		text += "### " + node.Name + "\n\n```\n" + program + " " + node.Summary() + "\n```\n\n" + code(node.Help) + "\n\n"
		for paragraph := range strings.SplitSeq(strings.TrimRight(node.Detail, "\n"), "\n\n") {
			if strings.HasPrefix(paragraph, "  ") {
				text += "```sh\n" + strings.ReplaceAll(strings.TrimPrefix(paragraph, "  "), "\n  ", "\n") + "\n```\n\n"
			} else if paragraph != "" {
				text += code(paragraph) + "\n\n"
			}
		}
		var own []*kong.Flag
		var shared []string
		for _, f := range node.Flags {
			switch {
			case f.Hidden:
			case len(users(app, f)) <= few:
				own = append(own, f)
			default:
				shared = append(shared, "`--"+f.Name+"`")
			}
		}
		if rows := flagTable(own); strings.Count(rows, "\n") > 2 {
			text += rows + "\n"
		}
		if shared != nil {
			text += "Flags that others have, too: " + strings.Join(shared, ", ") + ".\n\n"
		}
	}
	return text
}

// flagTable is a table of flags.
func flagTable(flags []*kong.Flag) string {
	text := "| flag | variable | default | meaning |\n|---|---|---|---|\n"
	for _, f := range flags {
		if !f.Hidden {
			text += row(f)
		}
	}
	return text
}

// row is the row of a flag, with more columns at its end.
func row(f *kong.Flag, more ...string) string {
	cells := []string{"`" + strings.Join(names(f), "`, `") + "`", "", defaultOf(f), code(f.Help)}
	if len(f.Envs) > 0 {
		cells[1] = "`" + strings.Join(f.Envs, "`, `") + "`"
	}
	return "| " + strings.Join(append(cells, more...), " | ") + " |\n"
}

// names returns a flag as it is given, in all its forms.
func names(f *kong.Flag) []string {
	forms := []string{"--" + f.Name}
	if f.Short != 0 {
		forms = append(forms, "-"+string(f.Short))
	}
	for _, alias := range f.Aliases {
		forms = append(forms, "--"+alias)
	}
	return forms
}

// defaultOf returns a flag's default, which is none of this machine's.
func defaultOf(f *kong.Flag) string {
	if f.Name == "workers" && f.Default == strconv.Itoa(effectiveCPUs()) {
		return "all CPUs"
	}
	if f.Default == "" {
		return ""
	}
	return "`" + f.Default + "`"
}

// typed finds what people type in the middle of prose: a flag, and its value.
var typed = regexp.MustCompile(`(^|[ (])(--?[a-z][a-z0-9-]*( (poseidon2|sha3-rsa|debug|[0-9]+|[A-Z]+(\.[A-Z]+)?)\b)?)`)

// code marks flags in prose as code, and keeps a table a table.
func code(text string) string {
	return strings.ReplaceAll(typed.ReplaceAllString(text, "$1`$2`"), "|", `\|`)
}
