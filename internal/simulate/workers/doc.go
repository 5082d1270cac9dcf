// Package workers plays the workers of a fleet: hundreds in one process, each with a connection
// and an engine of its own.
//
// Read workers.go for what they are and what is counted, engine.go for the engines, which
// search truly and at a set pace, line.go for the connections, and trouble.go for what may go
// wrong with a worker.
package workers
