// Package fleet has a miner search the leases that a hub gives it: a worker of a fleet.
//
// [Link.Run] keeps up a connection to the hub's NATS server, which is nats.go's work. Read link.go for
// what a worker is told of a link, running.go for the goroutine that owns its state, connection.go for how
// the hub is lost and found, leases.go for what it wants searched, and winners.go for what was found.
//
// What a worker holds it holds from a hub that it hears. A hub that is silent has given its leases to others, so
// the worker stops; after it was suspended it asks the hub before it goes on.
package fleet
