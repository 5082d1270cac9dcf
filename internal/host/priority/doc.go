// Package priority lets threads that compute give way to those that answer, and
// keeps them to some of the CPUs.
//
// On a machine whose every core computes, a thread that wakes up to answer a
// request waits until the operating system takes a core from one that computes:
// up to a tick of its clock, 4 ms or more, and again for each step of the answer.
// From a thread of lower priority it takes the core at once, as a rule.
package priority

import "fmt"

// both returns one error for two, either of which may be nil. It fits into a line
// of the log, where [errors.Join] takes two.
func both(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return fmt.Errorf("%w; %w", a, b)
}
