package simulate

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// client speaks the miner's HTTP API as the node does, and is stricter about
// the answers than the node.
type client struct {
	// base is the miner's URL without a slash at its end.
	base string
	http *http.Client
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// newClient returns a client of the miner at a URL such as http://127.0.0.1:9833.
func newClient(miner string) client {
	return client{strings.TrimRight(miner, "/"), &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{IdleConnTimeout: 90 * time.Second}, // the node's
	}}
}

// job is a result as the miner reports it.
type job struct {
	status    string
	nonce     u512.Uint // of a completed job
	hashCount uint64
	elapsed   time.Duration
}

// mine submits a job for the range from 1 to 2^512−1.
func (c client) mine(ctx context.Context, jobID string, header [32]byte, threshold u512.Uint) error {
	body, err := json.Marshal(map[string]string{
		"job_id":             jobID,
		"mining_hash":        hex.EncodeToString(header[:]),
		"distance_threshold": threshold.String(),
		"nonce_start":        u512.From64(1).PaddedHex(),
		"nonce_end":          u512.Max().PaddedHex(),
	})
	if err != nil {
		return fmt.Errorf("encoding the job: %w", err)
	}
	status, err := c.command(ctx, "/mine", jobID, body)
	if err == nil && status != "accepted" {
		err = misbehaviour("the job was answered with status %q, want accepted", status)
	}
	return err
}

// cancel gives a job up.
func (c client) cancel(ctx context.Context, jobID string) error {
	status, err := c.command(ctx, "/cancel/"+url.PathEscape(jobID), jobID, nil)
	if err == nil && status != "cancelled" {
		err = misbehaviour("the cancellation of a known job was answered with status %q, want cancelled", status)
	}
	return err
}

// command sends a POST, and returns the status in its answer.
func (c client) command(ctx context.Context, path, jobID string, body []byte) (status string, err error) {
	a, err := c.do(ctx, http.MethodPost, path, jobID, body)
	if err != nil {
		return "", err
	}
	status = field[string](a, "status")
	if status == "error" {
		a.complain("%s", field[string](a, "message"))
	}
	return status, a.problem
}

// result asks how a job stands.
func (c client) result(ctx context.Context, jobID string) (job, error) {
	a, err := c.do(ctx, http.MethodGet, "/result/"+url.PathEscape(jobID), jobID, nil)
	if err != nil {
		return job{}, err
	}
	elapsed := field[float64](a, "elapsed_time")
	j := job{
		status:    field[string](a, "status"),
		hashCount: field[uint64](a, "hash_count"),
		elapsed:   time.Duration(elapsed * float64(time.Second)),
	}
	if elapsed < 0 || elapsed > 1e9 { // 30 years; from 292 on a Duration overflows
		a.complain("elapsed_time is %g", elapsed)
	}
	nonce, work := field[*string](a, "nonce"), field[*string](a, "work")
	completed := j.status == "completed"
	switch {
	case (nonce != nil) != completed || (work != nil) != completed:
		a.complain("a %s job with nonce %s and work %s", j.status, deref(nonce), deref(work))
	case completed:
		j.nonce, err = u512.ParseHex(*work)
		if err != nil || j.nonce.PaddedHex() != *work || j.nonce.Hex() != *nonce {
			a.complain("nonce %q and work %q do not belong together", *nonce, *work)
		}
	}
	return j, a.problem
}

// deref shows a string that may be null.
func deref(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *s)
}

// do sends a request and reads the answer, which must be about the job. Like the
// node, it does not look at the answer's code.
func (c client) do(ctx context.Context, method, path, jobID string, body []byte) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the miner: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the miner: %w", err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the miner's answer to %s %s: %w", method, path, err)
	}
	a := newAnswer(method+" "+path, raw)
	about := field[string](a, "job_id")
	if about == "" && field[string](a, "status") == "error" && a.problem == nil { // for want of credentials, say
		return nil, fmt.Errorf("%s %s: the miner refuses: %s", method, path, field[string](a, "message"))
	}
	if about != jobID {
		a.complain("the answer is about job %q", about)
	}
	if _, ok := a.object["message"]; ok { // it may be left out, but not be null
		field[string](a, "message")
	}
	return a, a.problem
}
