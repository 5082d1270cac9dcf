package upstream

import (
	"fmt"
	"time"
)

// State is what a miner does for its servers, or why it does nothing.
type State int

// The states of a source.
const (
	// NotConnected says that there is no connection to any server.
	NotConnected State = iota
	// Refused says that a server has refused what the miner shows it: token or login.
	Refused
	// Waiting says that a server is connected and has no job.
	Waiting
	// Working says that a job is being searched.
	Working
)

// States are all states.
var States = []State{NotConnected, Refused, Waiting, Working}

// String returns the state's name, in lower case and with underscores.
func (s State) String() string {
	switch s {
	case NotConnected:
		return "not_connected"
	case Refused:
		return "refused"
	case Waiting:
		return "waiting"
	case Working:
		return "working"
	default:
		return fmt.Sprintf("State(%d)", int(s))
	}
}

// Status is how a source stands at one moment.
type Status struct {
	State State
	// Since is when the source came to the state and to the server.
	Since time.Time
	// Server is the address of the server that the state is about, as it was given.
	Server string
	// Fallback says that this is not the first of the servers.
	Fallback bool
	// Reason is why there is no connection, and Retry when another is tried. Both are
	// zero while there is one, and before the first attempt has ended.
	Reason error
	Retry  time.Time
	// Connections counts the connections that were made, and Failures the attempts
	// that failed and the connections that were lost.
	Connections, Failures uint64
	// Jobs counts the jobs that came.
	Jobs uint64
}

// After returns the status as one that follows another: since when it is so.
func (s Status) After(before Status) Status {
	s.Since = before.Since
	if s.State != before.State || s.Server != before.Server {
		s.Since = time.Now()
	}
	return s
}

// Unconnected says for people that there is no connection, and why.
func (s Status) Unconnected() string {
	if s.Reason == nil {
		return "connecting to " + s.Server
	}
	next := "at " + s.Retry.Format(time.TimeOnly)
	if !time.Now().Before(s.Retry) { // an attempt may take a while
		next = "now"
	}
	return fmt.Sprintf("not connected to %s: %v; next try %s", s.Server, s.Reason, next)
}
