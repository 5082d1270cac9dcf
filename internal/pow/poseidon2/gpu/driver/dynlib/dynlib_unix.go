//go:build !windows

package dynlib

import (
	"fmt"
	"strings"

	"github.com/ebitengine/purego"
)

func open(name string) (uintptr, error) {
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		// There is nothing but the text to tell that it is not there: glibc, musl, macOS.
		for _, text := range []string{name + ": cannot open shared object file", "Error loading shared library " + name + ": No such file", "no such file"} {
			if strings.Contains(err.Error(), text) {
				return 0, fmt.Errorf("%w: %w", ErrMissing, err)
			}
		}
		return 0, err
	}
	return handle, nil
}

func (l Library) symbol(name string) (uintptr, error) { return purego.Dlsym(l.handle, name) }
