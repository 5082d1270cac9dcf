package layering

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// document is a page in Markdown.
type document struct {
	links   []string // where they lead, as they are written
	anchors []string // of its headings
}

// TestLinks looks up where every link of every document leads, within this repository.
func TestLinks(t *testing.T) {
	documents := readDocuments(t)
	for path, of := range documents {
		for _, link := range of.links {
			if err := follow(documents, path, link); err != nil {
				t.Errorf("%s: the link %s: %v", path, link, err)
			}
		}
	}
}

// TestIndex has docs/README.md, the index, lead to every page beside it.
func TestIndex(t *testing.T) {
	documents := readDocuments(t)
	for path := range documents {
		if filepath.Dir(path) != "docs" || path == filepath.Join("docs", "README.md") {
			continue
		}
		if !slices.Contains(documents[filepath.Join("docs", "README.md")].links, filepath.Base(path)) {
			t.Errorf("docs/README.md has no link to %s", path)
		}
	}
}

// follow says what is wrong with a link of a document.
func follow(documents map[string]document, from, link string) error {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "" { // other sites may change, and CI has no network
		return err
	}
	target := from
	if u.Path != "" {
		target = filepath.Join(filepath.Dir(from), filepath.FromSlash(u.Path))
	}
	if strings.HasPrefix(u.Path, "/") || !filepath.IsLocal(target) {
		return fmt.Errorf("leads out of the repository")
	}
	if _, err := os.Stat(target); err != nil {
		return err
	}
	if of, ok := documents[target]; ok && u.Fragment != "" && !slices.Contains(of.anchors, u.Fragment) {
		return fmt.Errorf("%s has no heading for #%s", target, u.Fragment)
	}
	return nil
}

// readDocuments reads every document of the repository, by its path.
func readDocuments(t *testing.T) map[string]document {
	t.Helper()
	documents := make(map[string]document)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return filepath.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		source, err := os.ReadFile(path)
		if err == nil {
			documents[path] = parseDocument(source)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(documents) < 2 {
		t.Fatal("no documents found")
	}
	return documents
}

func parseDocument(source []byte) (d document) {
	tree := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	seen := make(map[string]int)
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			d.links = append(d.links, string(n.Destination))
		case *ast.Image:
			d.links = append(d.links, string(n.Destination))
		case *ast.Heading:
			anchor := anchorOf(textOf(n, source))
			if seen[anchor]++; seen[anchor] > 1 {
				anchor = fmt.Sprintf("%s-%d", anchor, seen[anchor]-1)
			}
			d.anchors = append(d.anchors, anchor)
		}
		return ast.WalkContinue, nil
	})
	return d
}

// textOf returns the text of a node, without what marks it up.
func textOf(n ast.Node, source []byte) (s string) {
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if leaf, ok := child.(*ast.Text); ok {
			s += string(leaf.Segment.Value(source))
		} else {
			s += textOf(child, source)
		}
	}
	return s
}

// anchorOf returns what GitHub calls a heading in an address.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}
