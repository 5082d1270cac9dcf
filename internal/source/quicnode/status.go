package quicnode

import (
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

// State is what a miner does for its nodes, or why it does nothing.
type State = upstream.State

// The states of a link: to be refused is to have the token refused, and a node that is waited
// for is syncing.
const (
	NotConnected = upstream.NotConnected
	Refused      = upstream.Refused
	Waiting      = upstream.Waiting
	Working      = upstream.Working
)

// Status is how a link stands at one moment. Its servers are nodes.
type Status struct {
	upstream.Status
	// Results counts the results that were sent.
	Results uint64
}

// String says it for people.
func (s Status) String() string {
	switch s.State {
	case Refused:
		return fmt.Sprintf("the node %s refuses the token", s.Server)
	case Waiting:
		return fmt.Sprintf("connected to %s, waiting for the first job: the node may be syncing", s.Server)
	case Working:
		return "working for " + s.Server
	}
	return s.Unconnected()
}
