// Package dynlib opens libraries of drivers at run time.
package dynlib

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ebitengine/purego"
)

// ErrMissing says that a library is not there.
var ErrMissing = errors.New("not found")

// Library is a library that was opened. It is never closed: drivers leave threads behind.
type Library struct {
	name   string
	handle uintptr
}

// Open opens the first library of the names that is there. If none is, the error is an
// [ErrMissing]; if one is there and cannot be opened, it says why.
func Open(names ...string) (Library, error) {
	for _, name := range names {
		handle, err := open(name)
		if err == nil {
			return Library{name, handle}, nil
		}
		if !errors.Is(err, ErrMissing) {
			return Library{}, fmt.Errorf("opening %s: %w", name, err)
		}
	}
	return Library{}, fmt.Errorf("the library %s: %w", strings.Join(names, " or "), ErrMissing)
}

// Bind sets functions, given as pointers to variables, to those of the library, by their
// names.
func (l Library) Bind(functions map[string]any) error {
	for name, function := range functions {
		address, err := l.symbol(name)
		if err != nil {
			return fmt.Errorf("the library %s is broken, or too old: it has no %s: %w", l.name, name, err)
		}
		purego.RegisterFunc(function, address)
	}
	return nil
}
