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
	var answer struct {
		Status  *string `json:"status"`
		JobID   *string `json:"job_id"`
		Message string  `json:"message"`
	}
	if err := c.do(ctx, http.MethodPost, path, body, &answer); err != nil {
		return "", err
	}
	if answer.Status == nil || answer.JobID == nil {
		return "", misbehaviour("POST %s: the answer lacks status or job_id", path)
	}
	if *answer.JobID != jobID {
		return "", misbehaviour("POST %s: the answer is about job %q", path, *answer.JobID)
	}
	if *answer.Status == "error" {
		return "", misbehaviour("POST %s: %s", path, answer.Message)
	}
	return *answer.Status, nil
}

// result asks how a job stands.
func (c client) result(ctx context.Context, jobID string) (job, error) {
	var answer struct {
		Status      *string  `json:"status"`
		JobID       *string  `json:"job_id"`
		Nonce       *string  `json:"nonce"`
		Work        *string  `json:"work"`
		HashCount   *uint64  `json:"hash_count"`
		ElapsedTime *float64 `json:"elapsed_time"`
	}
	path := "/result/" + url.PathEscape(jobID)
	if err := c.do(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return job{}, err
	}
	if answer.Status == nil || answer.JobID == nil || answer.HashCount == nil || answer.ElapsedTime == nil {
		return job{}, misbehaviour("GET %s: the answer lacks a field", path)
	}
	if *answer.JobID != jobID {
		return job{}, misbehaviour("GET %s: the answer is about job %q", path, *answer.JobID)
	}
	j := job{
		status:    *answer.Status,
		hashCount: *answer.HashCount,
		elapsed:   time.Duration(*answer.ElapsedTime * float64(time.Second)),
	}
	completed := j.status == "completed"
	if has := answer.Work != nil; has != completed || has != (answer.Nonce != nil) {
		return job{}, misbehaviour("GET %s: a %s job with nonce %v and work %v", path, j.status, deref(answer.Nonce), deref(answer.Work))
	}
	if completed {
		var err error
		j.nonce, err = u512.ParseHex(*answer.Work)
		if err != nil || j.nonce.PaddedHex() != *answer.Work || j.nonce.Hex() != *answer.Nonce {
			return job{}, misbehaviour("GET %s: nonce %q and work %q do not belong together", path, *answer.Nonce, *answer.Work)
		}
	}
	return j, nil
}

// deref shows a string that may be null.
func deref(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *s)
}

// do sends a request and decodes the answer. Like the node, it does not look at
// the answer's code.
func (c client) do(ctx context.Context, method, path string, body []byte, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the miner: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("asking the miner: %w", err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the miner's answer to %s %s: %w", method, path, err)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return misbehaviour("%s %s: the answer does not decode: %v", method, path, err)
	}
	return nil
}
