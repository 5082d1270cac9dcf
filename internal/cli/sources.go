package cli

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Setting is the value of a flag, and where it is from.
type Setting struct {
	Flag  string `json:"flag"`           // the flag; empty for a variable that has none
	Value string `json:"value"`          // its value; empty if there is none; of a secret only that it is set
	From  string `json:"from"`           // where it is from: flag, variable, file or default
	Name  string `json:"name,omitempty"` // the variable's name, or the file's and the line
}

// The places that a value can be from.
const (
	FromFlag     = "flag"
	FromVariable = "variable" // whose name is told
	FromFile     = "file"     // whose name is told, with the line
	FromDefault  = "default"
)

// hidden stands for a secret.
const hidden = "(set, not shown)"

// Of returns the values of the flags of a command line that was parsed, in the order in
// which they are listed in the command's help.
func (s *Settings) Of(ctx *kong.Context) (settings []Setting) {
	for _, flag := range ctx.Flags() {
		if flag.Tag.Has(NotInFileTag) || flag == ctx.Model.HelpFlag {
			continue
		}
		setting := Setting{Flag: "--" + flag.Name, Value: text(flag.Target), From: FromDefault}
		entry, inFile := s.entries[flag.Name]
		switch variable := Variable(flag); {
		case slices.ContainsFunc(ctx.Path, func(p *kong.Path) bool { return p.Flag == flag && !p.Resolved }):
			setting.From = FromFlag
		case variable != "":
			setting.From, setting.Name = FromVariable, variable
		case inFile:
			setting.From, setting.Name = FromFile, fmt.Sprintf("%s, line %d", s.file, entry.line)
		}
		if !flag.Set && !flag.IsBool() {
			setting.Value = "" // and not what its type has for nothing
		}
		if flag.Hidden && setting.From == FromDefault {
			continue
		}
		if flag.Tag.Has(SecretTag) && setting.Value != "" {
			setting.Value = hidden
		}
		settings = append(settings, setting)
	}
	return settings
}

// Where says where a value is from, for people.
func (s Setting) Where() string { return strings.TrimSpace(cmp.Or(s.Name, s.From)) }

// text returns a flag's value as it is given.
func text(value reflect.Value) string {
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() {
			return ""
		}
		return text(value.Elem())
	case reflect.Slice:
		if _, ok := value.Interface().(fmt.Stringer); ok {
			break
		}
		var texts []string
		for i := range value.Len() {
			texts = append(texts, text(value.Index(i)))
		}
		return strings.Join(texts, ",")
	}
	return fmt.Sprint(value.Interface())
}
