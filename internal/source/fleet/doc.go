// Package fleet has a miner search the leases that a hub gives it: a worker of a fleet.
package fleet
