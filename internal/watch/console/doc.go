// Package console is a miner's log for the person who reads it: a [slog.Handler] that
// writes what every miner says, jobs, winners, connections, hash rates, each as one short
// line in human units, and everything else as message and attributes. The same records as
// JSON are for machines.
package console
