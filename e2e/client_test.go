package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// client is a connection to a miner's API that costs little CPU time, as it runs
// on the CPUs that are mined on.
type client struct {
	conn    net.Conn
	answers *bufio.Reader

	requests int
	polls    []time.Duration // how long each answer to GET /result took
}

// answer is an answer of the API.
type answer struct {
	code       int
	retryAfter string
	body       []byte // valid until the next
}

// dial connects to a miner's API.
func dial(m miner) (*client, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(m.API, "http://"))
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, answers: bufio.NewReader(conn)}, nil
}

// ask sends a request, with a body if it is not empty, and reads the answer.
func (c *client) ask(method, path, body string) (answer, error) {
	if err := c.send(method, path, body); err != nil {
		return answer{}, err
	}
	return c.read()
}

// send sends a request, and does not wait for the answer.
func (c *client) send(method, path, body string) error {
	c.requests++
	head := method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n"
	if body != "" {
		head += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	_, err := io.WriteString(c.conn, head+"\r\n"+body)
	return err
}

// read reads the next answer, for which it waits a minute at most. That the miner
// would close the connection is an error.
func (c *client) read() (a answer, err error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return a, err
	}
	status, err := c.answers.ReadSlice('\n')
	if err != nil {
		return a, fmt.Errorf("reading an answer: %w", err)
	}
	version, rest, _ := strings.Cut(string(status), " ")
	code, _, _ := strings.Cut(rest, " ")
	if a.code, err = strconv.Atoi(code); err != nil || version != "HTTP/1.1" {
		return a, fmt.Errorf("an answer begins with %q", status)
	}
	length, contentType := -1, ""
	for {
		line, err := c.answers.ReadSlice('\n')
		if err != nil {
			return a, fmt.Errorf("reading a header: %w", err)
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		name, value, _ := strings.Cut(string(line), ": ")
		switch name {
		case "Content-Length":
			if length, err = strconv.Atoi(value); err != nil {
				return a, err
			}
		case "Content-Type":
			contentType = value
		case "Retry-After":
			a.retryAfter = value
		case "Connection":
			return a, fmt.Errorf("an answer %d with the header %q", a.code, line)
		}
	}
	if contentType != "application/json" || length < 0 {
		return a, fmt.Errorf("an answer %d of %d bytes of %q", a.code, length, contentType)
	}
	if a.body, err = c.answers.Peek(length); err != nil {
		return a, fmt.Errorf("reading a body: %w", err)
	}
	_, err = c.answers.Discard(length)
	return a, err
}

// post sends a POST, and wants an answer of this code: a reply of this status about
// this job, with this message, or with none if that is empty.
func (c *client) post(path, body string, code int, status, id, message string) error {
	a, err := c.ask("POST", path, body)
	if err != nil {
		return err
	}
	return a.reply(code, status, id, message)
}

// reply checks that an answer is such a reply.
func (a answer) reply(code int, status, id, message string) error {
	var r struct {
		Status  *string `json:"status"`
		JobID   *string `json:"job_id"`
		Message *string `json:"message"`
	}
	if err := decode(a.body, &r); err != nil {
		return err
	}
	if a.code != code || r.Status == nil || *r.Status != status || r.JobID == nil || *r.JobID != id ||
		(r.Message != nil) != (message != "") || r.Message != nil && *r.Message != message {
		return fmt.Errorf("answered %d %s, want %d, %s, %q, %q", a.code, a.body, code, status, id, message)
	}
	return nil
}

// decode reads an answer as strictly as the node does: it is one object, no member
// of which is repeated or spelled in another case; and unknown ones are none of
// ours.
func decode(body []byte, value any) error {
	if err := json.Unmarshal(body, value, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("answered %q: %w", body, err)
	}
	return nil
}

// job is a job for a miner, and what its owner knows of it.
type job struct {
	id          string
	threshold   string // in decimal
	first, last string // the range, in 128 hex digits
	nonces      uint64 // that there are in it; 0 if that is more than can be counted
	cancelled   bool   // its owner has asked for it

	status  string // at last; empty until it was asked for
	answer  string // the last one
	hashes  uint64
	elapsed float64
}

// over reports whether the job is known to be over.
func (j *job) over() bool { return j.status != "" && j.status != "running" }

// body is what it is submitted with.
func (j *job) body() string {
	return fmt.Sprintf(`{"job_id":%q,"mining_hash":"%064x","distance_threshold":%q,"nonce_start":%q,"nonce_end":%q}`,
		j.id, 16, j.threshold, j.first, j.last)
}

// newJob returns a job of one of the kinds; of these there are as many as variants.
func newJob(kind kind, id string, variant int) *job {
	j := &job{id: id, threshold: always, first: number(0), last: number(uint64(variant%300 + 1))}
	switch kind {
	case solved: // not by nonce 0
		j.nonces = uint64(variant%300 + 2)
	case solvedFar:
		j.first, j.last = fmt.Sprintf("%064x%064d", variant, 0), largest
	case exhausted:
		j.threshold, j.first, j.nonces = never, number(1), uint64(variant%300+1)
	case endless:
		j.threshold, j.first, j.last = never, number(1), largest
	}
	return j
}

// kind is a kind of job.
type kind int

const (
	solved    kind = iota // of a few nonces, solved by any of them but 0
	solvedFar             // the same of many, up to the largest
	exhausted             // of a few nonces that do not solve it
	endless               // of all nonces, none of which solves it
	kinds
)

// errFull says that a job was refused because of a limit.
var errFull = errors.New("refused because of a limit")

// submit submits a job. The error is errFull if there is no room for it.
func (c *client) submit(j *job) error {
	a, err := c.ask("POST", "/mine", j.body())
	if err != nil || a.code != 429 {
		return cmp.Or(err, a.reply(200, "accepted", j.id, ""))
	}
	if seconds, err := strconv.Atoi(a.retryAfter); err != nil || seconds < 1 || seconds > 300 {
		return fmt.Errorf("refused, with Retry-After: %q", a.retryAfter)
	}
	var r struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(a.body, &r); err != nil || r.Message == "" {
		return fmt.Errorf("refused without a reason: %s", a.body)
	}
	return cmp.Or(a.reply(429, "error", j.id, r.Message), errFull)
}

// cancel cancels a job, which may be over.
func (c *client) cancel(j *job) error {
	j.cancelled = true
	return c.post("/cancel/"+j.id, "", 200, "cancelled", j.id, "")
}

// poll asks for the state of a job, and checks that it can follow from all that is
// known of it.
func (c *client) poll(j *job) error {
	began := time.Now()
	a, err := c.ask("GET", "/result/"+j.id, "")
	c.polls = append(c.polls, time.Since(began))
	if err != nil {
		return err
	}
	before := *j
	if err := j.follow(a); err != nil {
		return fmt.Errorf("job %+v: answered %d %s: %w", before, a.code, a.body, err)
	}
	return nil
}

// follow learns the state of a job from an answer.
func (j *job) follow(a answer) error {
	if j.over() {
		if string(a.body) != j.answer {
			return errors.New("a job that was over has changed")
		}
		return nil
	}
	r, err := a.result(200, j.id)
	if err != nil {
		return err
	}
	complete := j.threshold != never
	switch *r.Status {
	case "running":
		if j.cancelled {
			return errors.New("it runs, and has been cancelled")
		}
	case "completed":
		if !complete || r.hashes() < 1 {
			return errors.New("there is no valid nonce, or not one was tried")
		}
		if err := j.check(r); err != nil {
			return err
		}
	case "failed":
		// An engine that is to stop may count less than it has tried, but never here.
		if complete || j.nonces == 0 || r.hashes() != j.nonces {
			return errors.New("there is a valid nonce, or not all were tried")
		}
	case "cancelled":
		if !j.cancelled {
			return errors.New("its owner has not asked for that")
		}
	default:
		return errors.New("there is no such status")
	}
	if *r.Status != "completed" && (string(r.Nonce) != "null" || string(r.Work) != "null") {
		return errors.New("it has a nonce")
	}
	if r.hashes() < j.hashes || j.nonces > 0 && r.hashes() > j.nonces || *r.ElapsedTime < j.elapsed {
		return errors.New("its hashes or its time are less than before, or its hashes more than its nonces")
	}
	j.status, j.answer, j.hashes, j.elapsed = *r.Status, string(a.body), r.hashes(), *r.ElapsedTime
	return nil
}

// check checks the nonce of a completed job. Its distance is not looked at: most
// jobs here are completed by any nonce but 0.
func (j *job) check(r wireResult) error {
	nonce, err := jsontext.AppendUnquote(nil, r.Nonce)
	work, err2 := jsontext.AppendUnquote(nil, r.Work)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if len(work) != 128 || strings.Trim(string(work), "0123456789abcdef") != "" {
		return errors.New("work is not of 128 hex digits")
	}
	if len(nonce) == 0 || string(nonce) != strings.TrimLeft(string(work), "0") {
		return errors.New("the nonce is 0 or not the work")
	}
	if string(work) < j.first || string(work) > j.last {
		return errors.New("the nonce is not in the range")
	}
	return nil
}

// wireResult is the answer to GET /result.
type wireResult struct {
	Status      *string        `json:"status"`
	JobID       *string        `json:"job_id"`
	Nonce       jsontext.Value `json:"nonce"` // null, or a string
	Work        jsontext.Value `json:"work"`
	HashCount   jsontext.Value `json:"hash_count"`
	ElapsedTime *float64       `json:"elapsed_time"`
}

// hashes returns the number of hashes, or 2^64-1 if it is not of the form that the
// node reads.
func (r wireResult) hashes() uint64 {
	n, err := strconv.ParseUint(string(r.HashCount), 10, 64)
	if err != nil {
		return math.MaxUint64
	}
	return n
}

// result reads an answer that has this code and is about this job.
func (a answer) result(code int, id string) (r wireResult, err error) {
	if err := decode(a.body, &r); err != nil {
		return r, err
	}
	if a.code != code || r.Status == nil || r.JobID == nil || *r.JobID != id || r.Nonce == nil || r.Work == nil ||
		r.hashes() == math.MaxUint64 || r.ElapsedTime == nil || *r.ElapsedTime < 0 {
		return r, fmt.Errorf("it is not a result of %q with code %d", id, code)
	}
	return r, nil
}

// unknown asks for a job that the miner does not know.
func (c *client) unknown(id string) error {
	a, err := c.ask("GET", "/result/"+id, "")
	if err != nil {
		return err
	}
	r, err := a.result(404, id)
	if err != nil || *r.Status != "not_found" || string(r.Nonce) != "null" || string(r.Work) != "null" ||
		r.hashes() != 0 || *r.ElapsedTime != 0 {
		return fmt.Errorf("answered %d %s to a question for an unknown job: %v", a.code, a.body, err)
	}
	return c.post("/cancel/"+id, "", 404, "not_found", id, "Job not found")
}

// malformed are bodies that are refused, with the code, the job's ID and the message
// of the answer.
var malformed = func() (list []refusal) {
	whole := job{id: "x", threshold: never, first: number(1), last: number(9)}
	change := func(from, to string) string { return strings.Replace(whole.body(), from, to, 1) }
	return []refusal{
		{change(`"job_id":"x"`, `"job_id":""`), "", "job_id cannot be empty"},
		{change(`"mining_hash":"0`, `"mining_hash":"`), "x", "mining_hash must be 64 hex characters"},
		{change(`"mining_hash":"0`, `"mining_hash":"g`), "x", "mining_hash must be valid hex"},
		{change(`"distance_threshold":"0"`, `"distance_threshold":"-1"`), "x", "distance_threshold must be a valid decimal number"},
		{change(`"nonce_start":"0`, `"nonce_start":"`), "x", "nonce_start must be 128 hex characters"},
		{change(`"nonce_end":"0`, `"nonce_end":"00`), "x", "nonce_end must be 128 hex characters"},
		{change(`"nonce_start":"0`, `"nonce_start":"x`), "x", "nonce_start must be valid hex"},
		{change(`"nonce_end":"0`, `"nonce_end":" `), "x", "nonce_end must be valid hex"},
		{change(`"nonce_start":"0`, `"nonce_start":"1`), "x", "nonce_start must be <= nonce_end"},
		{change(`"distance_threshold":"0",`, ``), "x", "missing field `distance_threshold`"},
	}
}()

type refusal struct{ body, id, message string }

// refused submits something malformed.
func (c *client) refused(r refusal) error {
	return c.post("/mine", r.body, 400, "error", r.id, r.message)
}

// number is a nonce as jobs are submitted with it.
func number(n uint64) string { return fmt.Sprintf("%0128x", n) }

// largest is the largest nonce there is.
var largest = strings.Repeat("f", 128)
