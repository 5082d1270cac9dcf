package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/quantus-network/quantus-miner/internal/engine"
	"github.com/quantus-network/quantus-miner/internal/mining"
	poseidon2fast "github.com/quantus-network/quantus-miner/internal/pow/poseidon2/fast"
	"github.com/quantus-network/quantus-miner/internal/pow/sha3rsa/fast"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

func TestMain(m *testing.M) {
	// After it has refused a request, net/http keeps the connection for half a
	// second, for the client to read why.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// startMiner runs a miner for as long as the test takes.
func startMiner(t testing.TB, e engine.Engine) *mining.Miner {
	m := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: e, Workers: 1})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return m
}

// mineBody is a body for POST /mine, with some fields changed: each change is
// the field's name and its value in JSON; no value leaves the field out.
func mineBody(jobID string, changes ...string) string {
	fields := []string{
		"job_id", fmt.Sprintf("%q", jobID),
		"mining_hash", `"` + strings.Repeat("0a", 32) + `"`,
		"distance_threshold", `"` + u512.Max().String() + `"`,
		"nonce_start", `"` + u512.From64(1).PaddedHex() + `"`,
		"nonce_end", `"` + u512.Max().PaddedHex() + `"`,
	}
	var members []string
	for i := 0; i < len(fields); i += 2 {
		value := fields[i+1]
		for j := 0; j < len(changes); j += 2 {
			if changes[j] == fields[i] {
				value = changes[j+1]
			}
		}
		if value != "" {
			members = append(members, fmt.Sprintf("%q:%s", fields[i], value))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// contract checks answers against api/openapi.yaml.
type contract struct {
	doc *openapi3.T
	// open holds the answers, as "path code", that no test has seen yet.
	open map[string]bool
}

func loadContract(t *testing.T) *contract {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	c := &contract{doc, make(map[string]bool)}
	for path := range doc.Paths.Map() {
		for code := range c.operation(t, path).Responses.Map() {
			c.open[path+" "+code] = true
		}
	}
	return c
}

// operation returns the one operation of a path.
func (c *contract) operation(t *testing.T, path string) *openapi3.Operation {
	t.Helper()
	operations := c.doc.Paths.Value(path).Operations()
	if len(operations) != 1 {
		t.Fatalf("%s has %d operations, want one", path, len(operations))
	}
	for _, o := range operations {
		return o
	}
	return nil
}

// template returns the path of the contract that a request's path is of, or "".
func (c *contract) template(path string) string {
	template := path
	if segments := strings.Split(path, "/"); len(segments) == 3 && segments[2] != "" {
		template = "/" + segments[1] + "/{job_id}"
	}
	if c.doc.Paths.Value(template) == nil {
		return ""
	}
	return template
}

// answer is what a request was answered with.
type answer struct {
	code   int
	header http.Header
	body   map[string]any
}

// check holds an answer to the contract.
func (c *contract) check(t *testing.T, path string, a answer) {
	t.Helper()
	template := c.template(path)
	if template == "" {
		if a.code != http.StatusNotFound && a.code != http.StatusRequestHeaderFieldsTooLarge && a.code != http.StatusServiceUnavailable {
			t.Errorf("%s is not in the contract, and was answered with %d", path, a.code)
		}
		return
	}
	response := c.operation(t, template).Responses.Status(a.code)
	if response == nil {
		t.Errorf("the contract has no answer %d to %s", a.code, template)
		return
	}
	if err := response.Value.Content.Get("application/json").Schema.Value.VisitJSON(a.body); err != nil {
		t.Errorf("answer %d to %s: %v", a.code, template, err)
	}
	const retryAfter = "Retry-After"
	value := a.header.Get(retryAfter)
	switch header := response.Value.Headers[retryAfter]; {
	case header == nil && value != "":
		t.Errorf("answer %d to %s has an undocumented %s: %s", a.code, template, retryAfter, value)
	case value != "":
		seconds, err := strconv.Atoi(value)
		if err == nil {
			err = header.Value.Schema.Value.VisitJSON(seconds)
		}
		if err != nil {
			t.Errorf("answer %d to %s: %s: %s: %v", a.code, template, retryAfter, value, err)
		}
	case header != nil && header.Value.Required:
		t.Errorf("answer %d to %s lacks %s", a.code, template, retryAfter)
	}
	delete(c.open, fmt.Sprint(template, " ", a.code))
}

// checkMine holds a refusal of a body to what the contract says of bodies.
func (c *contract) checkMine(t *testing.T, body string, accepted bool) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		return
	}
	schema := c.operation(t, "/mine").RequestBody.Value.Content.Get("application/json").Schema.Value
	if err := schema.VisitJSON(value); err != nil && accepted {
		t.Errorf("accepted a body that the contract refuses: %v", err)
	}
}

// broken is an engine that cannot prepare a job.
type broken struct{ fast.Engine }

func (broken) Prepare([32]byte, u512.Uint) (engine.Job, error) {
	return nil, errors.New("out of order")
}

// witness is an observer that keeps what it is told.
type witness struct {
	answers []string // "endpoint code"
	fetched []time.Duration
}

func (w *witness) Answered(endpoint string, code int) {
	w.answers = append(w.answers, fmt.Sprint(endpoint, " ", code))
}

func (w *witness) FirstNonce(time.Duration) {}

func (w *witness) Fetched(_ string, waited time.Duration) { w.fetched = append(w.fetched, waited) }

// endpoint returns the name of the endpoint that a request's path is of.
func (c *contract) endpoint(path string) string {
	template := c.template(path)
	if template == "" {
		return "other"
	}
	return strings.Split(template, "/")[1]
}

// TestContract has a row for every row of the contract's tables.
func TestContract(t *testing.T) {
	c := loadContract(t)
	miner := startMiner(t, fast.Engine{})
	observer := new(witness)
	service := New(miner, slog.New(slog.DiscardHandler), observer, Limits{})
	closed := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: fast.Engine{}, Workers: 1})
	ended, end := context.WithCancel(context.Background())
	end()
	closed.Run(ended)

	submit := func(id string, threshold u512.Uint, first, last u512.Uint) *mining.Job {
		job, err := miner.Submit(mining.Request{ID: id, Threshold: threshold, Range: engine.Range{Start: first, End: last}})
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	one := u512.From64(1)
	completed := submit("completed", u512.Max(), one, u512.Max())
	<-completed.Done()
	<-submit("failed", u512.Uint{}, one, u512.From64(5)).Done()
	for _, id := range []string{"..", ".", "a/b", "%", "ünï ?#", "mine"} {
		<-submit(id, u512.Uint{}, one, one).Done()
	}
	submit("cancelled", u512.Uint{}, one, u512.Max())
	miner.Cancel("cancelled")
	submit("running", u512.Uint{}, one, u512.Max())
	submit("to cancel", u512.Uint{}, one, u512.Max())

	work := one.PaddedHex()
	long := strings.Repeat("x", DefaultJobID)
	z128, f128 := strings.Repeat("0", 128), strings.Repeat("f", 128)
	refused := func(id, message string) string {
		return fmt.Sprintf(`{"status":"error","job_id":%q,"message":%q}`, id, message)
	}
	known := func(id, status string) string {
		return fmt.Sprintf(`{"status":%q,"job_id":%q,"nonce":null,"work":null}`, status, id)
	}
	notFound := `{"status":"not_found","job_id":"no","nonce":null,"work":null,"hash_count":0,"elapsed_time":0}`

	for _, row := range []struct {
		name         string
		method, path string
		body         string
		contentType  string
		code         int
		// want is the body. Where it lacks hash_count or elapsed_time of a
		// result, they may have any value; where it has no message, "*" does.
		want string
	}{
		// POST /mine
		{name: "accepted", path: "/mine", body: mineBody("a1"), code: 200, want: `{"status":"accepted","job_id":"a1"}`},
		{name: "start = end", path: "/mine", body: mineBody("a2", "nonce_end", `"`+work+`"`), code: 200, want: `{"status":"accepted","job_id":"a2"}`},
		{name: "hex of either case", path: "/mine", body: mineBody("a3", "mining_hash", `"`+strings.Repeat("aB", 32)+`"`, "nonce_end", `"`+strings.ToUpper(f128)+`"`), code: 200, want: `{"status":"accepted","job_id":"a3"}`},
		{name: "unknown fields", path: "/mine", body: `{"x":1,"x":[{"job_id":2}],` + mineBody("a4")[1:], code: 200, want: `{"status":"accepted","job_id":"a4"}`},
		{name: "a threshold with leading zeros", path: "/mine", body: mineBody("a5", "distance_threshold", `"007"`), code: 200, want: `{"status":"accepted","job_id":"a5"}`},
		{name: "a name that is no UUID", path: "/mine", body: mineBody("<&>é"), code: 200, want: `{"status":"accepted","job_id":"<&>é"}`},
		{name: "JSON with a charset", path: "/mine", contentType: "application/json; charset=utf-8", body: mineBody("a6"), code: 200, want: `{"status":"accepted","job_id":"a6"}`},
		{name: "no Content-Type", path: "/mine", contentType: "-", body: mineBody("a7"), code: 200, want: `{"status":"accepted","job_id":"a7"}`},

		{name: "empty job_id", path: "/mine", body: mineBody("", "mining_hash", `"x"`), code: 400, want: refused("", "job_id cannot be empty")},
		{name: "job_id as long as can be", path: "/mine", body: mineBody(long, "distance_threshold", `"0"`), code: 200, want: `{"status":"accepted","job_id":"` + long + `"}`},
		{name: "job_id too long", path: "/mine", body: mineBody(long+"x", "mining_hash", `"x"`), code: 400, want: refused("", "job_id must not exceed 256 bytes")},
		{name: "job_id of too many bytes", path: "/mine", body: mineBody(strings.Repeat("é", DefaultJobID/2) + "x"), code: 400, want: refused("", "job_id must not exceed 256 bytes")},
		{name: "job_id too long for what is missing", path: "/mine", body: mineBody(long+"x", "nonce_end", ""), code: 400, want: refused("", "missing field `nonce_end`")},
		{name: "short hash", path: "/mine", body: mineBody("b", "mining_hash", `"zz"`, "distance_threshold", `""`), code: 400, want: refused("b", "mining_hash must be 64 hex characters")},
		{name: "hash with a prefix", path: "/mine", body: mineBody("b", "mining_hash", `"0x`+strings.Repeat("00", 32)+`"`), code: 400, want: refused("b", "mining_hash must be 64 hex characters")},
		{name: "hash not hex", path: "/mine", body: mineBody("b", "mining_hash", `"`+strings.Repeat("0g", 32)+`"`, "distance_threshold", `""`), code: 400, want: refused("b", "mining_hash must be valid hex")},
		{name: "empty threshold", path: "/mine", body: mineBody("b", "distance_threshold", `""`, "nonce_start", `""`), code: 400, want: refused("b", "distance_threshold must be a valid decimal number")},
		{name: "threshold in hex", path: "/mine", body: mineBody("b", "distance_threshold", `"ff"`), code: 400, want: refused("b", "distance_threshold must be a valid decimal number")},
		{name: "negative threshold", path: "/mine", body: mineBody("b", "distance_threshold", `"-1"`), code: 400, want: refused("b", "distance_threshold must be a valid decimal number")},
		{name: "threshold of 2^512", path: "/mine", body: mineBody("b", "distance_threshold", `"13407807929942597099574024998205846127479365820592393377723561443721764030073546976801874298166903427690031858186486050853753882811946569946433649006084096"`), code: 400, want: refused("b", "distance_threshold must be a valid decimal number")},
		{name: "short start", path: "/mine", body: mineBody("b", "nonce_start", `"zz"`, "nonce_end", `""`), code: 400, want: refused("b", "nonce_start must be 128 hex characters")},
		{name: "long end", path: "/mine", body: mineBody("b", "nonce_start", `"`+strings.Repeat("z", 128)+`"`, "nonce_end", `"0`+f128+`"`), code: 400, want: refused("b", "nonce_end must be 128 hex characters")},
		{name: "start not hex", path: "/mine", body: mineBody("b", "nonce_start", `"`+strings.Repeat("z", 128)+`"`, "nonce_end", `"`+strings.Repeat("z", 128)+`"`), code: 400, want: refused("b", "nonce_start must be valid hex")},
		{name: "end not hex", path: "/mine", body: mineBody("b", "nonce_end", `"`+strings.Repeat("z", 128)+`"`), code: 400, want: refused("b", "nonce_end must be valid hex")},
		{name: "start > end", path: "/mine", body: mineBody("b", "nonce_end", `"`+z128+`"`), code: 400, want: refused("b", "nonce_start must be <= nonce_end")},

		{name: "job_id of a running job", path: "/mine", body: mineBody("running"), code: 409, want: refused("running", "Job already exists")},
		{name: "job_id of a completed job", path: "/mine", body: mineBody("completed"), code: 409, want: refused("completed", "Job already exists")},
		{name: "job_id of a cancelled job", path: "/mine", body: mineBody("cancelled"), code: 409, want: refused("cancelled", "Job already exists")},

		{name: "missing threshold", path: "/mine", body: mineBody("b", "distance_threshold", ""), code: 400, want: refused("b", "missing field `distance_threshold`")},
		{name: "missing job_id", path: "/mine", body: mineBody("b", "job_id", ""), code: 400, want: refused("", "missing field `job_id`")},
		{name: "field names have a case", path: "/mine", body: strings.Replace(mineBody("b"), "job_id", "JOB_ID", 1), code: 400, want: refused("", "missing field `job_id`")},
		{name: "null", path: "/mine", body: mineBody("b", "nonce_end", "null"), code: 400, want: refused("b", "field `nonce_end` must be a string")},
		{name: "null job_id", path: "/mine", body: mineBody("b", "job_id", "null"), code: 400, want: refused("", "field `job_id` must be a string")},
		{name: "number", path: "/mine", body: mineBody("b", "distance_threshold", "5"), code: 400, want: refused("b", "field `distance_threshold` must be a string")},
		{name: "repeated field", path: "/mine", body: `{"nonce_end":"1",` + mineBody("b")[1:], code: 400, want: refused("b", "duplicate field `nonce_end`")},
		{name: "empty object", path: "/mine", body: "{}", code: 400, want: refused("", "missing field `job_id`")},
		{name: "array", path: "/mine", body: "[" + mineBody("b") + "]", code: 400, want: refused("", "the body is not a JSON object")},
		{name: "empty body", path: "/mine", body: "", code: 400, want: refused("", "*")},
		{name: "half a body", path: "/mine", body: mineBody("b")[:100], code: 400, want: refused("", "*")},
		{name: "a body and more", path: "/mine", body: mineBody("b") + "x", code: 400, want: refused("", "*")},
		{name: "not UTF-8", path: "/mine", body: strings.Replace(mineBody("b"), `"b"`, "\"\xff\"", 1), code: 400, want: refused("", "*")},
		{name: "as large as can be", path: "/mine", body: mineBody("b", "nonce_end", "5") + strings.Repeat(" ", DefaultBody-len(mineBody("b", "nonce_end", "5"))), code: 400, want: refused("b", "field `nonce_end` must be a string")},
		{name: "too large", path: "/mine", body: mineBody("b") + strings.Repeat(" ", DefaultBody+1-len(mineBody("b"))), code: 413, want: refused("", "the body must not exceed 8192 bytes")},
		{name: "JSON with half a parameter", path: "/mine", contentType: "application/json;charset", body: mineBody("a8"), code: 200, want: `{"status":"accepted","job_id":"a8"}`},
		{name: "JSON by its suffix", path: "/mine", contentType: "application/vnd.x+json", body: mineBody("a9"), code: 200, want: `{"status":"accepted","job_id":"a9"}`},
		{name: "not JSON", path: "/mine", contentType: "text/plain", body: mineBody("b"), code: 415, want: refused("", "Content-Type must be application/json")},
		{name: "bad Content-Type", path: "/mine", contentType: ";", body: mineBody("b"), code: 415, want: refused("", "Content-Type must be application/json")},
		{name: "GET /mine", method: "GET", path: "/mine", code: 405, want: refused("", "method not allowed: use POST")},

		// GET /result/{job_id}
		{name: "running", path: "/result/running", code: 200, want: known("running", "running")},
		{name: "completed", path: "/result/completed", code: 200, want: `{"status":"completed","job_id":"completed","nonce":"1","work":"` + work + `","hash_count":1}`},
		{name: "failed", path: "/result/failed", code: 200, want: `{"status":"failed","job_id":"failed","nonce":null,"work":null,"hash_count":5}`},
		{name: "cancelled", path: "/result/cancelled", code: 200, want: known("cancelled", "cancelled")},
		{name: "unknown result", path: "/result/no", code: 404, want: notFound},
		{name: "result of a longest name", path: "/result/" + strings.Repeat("%78", DefaultJobID), code: 200, want: known(long, "running")},
		{name: "result of too long a name", path: "/result/" + long + "x", code: 404, want: strings.Replace(notFound, `"no"`, `"`+long+`x"`, 1)},
		{name: "POST /result", method: "POST", path: "/result/running", code: 405, want: `{"status":"error","job_id":"running","nonce":null,"work":null,"hash_count":0,"elapsed_time":0,"message":"method not allowed: use GET"}`},
		{name: "job ..", path: "/result/..", code: 200, want: known("..", "failed")},
		{name: "job .", path: "/result/%2e", code: 200, want: known(".", "failed")},
		{name: "job a/b", path: "/result/a%2Fb", code: 200, want: known("a/b", "failed")},
		{name: "job %", path: "/result/%25", code: 200, want: known("%", "failed")},
		{name: "job ünï ?#", path: "/result/%C3%BCn%C3%AF%20%3F%23", code: 200, want: known("ünï ?#", "failed")},
		{name: "job mine", path: "/result/mine", code: 200, want: known("mine", "failed")},

		// POST /cancel/{job_id}
		{name: "cancel", path: "/cancel/to%20cancel", code: 200, want: `{"status":"cancelled","job_id":"to cancel"}`},
		{name: "and ask", path: "/result/to%20cancel", code: 200, want: known("to cancel", "cancelled")},
		{name: "cancel again", path: "/cancel/to%20cancel", body: "whatever", contentType: "text/plain", code: 200, want: `{"status":"cancelled","job_id":"to cancel"}`},
		{name: "cancel a completed job", path: "/cancel/completed", code: 200, want: `{"status":"cancelled","job_id":"completed"}`},
		{name: "which stays completed", path: "/result/completed", code: 200, want: `{"status":"completed","job_id":"completed","nonce":"1","work":"` + work + `","hash_count":1}`},
		{name: "cancel an unknown job", path: "/cancel/no", code: 404, want: `{"status":"not_found","job_id":"no","message":"Job not found"}`},
		{name: "cancel too long a name", path: "/cancel/" + long + "x", code: 404, want: `{"status":"not_found","job_id":"` + long + `x","message":"Job not found"}`},
		{name: "GET /cancel", method: "GET", path: "/cancel/running", code: 405, want: refused("running", "method not allowed: use POST")},

		// As nodes ask whose URL of the miner ends with a slash, or with two.
		{name: "two slashes in front of mine", path: "//mine", body: mineBody("slashes"), code: 200, want: `{"status":"accepted","job_id":"slashes"}`},
		{name: "three slashes in front of mine", path: "///mine", body: mineBody("slashes"), code: 409, want: refused("slashes", "Job already exists")},
		{name: "two slashes in front of cancel", path: "//cancel/slashes", code: 200, want: `{"status":"cancelled","job_id":"slashes"}`},
		{name: "two slashes in front of result", method: "GET", path: "//result/cancelled", code: 200, want: known("cancelled", "cancelled")},
		{name: "slashes alone", method: "GET", path: "//", code: 404, want: refused("", "*")},

		// Any other path.
		{name: "root", method: "GET", path: "/", code: 404, want: refused("", "*")},
		{name: "no job", method: "GET", path: "/result/", code: 404, want: refused("", "*")},
		{name: "no job and no slash", method: "GET", path: "/result", code: 404, want: refused("", "*")},
		{name: "a path below", method: "GET", path: "/result/running/x", code: 404, want: refused("", "*")},
		{name: "a slash too many", path: "/mine/", body: mineBody("c"), code: 404, want: refused("", "*")},
		{name: "dots", method: "GET", path: "/x/../result/running", code: 404, want: refused("", "*")},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.method == "" {
				row.method = http.MethodPost
				if strings.HasPrefix(row.path, "/result/") {
					row.method = http.MethodGet
				}
			}
			observer.answers = nil
			answer := ask(t, service, row.method, row.path, row.contentType, row.body)
			row.path = "/" + strings.TrimLeft(row.path, "/") // as the contract has it
			if want := []string{fmt.Sprint(c.endpoint(row.path), " ", row.code)}; !cmp.Equal(observer.answers, want) {
				t.Errorf("the observer was told %q, want %q", observer.answers, want)
			}
			if answer.code != row.code {
				t.Errorf("code %d, want %d", answer.code, row.code)
			}
			c.check(t, row.path, answer)
			if row.path == "/mine" {
				c.checkMine(t, row.body, answer.code == http.StatusOK)
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(row.want), &want); err != nil {
				t.Fatal(err)
			}
			got := answer.body
			for _, open := range []string{"hash_count", "elapsed_time"} {
				if _, fixed := want[open]; !fixed {
					delete(got, open)
				}
			}
			if want["message"] == "*" && got["message"] != "" {
				delete(want, "message")
				delete(got, "message")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}

	t.Run("an engine out of order", func(t *testing.T) {
		got := ask(t, New(startMiner(t, broken{}), slog.New(slog.DiscardHandler), nil, Limits{}), "POST", "/mine", "", mineBody("a"))
		if c.check(t, "/mine", got); got.code != 500 || got.body["job_id"] != "a" {
			t.Errorf("%d %v", got.code, got.body)
		}
	})
	t.Run("a threshold that makes no sense", func(t *testing.T) {
		for e, want := range map[engine.Engine]int{fast.Engine{}: 200, poseidon2fast.Engine{}: 400} {
			got := ask(t, New(startMiner(t, e), slog.New(slog.DiscardHandler), nil, Limits{}), "POST", "/mine", "", mineBody("a", "distance_threshold", `"0"`))
			if c.check(t, "/mine", got); got.code != want || got.body["job_id"] != "a" {
				t.Errorf("%d %v, want %d", got.code, got.body, want)
			}
		}
	})
	t.Run("shutting down", func(t *testing.T) {
		got := ask(t, New(closed, slog.New(slog.DiscardHandler), nil, Limits{}), "POST", "/mine", "", mineBody("a"))
		if c.check(t, "/mine", got); got.code != 503 || got.body["job_id"] != "a" || got.header.Get("Retry-After") != "" {
			t.Errorf("%d %v", got.code, got)
		}
	})
	t.Run("too many jobs", func(t *testing.T) {
		busy := mining.New(slog.New(slog.DiscardHandler), &mining.Crew{Engine: fast.Engine{}, Workers: 1}) // which nobody runs
		busy.Limits.Running = 1
		witness := new(witness)
		api := New(busy, slog.New(slog.DiscardHandler), witness, Limits{})
		ask(t, api, "POST", "/mine", "", mineBody("a"))
		got := ask(t, api, "POST", "/mine", "", mineBody("b"))
		want := map[string]any{"status": "error", "job_id": "b", "message": "too many jobs are running, 1: cancel one, or wait for one to end"}
		if c.check(t, "/mine", got); got.code != 429 || got.header.Get("Retry-After") != "1" || !cmp.Equal(got.body, want) {
			t.Errorf("%d %v", got.code, got)
		}
		if want := []string{"mine 200", "mine 429"}; !cmp.Equal(witness.answers, want) {
			t.Errorf("the observer was told %q, want %q", witness.answers, want)
		}
	})
	t.Run("a body that is slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			witness := new(witness)
			conn := dial(t, serve(t, closed, witness, Limits{}))
			got := exchange(t, conn, "POST /mine HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
			want := map[string]any{"status": "error", "job_id": "", "message": "the body must arrive within 10s"}
			if c.check(t, "/mine", got); got.code != 408 || !cmp.Equal(got.body, want) {
				t.Errorf("%d %v", got.code, got)
			}
			if want := []string{"mine 408"}; !cmp.Equal(witness.answers, want) {
				t.Errorf("the observer was told %q, want %q", witness.answers, want)
			}
		})
	})
	for _, refusal := range []struct {
		name, header   string
		code           int
		taken          int // connections
		message        string
		closed, pauses bool
	}{
		{name: "header too large", header: "X: " + strings.Repeat("x", DefaultHeader) + "\r\n", code: 431, message: "the header must not exceed 8192 bytes"},
		{name: "too many connections", taken: 1, code: 503, message: "too many connections are open: close those that are not needed, or come again", closed: true, pauses: true},
	} {
		for _, request := range []string{"POST /mine", "GET /mine", "GET /result/completed", "POST /result/completed", "POST /cancel/running", "GET /", "OPTIONS *"} {
			t.Run(refusal.name+", "+request, func(t *testing.T) {
				witness := new(witness)
				listener := serve(t, miner, witness, Limits{Connections: 1})
				for range refusal.taken {
					dial(t, listener)
				}
				got := exchange(t, dial(t, listener), request+" HTTP/1.1\r\nHost: x\r\n"+refusal.header+"\r\n")
				_, path, _ := strings.Cut(request, " ")
				c.check(t, path, got)
				want := map[string]any{"status": "error", "job_id": "", "message": refusal.message}
				if c.endpoint(path) == "result" {
					maps.Copy(want, map[string]any{"nonce": nil, "work": nil, "hash_count": 0., "elapsed_time": 0.})
				}
				if got.code != refusal.code || !cmp.Equal(got.body, want) {
					t.Errorf("%d %v, want %d %v", got.code, got.body, refusal.code, want)
				}
				if closed, pauses := got.header.Get("Connection") == "close", got.header.Get("Retry-After") == "1"; closed != refusal.closed || pauses != refusal.pauses {
					t.Errorf("header %v", got.header)
				}
				if want := []string{fmt.Sprint(c.endpoint(path), " ", refusal.code)}; !cmp.Equal(witness.answers, want) {
					t.Errorf("the observer was told %q, want %q", witness.answers, want)
				}
			})
		}
	}
	for _, refused := range []struct {
		code    int
		message string
	}{
		{http.StatusUnauthorized, "credentials are needed"},
		{http.StatusMisdirectedRequest, "the request is for another host"},
		{http.StatusForbidden, "requests on behalf of web pages are refused"},
		{http.StatusTooManyRequests, "too many wrong credentials"},
	} {
		for _, request := range []string{"POST /mine", "GET /result/x", "POST /cancel/x", "GET /"} {
			witness := new(witness)
			api := New(startMiner(t, fast.Engine{}), slog.New(slog.DiscardHandler), witness, Limits{})
			api.Protect(func(_ http.Handler, refuse func(http.ResponseWriter, *http.Request, int, string)) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch refused.code {
					case http.StatusUnauthorized:
						w.Header().Set("WWW-Authenticate", `Basic realm="quantus-miner"`)
					case http.StatusTooManyRequests:
						w.Header().Set("Retry-After", "6")
					}
					refuse(w, r, refused.code, refused.message)
				})
			})
			method, path, _ := strings.Cut(request, " ")
			got := ask(t, api, method, path, "", mineBody("a"))
			if path != "/" {
				c.check(t, path, got)
			}
			if got.code != refused.code || got.body["status"] != "error" || got.body["message"] != refused.message || got.body["job_id"] != "" {
				t.Errorf("%s: %d %v, want %d, %s", request, got.code, got.body, refused.code, refused.message)
			}
			if want := []string{fmt.Sprint(c.endpoint(path), " ", refused.code)}; !cmp.Equal(witness.answers, want) {
				t.Errorf("%s: the observer was told %q, want %q", request, witness.answers, want)
			}
		}
	}
	// Several rows fetched the one result that there is.
	if s := completed.Snapshot(); len(observer.fetched) != 1 || observer.fetched[0] <= 0 || observer.fetched[0] > time.Since(completed.Started().Add(s.Elapsed)) {
		t.Errorf("the observer was told of results that had waited for %v, want one", observer.fetched)
	}
	for answer := range c.open {
		t.Errorf("no test has seen the answer %s of the contract", answer)
	}
	if s := completed.Snapshot(); s.Status != mining.Completed {
		t.Errorf("after all this the completed job is %s", s.Status)
	}
}

// ask sends a request as it is, past any cleaning of paths by a client. An
// empty contentType is JSON's, "-" is none.
func ask(t *testing.T, handler http.Handler, method, path, contentType, body string) answer {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	switch contentType {
	case "":
		r.Header.Set("Content-Type", "application/json")
	case "-":
	default:
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return read(t, w.Result())
}

// read reads an answer.
func read(t *testing.T, response *http.Response) answer {
	t.Helper()
	a := answer{code: response.StatusCode, header: response.Header}
	if got := a.header.Get("Allow"); (got != "") != (a.code == http.StatusMethodNotAllowed) {
		t.Errorf("%d with Allow: %q", a.code, got)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type of the answer: %q", got)
	}
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &a.body); err != nil {
		t.Fatalf("the answer is no JSON object: %v\n%s", err, raw)
	}
	if bytes.Contains(raw, []byte(`"message":null`)) || bytes.Contains(raw, []byte(`"elapsed_time":null`)) {
		t.Errorf("a null that the node cannot decode: %s", raw)
	}
	return a
}

// TestContractFileMatchesLimits keeps the figures in the contract's prose true.
func TestContractFileMatchesLimits(t *testing.T) {
	text, err := os.ReadFile("../../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	prose := strings.Join(strings.Fields(string(text)), " ")
	for figure, times := range map[string]int{
		fmt.Sprintf("At most %d KiB", DefaultBody>>10):                                                  1,
		fmt.Sprintf("The body is larger than %d KiB", DefaultBody>>10):                                  1,
		fmt.Sprintf("fields have %d KiB together", DefaultHeader>>10):                                   1,
		fmt.Sprintf("The request line and the header fields are larger than %d KiB", DefaultHeader>>10): 3,
		fmt.Sprintf("maxLength: %d ", DefaultJobID):                                                     1,
		fmt.Sprintf("at most %d bytes in UTF-8", DefaultJobID):                                          1,
		fmt.Sprintf("Up to %d connections", DefaultConnections):                                         1,
		fmt.Sprintf("A request has to arrive within %.0f s;", DefaultRequest.Seconds()):                 1,
		fmt.Sprintf("did not arrive within %.0f s ", DefaultRequest.Seconds()):                          1,
	} {
		if got := strings.Count(prose, figure); got != times {
			t.Errorf("the contract says %d times, and not %d, %q", got, times, figure)
		}
	}
}
