// Package quicnode is a miner's side of the node's QUIC protocol: it has a miner
// search what a node wants searched, and tells the node what was found.
//
// A [Link] has one goroutine that owns all of its state (link.go): which node the miner
// works for, and the search that runs (search.go). Package upstream keeps up a connection to
// each node that is being talked to, again and again; a session on it reads jobs and writes
// results, and has the link's goroutine call what follows (peer.go). A connection itself is in
// dial.go, behind an interface of few methods, and so are the times after which it counts as
// dead.
//
// Of several nodes the miner works for the first that has a job. The next one is
// turned to when the one before has failed, or has been silent for a while, and let
// go as soon as that one has a job again: to be connected is not enough, as a node
// that syncs has nothing to do for its miners.
//
// The package knows neither flags nor metrics. What there is to see of it is a
// [Status].
package quicnode
