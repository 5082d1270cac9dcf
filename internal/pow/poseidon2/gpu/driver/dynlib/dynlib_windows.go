package dynlib

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
)

// open takes libraries from the system's directory alone, where drivers install them.
func open(name string) (uintptr, error) {
	handle, err := windows.LoadLibraryEx(name, 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	if errors.Is(err, windows.ERROR_MOD_NOT_FOUND) {
		return 0, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return uintptr(handle), err
}

func (l Library) symbol(name string) (uintptr, error) {
	return windows.GetProcAddress(windows.Handle(l.handle), name)
}
