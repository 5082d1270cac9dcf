package mining

import (
	"fmt"
	"time"
)

// Limits bound what those who submit jobs can make a miner hold. A field that is
// zero sets no limit.
type Limits struct {
	// Running is how many jobs may run at the same time. They share the workers,
	// so it bounds how slow each of them may get.
	Running int
	// Known is how many jobs may be known: those that run, and those that have
	// been over for less than [Retention], which is promised to all of them.
	Known int
}

// BusyError says that a job was refused because of a limit on the number of jobs.
type BusyError struct {
	// Reason says which limit it is, for the owner of the job.
	Reason string
	// RetryAfter is when there may be room again.
	RetryAfter time.Duration
}

// Error implements the error interface.
func (e *BusyError) Error() string { return e.Reason }

// room returns a BusyError if there is no room for another job; mu is held.
func (m *Miner) room() error {
	if n := m.Limits.Running; n > 0 && len(m.running) >= n {
		return &BusyError{
			fmt.Sprintf("too many jobs are running, %d: cancel one, or wait for one to end", n),
			time.Second, // nobody knows when a search ends
		}
	}
	if n := m.Limits.Known; n > 0 && len(m.jobs) >= n {
		wait := time.Second
		if len(m.over) > 0 {
			wait = Retention - time.Since(m.over[0].ended)
		}
		return &BusyError{
			fmt.Sprintf("too many jobs are known, %d: wait for the oldest result to be forgotten, %s after its job's end", n, Retention),
			wait,
		}
	}
	return nil
}
