// Package wire is what a hub and its workers say to each other: the subjects, the messages
// and their bounds, for both sides. docs/fleet.md describes it for those who write a worker
// of their own.
//
// Messages are JSON, [MaxMessage] bytes at most. Who reads one ignores the members that it
// does not know, so that a version can gain some; what changes the meaning of others is a new
// [Version].
package wire
