package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Explain returns the text of an error that the parser refuses a command line with, and
// what to type instead where that can be told.
func Explain(err error, app *kong.Application) string {
	// Messages that say too little. The parser has no types for them.
	var (
		noValue         = regexp.MustCompile(`expected .* value but got "EOL" \(<EOL>\)|missing value, expecting "[^"]*"`)
		flagForValue    = regexp.MustCompile(`expected .* value but got "(--?[^"]*)" \([^)]*\); perhaps try (--[^=]*)=.*`)
		unknownFlag     = regexp.MustCompile(`^unknown flag (--?[^ ,]+)`)
		unknownArgument = regexp.MustCompile(`^unexpected argument (\S+)$`)
	)
	text := noValue.ReplaceAllString(err.Error(), "needs a value")
	text = flagForValue.ReplaceAllString(text, "needs a value, and $1 is a flag; a value that begins with - is given as $2=VALUE")
	if match := unknownFlag.FindStringSubmatch(text); match != nil {
		if owners := commandsWith(match[1], app); owners != nil {
			return fmt.Sprintf("unknown flag %s here: it is a flag of %s", match[1], strings.Join(owners, ", "))
		}
	}
	if match := unknownArgument.FindStringSubmatch(text); match != nil {
		if nearest := Nearest(match[1], commands(app)); nearest != "" {
			text += fmt.Sprintf(", did you mean %q?", nearest)
		}
	}
	return text
}

// commandsWith returns the commands that have a flag, given as --name or -n.
func commandsWith(flag string, app *kong.Application) (names []string) {
	name := strings.TrimLeft(flag, "-")
	for _, command := range app.Children {
		if slices.ContainsFunc(command.Flags, func(f *kong.Flag) bool {
			if !strings.HasPrefix(flag, "--") {
				return string(f.Short) == name
			}
			return f.Name == name || slices.Contains(f.Aliases, name)
		}) {
			names = append(names, command.Name)
		}
	}
	return names
}
