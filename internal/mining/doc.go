// Package mining runs jobs: it searches their ranges on a fixed set of workers,
// and keeps their results until they have been fetched.
//
// A [Miner] owns the workers; [Miner.Run] is their lifetime. [Miner.Submit]
// makes a [Job], which runs until it is completed, failed or cancelled; the
// first of these stands for ever. Read miner.go for the jobs' life,
// lease.go for how a range is dealt out, and overview.go for what can be seen of
// it all from outside.
//
// The package knows engines only by their contract: neither what a nonce is
// searched for, nor how, nor who asked for it.
package mining
