package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/quantus-network/quantus-miner/internal/mining"
)

// Statuses of the wire beside those of a job, which are mining.Status's names.
const (
	statusAccepted = "accepted"
	statusNotFound = "not_found"
	statusError    = "error"
)

// reply is the answer of /mine and /cancel, and of every path that is not there.
type reply struct {
	Status  string `json:"status"`
	JobID   string `json:"job_id"`
	Message string `json:"message,omitempty"`
}

// jobResult is the answer of /result, refusals included: the node's decoder wants
// all six fields, and ignores the message.
type jobResult struct {
	Status string `json:"status"`
	JobID  string `json:"job_id"`
	// Nonce is the winning nonce in lower-case hex without leading zeros, Work
	// the same in 128 digits. Both are null when there is none.
	Nonce *string `json:"nonce"`
	Work  *string `json:"work"`
	// HashCount is the number of nonces evaluated so far.
	HashCount uint64 `json:"hash_count"`
	// ElapsedTime is in seconds, from the job's start to now or to its end.
	ElapsedTime float64 `json:"elapsed_time"`
	Message     string  `json:"message,omitempty"`
}

// refusal is an error in the shape of an endpoint's answers.
func refusal(endpoint, jobID, message string) any {
	if endpoint == result {
		return jobResult{Status: statusError, JobID: jobID, Message: message}
	}
	return reply{Status: statusError, JobID: jobID, Message: message}
}

// resultOf puts a job's state into wire form.
func resultOf(job *mining.Job) jobResult {
	s := job.Snapshot()
	r := jobResult{
		Status:      s.Status.String(),
		JobID:       job.ID(),
		HashCount:   s.Evaluated,
		ElapsedTime: s.Elapsed.Seconds(),
	}
	if s.Status == mining.Completed {
		nonce, work := s.Nonce.Hex(), s.Nonce.PaddedHex()
		r.Nonce, r.Work = &nonce, &work
	}
	return r
}

// write sends a reply or a result. An error means that the client is gone.
func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // "<=" reads better in a message than "\u003c="
	_ = e.Encode(body)
}
