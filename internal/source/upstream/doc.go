// Package upstream is what those sources have in common that connect to servers, nodes or
// pools, and have a miner search what these ask for.
//
// [Ranks] keep up connections to servers in their order of preference (ranks.go): again and
// again, after delays, to the next one when the one before fails. [Search] has a miner search
// what is asked for at present, which goes on after a winner (search.go). [Status] is what
// there is to see of it (status.go), and [UntilSuspended] says when connections are of no use
// any more as this machine slept (suspend.go).
//
// A source has one goroutine that owns all of its state, these included. What is said on a
// connection is the source's own: the package knows no protocol.
package upstream
