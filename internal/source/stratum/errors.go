package stratum

import (
	"errors"
	"fmt"
)

// RefusedError says that a pool refuses the login.
type RefusedError struct {
	// Words are the pool's.
	Words string
}

// Error implements the error interface.
func (e *RefusedError) Error() string { return "the pool refuses the login: " + e.Words }

// PoolError says what is wrong with a pool that no reconnecting helps against: somebody has to
// set something right.
type PoolError struct {
	// Pool is its URL.
	Pool string
	// Err wraps a [RefusedError] or a [PinError].
	Err error
}

// Error implements the error interface.
func (e *PoolError) Error() string { return fmt.Sprintf("pool %s: %v", e.Pool, e.Err) }

// Unwrap returns the cause.
func (e *PoolError) Unwrap() error { return e.Err }

// fatal says whether no reconnecting helps against an error.
func fatal(err error) bool {
	_, refused := errors.AsType[*RefusedError](err)
	_, pin := errors.AsType[*PinError](err)
	return refused || pin
}
