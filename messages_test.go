package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMessages looks in docs/trouble.md for every message of level WARN or ERROR that the
// program logs: who meets one wants to know what to do.
func TestMessages(t *testing.T) {
	page, err := os.ReadFile("docs/trouble.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, root := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (strings.HasPrefix(entry.Name(), "_") || path == filepath.Join("internal", "simulate")):
				return filepath.SkipDir // no miner's
			case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				message := warning(node)
				if message == "" {
					return true
				}
				n++
				// What follows a colon may be anything.
				known, _, _ := strings.Cut(message, ":")
				known, _, _ = strings.Cut(known, ";")
				if !strings.Contains(string(page), "`"+strings.TrimSpace(known)) {
					t.Errorf("docs/trouble.md has no row for the message %q of %s: what does it mean, and what is there to do?", message, path)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 10 {
		t.Errorf("only %d messages found", n)
	}
}

// warning returns the message that a call logs with level WARN or ERROR, as far as it is
// written there, or nothing.
func warning(node ast.Node) string {
	call, ok := node.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return ""
	}
	called, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || called.Sel.Name != "Warn" && called.Sel.Name != "Error" {
		return ""
	}
	argument := call.Args[0]
	if sum, ok := argument.(*ast.BinaryExpr); ok {
		argument = sum.X
	}
	literal, ok := argument.(*ast.BasicLit)
	if !ok {
		return ""
	}
	message, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return message
}
