package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Manual writes the manual page of a command, or of the program itself if the node is the
// application's: in the language of man, section 1.
func Manual(w io.Writer, app *kong.Application, node *kong.Node, program, version string) error {
	var b strings.Builder
	title := program
	if node != app.Node {
		title += "-" + node.Name
	}
	summary := first(node.Help)
	summary = strings.ToLower(summary[:1]) + summary[1:]
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"%s %s\"\n", roff(strings.ToUpper(title)), roff(program), roff(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(title), roff(summary))
	b.WriteString(".SH SYNOPSIS\n")
	if node == app.Node {
		fmt.Fprintf(&b, ".B %s\n[\\fICOMMAND\\fR] [\\fIFLAG\\fR ...]\n", roff(program))
	} else {
		fmt.Fprintf(&b, ".B %s %s\n", roff(program), roff(node.Name))
		for _, value := range node.Positional {
			fmt.Fprintf(&b, "%s\n", roff(value.Summary()))
		}
		b.WriteString("[\\fIFLAG\\fR ...]\n")
	}
	b.WriteString(".SH DESCRIPTION\n")
	prose(&b, node.Help)
	prose(&b, node.Detail)
	if node == app.Node {
		b.WriteString(".SH COMMANDS\n")
		for _, command := range shownCommands(app) {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(command.Name), roff(command.Help))
		}
	}
	b.WriteString(".SH FLAGS\n")
	group := ""
	flags := shown(node)
	if node == app.Node {
		flags = app.Node.Flags // those of the default command are on its own page
	}
	for _, flag := range flags {
		if g := flag.Group; g != nil && g.Title != group {
			group = g.Title
			fmt.Fprintf(&b, ".SS %s\n", roff(strings.TrimSuffix(group, ":")))
		} else if g == nil && group != "" {
			group = ""
			b.WriteString(".SS Others\n")
		}
		var forms []string
		for _, name := range names(flag) {
			form := "\\fB" + roff(name) + "\\fR"
			if !flag.IsBool() && strings.HasPrefix(name, "--") {
				form += "=\\fI" + roff(placeholder(flag)) + "\\fR"
			}
			forms = append(forms, form)
		}
		fmt.Fprintf(&b, ".TP\n%s\n%s\n", strings.Join(forms, ", "), roff(flag.Help))
		if len(flag.Envs) > 0 {
			fmt.Fprintf(&b, "Variable: %s.\n", roff(strings.Join(flag.Envs, ", ")))
		}
	}
	b.WriteString(".SH SEE ALSO\n")
	var pages []string
	if node != app.Node {
		pages = append(pages, "\\fB"+roff(program)+"\\fR(1)")
	}
	for _, command := range shownCommands(app) {
		if command != node {
			pages = append(pages, "\\fB"+roff(program+"-"+command.Name)+"\\fR(1)")
		}
	}
	fmt.Fprintf(&b, "%s\n", strings.Join(pages, ", "))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the manual page: %w", err)
	}
	return nil
}

// prose writes paragraphs; lines that are indented stay as they are.
func prose(b *strings.Builder, text string) {
	for paragraph := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n\n") {
		switch {
		case paragraph == "":
		case strings.HasPrefix(paragraph, "  "):
			b.WriteString(".PP\n.nf\n")
			for line := range strings.SplitSeq(paragraph, "\n") {
				b.WriteString(roff(line) + "\n")
			}
			b.WriteString(".fi\n")
		default:
			b.WriteString(".PP\n" + roff(strings.TrimSpace(paragraph)) + "\n")
		}
	}
}

// roff escapes what means something to it.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
