package wire

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// Version is the version of the messages. The subjects are the same for all versions, so that
// each side can tell the other.
const Version = 1

// DefaultFleet is the name of a fleet that was given none.
const DefaultFleet = "main"

// maxFleet is how long the name of a fleet may be.
const maxFleet = 32

// Subjects are the subjects of one fleet. The id in them is a worker's instance id.
type Subjects struct{ prefix string }

// NewSubjects returns the subjects of the fleet of a name: 1 to 32 letters, digits, hyphens
// and underscores.
func NewSubjects(fleet string) (Subjects, error) {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	other := strings.IndexFunc(fleet, func(c rune) bool { return !plain(c) })
	if fleet == "" || len(fleet) > maxFleet || other >= 0 {
		return Subjects{}, fmt.Errorf("the name of a fleet must be 1 to %d letters, digits, hyphens and underscores, not %.40q", maxFleet, fleet)
	}
	return Subjects{"qm.v1." + fleet + "."}, nil
}

// Hello is where a worker says who it is, as a request.
func (s Subjects) Hello(id string) string { return s.prefix + "w." + id + ".hello" }

// Report is where a worker says how its leases stand.
func (s Subjects) Report(id string) string { return s.prefix + "w." + id + ".report" }

// Found is where a worker offers a winner, as a request.
func (s Subjects) Found(id string) string { return s.prefix + "w." + id + ".found" }

// Orders is where a worker is told what to search.
func (s Subjects) Orders(id string) string { return s.prefix + "h." + id + ".orders" }

// Beacon is where all workers are told which jobs there are.
func (s Subjects) Beacon() string { return s.prefix + "all.hub" }

// Hub is where hubs learn of each other, as a request.
func (s Subjects) Hub() string { return s.prefix + "hub" }

// Inbox is the prefix of the subjects on which a client receives answers.
func (s Subjects) Inbox(id string) string { return s.prefix + "r." + id }

// Any in the place of an id stands for all workers.
const Any = "*"

// Worker returns the instance id in the subject of a message that a worker sent.
func (s Subjects) Worker(subject string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(subject, s.prefix+"w.")
	id, _, found := strings.Cut(rest, ".")
	return id, ok && found && ValidID(id)
}

// WorkerMayPublish returns the subjects to which a worker of that id has to publish.
func (s Subjects) WorkerMayPublish(id string) []string { return []string{s.prefix + "w." + id + ".*"} }

// WorkerMaySubscribe returns the subjects to which a worker of that id has to subscribe.
func (s Subjects) WorkerMaySubscribe(id string) []string {
	return []string{s.prefix + "h." + id + ".*", s.Beacon(), s.Inbox(id) + ".>"}
}

// HubMay is the pattern of all subjects, which a hub publishes and subscribes to.
func (s Subjects) HubMay() string { return s.prefix + ">" }

// idBytes is the length of an instance id: enough that no two are ever the same.
const idBytes = 16

// NewID returns an instance id, of a process of a worker or a hub.
func NewID() string {
	var id [idBytes]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// ValidID reports whether text is an instance id: 32 lower-case hex digits.
func ValidID(id string) bool {
	if len(id) != hex.EncodedLen(idBytes) || strings.ToLower(id) != id {
		return false
	}
	_, err := hex.DecodeString(id)
	return err == nil
}
