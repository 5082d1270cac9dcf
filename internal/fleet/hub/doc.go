// Package hub has machines far away search the jobs of a miner: each is a crew of it, which
// takes leases, as a thread or a GPU does.
//
// [Hub.Run] answers the machines of one fleet on a NATS connection. Read hub.go for its life,
// machine.go for that of a machine, lease.go for how a lease goes out and comes back, winner.go
// for what becomes of winners, rival.go for what follows if there are two hubs, and overview.go
// for what can be seen of it all.
//
// The package knows neither how a connection is made, nor where jobs come from.
package hub
