package quicnode

import (
	"fmt"
	"time"
)

// State is what a miner does for its nodes, or why it does nothing.
type State int

// The states of a link.
const (
	// NotConnected says that there is no connection to any node.
	NotConnected State = iota
	// Refused says that a node has refused the token.
	Refused
	// Waiting says that a node is connected and has no job, as it is syncing for one.
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

// Status is how a link stands at one moment.
type Status struct {
	State State
	// Since is when the link came to the state and to the node.
	Since time.Time
	// Node is the address of the node that the state is about, as it was given.
	Node string
	// Fallback says that this is not the first of the nodes.
	Fallback bool
	// Reason is why there is no connection, and Retry when another is tried. Both are
	// zero while there is one, and before the first attempt has ended.
	Reason error
	Retry  time.Time
	// Connections counts the connections that were made, and Failures the attempts
	// that failed and the connections that were lost.
	Connections, Failures uint64
	// Jobs counts the jobs that came, and Results the results that were sent.
	Jobs, Results uint64
}

// String says it for people.
func (s Status) String() string {
	switch s.State {
	case Refused:
		return fmt.Sprintf("the node %s refuses the token", s.Node)
	case Waiting:
		return fmt.Sprintf("connected to %s, waiting for the first job: the node may be syncing", s.Node)
	case Working:
		return "working for " + s.Node
	}
	if s.Reason == nil {
		return "connecting to " + s.Node
	}
	next := "at " + s.Retry.Format(time.TimeOnly)
	if !time.Now().Before(s.Retry) { // an attempt may take a while
		next = "now"
	}
	return fmt.Sprintf("not connected to %s: %v; next try %s", s.Node, s.Reason, next)
}
