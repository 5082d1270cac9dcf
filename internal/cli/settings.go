package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// SecretTag marks a flag whose value nobody is to see: secret:"".
const SecretTag = "secret"

// Settings are the values that flags have from elsewhere than the command line, where
// they win: from variables, which the parser has read, then from a configuration file,
// then from Defaults. It is a [kong.Resolver].
type Settings struct {
	// Defaults are values of flags that have none of their own, by their names.
	Defaults map[string]string

	file    string
	entries map[string]entry // by the names of flags
}

// entry is a value in a configuration file.
type entry struct {
	value string // of a list, as a flag has it
	line  int
}

// Read reads a configuration file of at most some size.
type Read func(path string, secret bool) ([]byte, error)

// Load reads a configuration file: YAML whose keys are the names of flags. A file with a
// key that is the name of none, of any command, is refused. One with a secret is read
// again as such, for read to look at its mode.
func (s *Settings) Load(path string, app *kong.Application, read Read) error {
	text, err := read(path, false)
	if err != nil {
		return err
	}
	s.file, s.entries = path, map[string]entry{}
	var document yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&document); errors.Is(err, io.EOF) {
		return nil // there is nothing but comments in it
	} else if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	flags, secret := map[string]*kong.Flag{}, map[string]bool{}
	var names []string
	for flag := range Flags(app.Node) {
		for _, name := range append([]string{flag.Name}, flag.Aliases...) {
			flags[name] = flag
			secret[name] = secret[name] || flag.Tag.Has(SecretTag) // of any command
			names = append(names, name)
		}
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s, line %d: must be lines of the form flag: value", path, root.Line)
	}
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		flag, known := flags[key.Value]
		if !known || flag == app.HelpFlag || flag.Tag.Has(NotInFileTag) {
			message := fmt.Sprintf("%s, line %d: there is no flag --%s", path, key.Line, key.Value)
			if nearest := Nearest(key.Value, names); nearest != "" && !known {
				message += fmt.Sprintf("; did you mean %s?", nearest)
			}
			return errors.New(message)
		}
		if other, twice := s.entries[flag.Name]; twice {
			return fmt.Errorf("%s, line %d: %s is in line %d already", path, key.Line, key.Value, other.line)
		}
		if secret[key.Value] {
			if _, err := read(path, true); err != nil {
				return err
			}
		}
		text, err := scalar(value, flag)
		if err != nil {
			return fmt.Errorf("%s, line %d: %s: %w", path, value.Line, key.Value, err)
		}
		if text != "" { // or it is as if it were not there, like a variable
			s.entries[flag.Name] = entry{text, key.Line}
		}
	}
	return nil
}

// NotInFileTag marks a flag that has no place in a configuration file: nofile:"".
const NotInFileTag = "nofile"

// scalar returns a value as it would be given to a flag. It is what is written there: to
// YAML 0123 is a number, and a token is not.
func scalar(value *yaml.Node, flag *kong.Flag) (string, error) {
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null":
		return "", nil
	case value.Kind == yaml.ScalarNode:
		return strings.TrimSpace(value.Value), nil
	case value.Kind != yaml.SequenceNode:
		return "", errors.New("must be a value, or a list of values")
	case !flag.IsSlice() || flag.Tag.Sep == -1:
		return "", errors.New("must be one value, not a list")
	}
	var texts []string
	for _, one := range value.Content {
		text, err := scalar(one, flag)
		if err != nil || one.Kind != yaml.ScalarNode || text == "" {
			return "", errors.New("must be a list of values")
		}
		texts = append(texts, strings.ReplaceAll(text, string(flag.Tag.Sep), `\`+string(flag.Tag.Sep)))
	}
	return strings.Join(texts, string(flag.Tag.Sep)), nil
}

// Validate implements [kong.Resolver]. Load has done so.
func (s *Settings) Validate(*kong.Application) error { return nil }

// Resolve implements [kong.Resolver], for a flag that the command line does not have.
func (s *Settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if name := Variable(flag); name != "" {
		return nil, CheckQuotes(name)
	}
	value, from := s.Defaults[flag.Name], ""
	if entry, ok := s.entries[flag.Name]; ok {
		value, from = entry.value, fmt.Sprintf(" (%s, line %d)", s.file, entry.line)
	}
	if value == "" {
		return nil, nil
	}
	// Parsed here, too, as only here the error can say where the value is.
	try := reflect.New(flag.Target.Type()).Elem()
	if try.Kind() == reflect.Pointer {
		try.Set(reflect.New(try.Type().Elem()))
	}
	scan := kong.Scan().PushTyped(value, kong.FlagValueToken)
	if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, try); err != nil {
		return nil, fmt.Errorf("%w%s", err, from)
	}
	return value, nil
}

// Variable returns the name of the variable that a flag has its value from if the command
// line does not have it, or "".
func Variable(flag *kong.Flag) string {
	for _, name := range flag.Envs {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return ""
}
