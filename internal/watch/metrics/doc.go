// Package metrics exports a miner to Prometheus. The names and labels of its
// series are a contract: dashboards and alerts are built on them.
//
// Start with [New]. Nearly everything is read at scrape time from one sample of
// the miner, in which all numbers fit together (collector.go); what a sample
// cannot show, an [Exporter] is told by the miner and its API (exporter.go); what
// keeps a scrape from costing much hash rate is in cost.go. No other package knows
// of Prometheus, and if nobody calls New, nothing of it runs.
package metrics
