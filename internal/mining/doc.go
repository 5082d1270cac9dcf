// Package mining runs jobs: crews of workers search their ranges, and their results
// are kept until they have been fetched.
//
// A [Miner] owns the jobs; [Miner.Run] is its lifetime. [Miner.Add] gives it a [Crew]:
// workers that search with one engine. [Miner.Submit] makes a [Job], which runs until
// it is completed, failed or cancelled; the first of these stands for ever. Read
// miner.go for the life of jobs, crew.go for that of workers, lease.go for how a range
// is dealt out to them, faults.go for what follows when an engine errs, winners.go for
// jobs that go on after a winner, and overview.go for what can be seen of it all.
//
// The package knows engines only by their contract: neither what a nonce is
// searched for, nor how, nor who asked for it.
package mining
