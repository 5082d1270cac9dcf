package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// VariableDoc is a variable with its meaning.
type VariableDoc struct {
	Name string
	// Also are other names of the same; the first that is set counts.
	Also []string
	// Example is a value: the default if there is one that is not this machine's.
	Example string
	// Meanings are those that it has: one, unless they differ between commands.
	Meanings []Meaning
}

// Meaning is what a variable means to commands.
type Meaning struct {
	Commands []string // nil for all
	Help     string
}

// commands returns those that know the variable.
func (v VariableDoc) commands() (names []string) {
	for _, m := range v.Meanings {
		names = append(names, m.Commands...)
	}
	return names
}

// Variables returns the variables of an application's commands, but for hidden flags.
func Variables(app *kong.Application) (variables []VariableDoc) {
	add := func(flag *kong.Flag, commands ...string) {
		if len(flag.Envs) == 0 || flag.Hidden {
			return
		}
		i := slices.IndexFunc(variables, func(v VariableDoc) bool { return v.Name == flag.Envs[0] })
		if i < 0 {
			i = len(variables)
			variables = append(variables, VariableDoc{Name: flag.Envs[0], Also: flag.Envs[1:], Example: example(flag)})
		}
		v := &variables[i]
		for j := range v.Meanings {
			if v.Meanings[j].Help == flag.Help {
				v.Meanings[j].Commands = append(v.Meanings[j].Commands, commands...)
				return
			}
		}
		v.Meanings = append(v.Meanings, Meaning{commands, flag.Help})
	}
	for _, flag := range app.Node.Flags {
		add(flag)
	}
	for _, command := range shownCommands(app) {
		for _, flag := range command.Flags {
			add(flag, command.Name)
		}
	}
	return variables
}

// placeholder returns what stands for a flag's value in manuals.
func placeholder(flag *kong.Flag) string {
	if flag.PlaceHolder == "" && strings.Contains(flag.Tag.Get("default"), "${") {
		return "N" // not this machine's
	}
	return flag.FormatPlaceHolder()
}

// example returns a value for a flag's variable. A default that is made from something
// else, such as the number of CPUs, is this machine's.
func example(flag *kong.Flag) string {
	if value := flag.Tag.Get("default"); value != "" && !strings.Contains(value, "${") {
		return value
	}
	if flag.IsBool() {
		return "true"
	}
	if flag.PlaceHolder != "" {
		return flag.PlaceHolder
	}
	return "N"
}

// envWidth is the width of the comments of an environment file, in characters.
const envWidth = 92

// everyCommand is the heading of what all commands know.
const everyCommand = "all commands"

// WriteVariables writes an environment file, as systemd and docker read it, in which each
// variable stands with its meaning and none is set, by the commands that know them.
func WriteVariables(w io.Writer, app *kong.Application, variables []VariableDoc) error {
	all := len(shownCommands(app))
	heading := func(v VariableDoc) string {
		if n := len(v.commands()); n == 0 || n == all {
			return everyCommand
		}
		return strings.Join(v.commands(), ", ")
	}
	var headings []string
	for _, v := range variables {
		if h := heading(v); !slices.Contains(headings, h) {
			headings = append(headings, h)
		}
	}
	// What is one command's comes first, that of the default command last of these: people
	// who rely on the default set little. Otherwise the order is that of the flags.
	rank := func(h string) int {
		switch {
		case h == everyCommand:
			return 1000
		case app.DefaultCmd != nil && h == app.DefaultCmd.Name:
			return 1
		}
		return 2 * strings.Count(h, ",")
	}
	slices.SortStableFunc(headings, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	var b strings.Builder
	for _, h := range headings {
		fmt.Fprintf(&b, "\n#### For %s\n", h)
		for _, v := range variables {
			if heading(v) == h {
				v.write(&b)
			}
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the variables: %w", err)
	}
	return nil
}

// write writes a variable as a comment.
func (v VariableDoc) write(b *strings.Builder) {
	b.WriteString("\n")
	for _, m := range v.Meanings {
		text := m.Help
		if len(v.Meanings) > 1 {
			text = strings.Join(m.Commands, ", ") + ": " + text
		}
		comment(b, text)
	}
	if len(v.Also) > 0 {
		comment(b, "Or "+strings.Join(v.Also, ", ")+"; the first that is set counts.")
	}
	fmt.Fprintf(b, "#%s=%s\n", v.Name, v.Example)
}

// comment writes a text as comment lines.
func comment(b *strings.Builder, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > envWidth {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
