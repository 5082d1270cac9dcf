// Package broker is what carries the messages of a fleet: NATS, which hub and workers speak by.
//
// A hub runs a NATS server in its own process (broker.go), which knows its workers by a token
// and is known to them by the SHA-256 of its certificate (identity.go); both are made when the
// hub is first started. A hub may use somebody's own NATS servers as well. How workers and hubs
// connect to either is in dial.go. The package knows the fleet's subjects, as it says who may
// use which, and no message.
package broker
