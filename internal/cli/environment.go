package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// TidyEnvironment puts the process's variables whose names begin with the prefix in
// order, before anybody reads them: white space around a value goes, and a variable
// without a value is unset. Values in quotes are for [Settings] to refuse.
func TidyEnvironment(prefix string) error {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		var err error
		switch tidy := strings.TrimSpace(value); tidy {
		case value:
			if value == "" {
				err = os.Unsetenv(name)
			}
		case "":
			err = os.Unsetenv(name)
		default:
			err = os.Setenv(name, tidy)
		}
		if err != nil {
			return fmt.Errorf("the variable %s: %w", name, err)
		}
	}
	return nil
}

// UnknownVariables returns what to say of each variable whose name begins with the prefix
// and that is neither a flag's nor one of the others that are known.
func UnknownVariables(prefix string, app *kong.Application, others ...string) (warnings []string) {
	known := others
	for flag := range Flags(app.Node) {
		known = append(known, flag.Envs...)
	}
	var names []string // without the prefix, which is as near to itself in all of them
	for _, name := range known {
		names = append(names, strings.TrimPrefix(name, prefix))
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		rest, ours := strings.CutPrefix(name, prefix)
		if !ours || slices.Contains(names, rest) {
			continue
		}
		warning := fmt.Sprintf("the variable %s is ignored: it is not one of this program's", name)
		if nearest := Nearest(rest, names); nearest != "" {
			warning += fmt.Sprintf("; did you mean %s%s?", prefix, nearest)
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}

// CheckQuotes returns an error if a variable's value is in quotes. It does not tell the
// value, which may be a secret.
func CheckQuotes(name string) error {
	value := os.Getenv(name)
	if len(value) < 2 || value[0] != value[len(value)-1] || value[0] != '"' && value[0] != '\'' {
		return nil
	}
	return fmt.Errorf("the value of the variable %s is in quotes, which are taken for a part of it: "+
		"docker's --env-file, for one, does not remove them; write %s=VALUE without quotes", name, name)
}
