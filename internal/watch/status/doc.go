// Package status is how a miner stands, as JSON for programs: rig managers and scripts
// read it at /api/v1/status, and the live page shows the same. docs/status.md describes
// the fields, and api/status.yaml holds them; both are a contract.
//
// A [Board] knows what no overview of the miner has: its latest winners, and what became
// of them.
package status
