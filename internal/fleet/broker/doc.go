// Package broker is what carries the messages of a fleet: NATS, which hub and workers speak by.
//
// A hub starts a NATS server (broker.go) in a process of its own (process.go, setup.go), which is
// the program quantus-miner-nats and what package server is. It knows its workers by a token
// and is known to them by the SHA-256 of its certificate (identity.go); both are made when the
// hub is first started. A hub may use somebody's own NATS servers as well. How workers and hubs
// connect to either is in dial.go.
package broker
