package cli

import (
	"iter"

	"github.com/alecthomas/kong"
)

// Flags returns the flags of a node and of all below it. A flag that several commands
// have comes as often.
func Flags(node *kong.Node) iter.Seq[*kong.Flag] {
	return func(yield func(*kong.Flag) bool) { walk(node, yield) }
}

func walk(node *kong.Node, yield func(*kong.Flag) bool) bool {
	for _, flag := range node.Flags {
		if !yield(flag) {
			return false
		}
	}
	for _, child := range node.Children {
		if !walk(child, yield) {
			return false
		}
	}
	return true
}

// commands returns the names of the commands that people are told of.
func commands(app *kong.Application) (names []string) {
	for _, child := range app.Children {
		if !child.Hidden {
			names = append(names, child.Name)
		}
	}
	return names
}
