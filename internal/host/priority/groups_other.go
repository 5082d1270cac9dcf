//go:build !windows

package priority

import "errors"

// processorGroups returns nil: other systems have no processor groups.
func processorGroups() []int { return nil }

// enterGroup returns an error.
func enterGroup(int, int) error { return errors.ErrUnsupported }
