// Package hashrate tells how fast a miner is. The miner only counts; this
// package reads its counters about once a second and makes rates of them:
//
//   - a [Sampler] smooths the rate of each thread of each running job, and keeps
//     the curve of the last 15 minutes, for metrics and the page;
//   - a [Window] averages over the last 10 s, 60 s and 15 min;
//   - [Effort] adds up the work since the last winner;
//   - [Reports] log those averages and the effort.
//
// Who wants none of it starts none of it: the miner is not slowed by being
// watched, and does not know.
package hashrate
