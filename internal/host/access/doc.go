// Package access decides who may talk to the miner's servers: whoever proves by
// password or token that he may ([Guard]), and no web page but the miner's own
// ([RefusePages], [RefuseOtherSites], [Hosts]). [TLS] keeps what is said between them.
//
// Refusals are the caller's to write ([Refuse]), as each server has a form of its
// own for them. Passwords, tokens and keys are read from files, which may change
// while the miner runs (reload.go), and appear in no error and no line of the log.
// How fast they can be guessed is bounded (limit.go).
package access
