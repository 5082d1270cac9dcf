package httpapi

import (
	"cmp"
	"net/http"
	"time"
)

// The defaults of [Limits].
const (
	DefaultJobID       = 256     // a UUID has 36
	DefaultBody        = 8 << 10 // a job of the node's has about 600
	DefaultHeader      = 8 << 10 // what other servers take, too
	DefaultConnections = 512     // a node has one; a process may often have 1024 files
	DefaultRequest     = 10 * time.Second
)

// Limits bound what a client can make the miner hold. A field that is zero stands
// for its default. How many jobs there may be is for [mining.Limits] to say.
type Limits struct {
	// JobID is the length of a job's name in bytes. The name stays for as long as
	// the job is known, in the log for longer, and is a label of metrics.
	JobID int
	// Body is the size of a request's body in bytes.
	Body int
	// Header is the size of a request's line and header fields in bytes. A job can
	// only be asked for if its name fits, each byte of which may be escaped (%41).
	//
	// As much again is read in order to say in JSON what is wrong. After that, and
	// 4 KiB of its own, net/http says it in plain text.
	Header int
	// Connections is how many may be open at the same time. See package connlimit
	// for what becomes of more.
	Connections int
	// Request is the time in which a request has to arrive, and then its answer.
	// The header has half of it. If that is too slow, net/http closes the
	// connection, without a word or, in the middle of a line, with "400 Bad
	// Request" in plain text. A client whose body is too slow is told in JSON.
	Request time.Duration
}

// orDefaults returns the limits with defaults for what is zero.
func (l Limits) orDefaults() Limits {
	return Limits{
		JobID:       cmp.Or(l.JobID, DefaultJobID),
		Body:        cmp.Or(l.Body, DefaultBody),
		Header:      cmp.Or(l.Header, DefaultHeader),
		Connections: cmp.Or(l.Connections, DefaultConnections),
		Request:     cmp.Or(l.Request, DefaultRequest),
	}
}

// headerSize returns the size of a request's line and header fields in bytes, but
// for what net/http does not keep, such as space around values.
func headerSize(r *http.Request) int {
	const separators = len(": \r\n") // two spaces and the end of the request's line are as long
	size := len(r.Method) + len(r.RequestURI) + len(r.Proto) + separators
	if r.Host != "" {
		size += len("Host") + len(r.Host) + separators
	}
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + separators
		}
	}
	return size
}
