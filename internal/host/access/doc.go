// Package access decides which requests the miner's servers answer. A [Guard] checks
// passwords and tokens. [Hosts], [RefusePages] and [RefuseOtherSites] refuse what web
// pages of other sites ask for. [TLS] encrypts.
//
// The caller writes the refusals ([Refuse]), as each server has a form of its own for
// them. Passwords, tokens and keys are in files (files.go, text.go), which may change
// while the miner runs (reload.go). No error and no line of the log has a secret.
// How fast secrets can be guessed is bounded (limit.go).
package access
