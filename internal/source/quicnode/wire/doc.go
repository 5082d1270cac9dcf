// Package wire is the wire between a node and its miners on today's network,
// the protocol "quantus-miner/2", for both of its sides: the miner's, which is
// package quicnode, and a node's, of which there is a stand-in for tests.
//
// A miner dials a node by QUIC, whose certificate it knows by its hash (trust.go),
// and opens one stream. Both write messages to it (message.go), each in a frame
// (frame.go): the miner begins with [Ready], the node sends a [NewJob] whenever
// there is something new to search, and the miner a [JobResult] when it has found
// something. Nothing is ever acknowledged.
package wire

// DefaultPort is the UDP port that nodes listen on by convention.
const DefaultPort = 9833

// Reasons with which a node closes a connection, and that mean something to a
// miner. They are told by their words: the codes are any.
const (
	// ReasonAuthFailed says that the token is wrong.
	ReasonAuthFailed = "auth failed"
	// ReasonAuthTimeout says that no Ready came in time.
	ReasonAuthTimeout = "auth timeout"
)

// Codes with which a connection is closed by us. Nodes look at neither the code nor
// the reason: they are for whoever reads a node's log.
const (
	// CodeDone says that the miner ends, or goes to another node.
	CodeDone = 0
	// CodeViolation says that what came was no message of the protocol.
	CodeViolation = 1
)
