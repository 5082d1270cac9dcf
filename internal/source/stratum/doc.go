// Package stratum is a miner's side of the protocol of pools: it has a miner search what a pool
// wants searched, and sends the pool the shares that were found.
//
// The protocol is JSON-RPC with an object a line, over TCP or TLS. line.go reads lines and
// writes them, work.go reads what is to be searched, and holds it to the rules. Package
// upstream keeps up a connection to each pool that is being talked to; a session on it logs in,
// reads and writes (session.go), and has the goroutine of the [Link] call what follows (link.go),
// which owns all state. Shares wait there for their turn and for their answers (shares.go).
// What a user should know and nobody tells, such as that shares are refused, is in advice.go.
//
// A pool is believed nothing that can be checked. What breaks the rules ends the session: it is
// better to connect again than to search for what nobody wants.
//
// The package knows neither flags nor metrics. What there is to see of it is a [Status], and
// what becomes of each [Share].
package stratum
