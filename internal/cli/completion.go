package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Shells are those that [Completion] knows.
func Shells() []string { return []string{"bash", "zsh", "fish"} }

// Completion writes a script that has a shell complete the program's commands, flags and
// the values of flags.
func Completion(w io.Writer, shell string, app *kong.Application, program string) error {
	var text string
	switch shell {
	case "bash":
		text = bash(app, program)
	case "zsh":
		text = zsh(app, program)
	case "fish":
		text = fish(app, program)
	default:
		return fmt.Errorf("the shell must be one of %s", strings.Join(Shells(), ", "))
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("writing the completions: %w", err)
	}
	return nil
}

// shown returns the flags of a node and of those above it that people are told of. The
// program itself takes those of its default command, too.
func shown(node *kong.Node) (flags []*kong.Flag) {
	nodes := []*kong.Node{node}
	if node.DefaultCmd != nil {
		nodes = append(nodes, node.DefaultCmd)
	}
	for up := node.Parent; up != nil; up = up.Parent {
		nodes = append(nodes, up)
	}
	for _, node := range nodes {
		for _, flag := range node.Flags {
			if !flag.Hidden {
				flags = append(flags, flag)
			}
		}
	}
	return flags
}

// names returns the names of a flag as they are given, the short one first.
func names(flag *kong.Flag) (names []string) {
	if flag.Short != 0 {
		names = append(names, "-"+string(flag.Short))
	}
	names = append(names, "--"+flag.Name)
	for _, alias := range flag.Aliases {
		names = append(names, "--"+alias)
	}
	return names
}

// shownCommands returns the commands that people are told of.
func shownCommands(app *kong.Application) (nodes []*kong.Node) {
	for _, child := range app.Children {
		if !child.Hidden {
			nodes = append(nodes, child)
		}
	}
	return nodes
}

// values returns what a flag may be, or nil if that is no short list.
func values(flag *kong.Flag) []string {
	if flag.Enum == "" {
		return nil
	}
	return flag.EnumSlice()
}

// CommandsTag marks an argument that is the name of a command.
const CommandsTag = "commands"

// positional returns the words that an argument may be, or nil if that is no short list.
func positional(value *kong.Positional, app *kong.Application) []string {
	switch {
	case value.Enum != "":
		return value.EnumSlice()
	case value.Tag.Has(CommandsTag):
		return commands(app)
	default:
		return nil
	}
}

// first returns the first sentence of a text, for a line in a menu.
func first(help string) string {
	sentence, _, _ := strings.Cut(help, "\n")
	sentence, _, _ = strings.Cut(sentence, ". ")
	sentence, _, _ = strings.Cut(sentence, ": ")
	return strings.TrimSuffix(sentence, ".")
}

// identifier makes a shell's identifier of a program's name.
func identifier(program string) string { return "_" + strings.ReplaceAll(program, "-", "_") }

func bash(app *kong.Application, program string) string {
	var b strings.Builder
	function := identifier(program)
	fmt.Fprintf(&b, "# bash completion for %s\n%s() {\n", program, function)
	b.WriteString("\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word words\n")
	b.WriteString("\tif [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n")
	fmt.Fprintf(&b, "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase $word in %s) command=$word; break ;; esac\n\tdone\n", strings.Join(commands(app), "|"))
	b.WriteString("\tCOMPREPLY=()\n\tcase $prev in\n")
	told := map[string]bool{}
	var others []string // flags whose value is a file, or anything
	for flag := range Flags(app.Node) {
		if told[flag.Name] || flag.IsBool() || flag.Hidden {
			continue
		}
		told[flag.Name] = true
		if v := values(flag); v != nil {
			fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", strings.Join(names(flag), "|"), strings.Join(v, " "))
		} else {
			others = append(others, names(flag)...)
		}
	}
	fmt.Fprintf(&b, "\t%s) return ;;\n\tesac\n\tcase $command in\n", strings.Join(others, "|"))
	for _, node := range append([]*kong.Node{app.Node}, shownCommands(app)...) {
		var words []string
		pattern := node.Name
		if node == app.Node {
			pattern, words = "''", commands(app)
		}
		for _, value := range node.Positional {
			words = append(words, positional(value, app)...)
		}
		for _, flag := range shown(node) {
			words = append(words, names(flag)...)
		}
		fmt.Fprintf(&b, "\t%s) words='%s' ;;\n", pattern, strings.Join(words, " "))
	}
	fmt.Fprintf(&b, "\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F %s %s\n", function, program)
	return b.String()
}

func zsh(app *kong.Application, program string) string {
	var b strings.Builder
	// Of a specification for _arguments and _describe, and of a word in single quotes.
	escape := strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`)
	fmt.Fprintf(&b, "#compdef %s\n%s() {\n\tlocal command=\n\tlocal -i i\n\tlocal -a commands\n\tcommands=(\n", program, identifier(program))
	for _, node := range shownCommands(app) {
		fmt.Fprintf(&b, "\t\t'%s:%s'\n", node.Name, escape.Replace(first(node.Help)))
	}
	// A command has its own words alone.
	fmt.Fprintf(&b, "\t)\n\tfor ((i = 2; i < CURRENT; i++)); do\n\t\tcase $words[i] in (%s) command=$words[i]; break ;; esac\n\tdone\n", strings.Join(commands(app), "|"))
	b.WriteString("\tif [[ -n $command ]]; then\n\t\tshift $((i - 1)) words\n\t\t((CURRENT -= i - 1))\n\tfi\n\tcase $command in\n")
	for _, node := range append([]*kong.Node{app.Node}, shownCommands(app)...) {
		if node == app.Node {
			b.WriteString("\t('')\n\t\t_describe -t commands command commands\n\t\t_arguments")
		} else {
			fmt.Fprintf(&b, "\t(%s)\n\t\t_arguments", node.Name)
		}
		for _, flag := range shown(node) {
			for _, name := range names(flag) {
				value := ""
				switch v := values(flag); {
				case flag.IsBool():
				case v != nil:
					value = fmt.Sprintf(":%s:(%s)", flag.Name, strings.Join(v, " "))
				default:
					value = fmt.Sprintf(":%s:_files", escape.Replace(flag.FormatPlaceHolder()))
				}
				if value != "" && strings.HasPrefix(name, "--") {
					name += "="
				}
				fmt.Fprintf(&b, " \\\n\t\t\t'%s[%s]%s'", name, escape.Replace(first(flag.Help)), value)
			}
		}
		for _, value := range node.Positional {
			if words := positional(value, app); words != nil {
				fmt.Fprintf(&b, " \\\n\t\t\t'*:%s:(%s)'", value.Name, strings.Join(words, " "))
			}
		}
		b.WriteString("\n\t\t;;\n")
	}
	fmt.Fprintf(&b, "\tesac\n}\nif [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n\t%s \"$@\"\nelse\n\tcompdef %[1]s %s\nfi\n", identifier(program), program)
	return b.String()
}

func fish(app *kong.Application, program string) string {
	var b strings.Builder
	quote := strings.NewReplacer(`\`, `\\`, "'", `\'`)
	fmt.Fprintf(&b, "# fish completion for %s\ncomplete -c %[1]s -f\n", program)
	for _, node := range shownCommands(app) {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d '%s'\n", program, node.Name, quote.Replace(first(node.Help)))
	}
	for _, node := range append([]*kong.Node{app.Node}, shownCommands(app)...) {
		condition := "'__fish_seen_subcommand_from " + node.Name + "'"
		if node == app.Node {
			condition = "__fish_use_subcommand"
		}
		for _, flag := range shown(node) {
			fmt.Fprintf(&b, "complete -c %s -n %s", program, condition)
			for _, name := range names(flag) {
				if long, ok := strings.CutPrefix(name, "--"); ok {
					fmt.Fprintf(&b, " -l %s", long)
				} else {
					fmt.Fprintf(&b, " -s %s", strings.TrimPrefix(name, "-"))
				}
			}
			switch v := values(flag); {
			case flag.IsBool():
			case v != nil:
				fmt.Fprintf(&b, " -x -a '%s'", strings.Join(v, " "))
			default:
				b.WriteString(" -r -F")
			}
			fmt.Fprintf(&b, " -d '%s'\n", quote.Replace(first(flag.Help)))
		}
		for _, value := range node.Positional {
			if words := positional(value, app); words != nil {
				fmt.Fprintf(&b, "complete -c %s -n %s -a '%s'\n", program, condition, strings.Join(words, " "))
			}
		}
	}
	return b.String()
}
