package httpapi

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/strictjson"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// decodeMine reads the body of POST /mine, with a job ID of maxID bytes at most.
// With an error, the request still has the job's ID if that could be read and is
// not too long, for the answer and the log to name it.
func decodeMine(body []byte, maxID int) (mining.Request, error) {
	const (
		jobID     = "job_id"
		hash      = "mining_hash"
		threshold = "distance_threshold"
		start     = "nonce_start"
		end       = "nonce_end"
	)
	fields, err := decodeStrings(body, jobID, hash, threshold, start, end)
	var request mining.Request
	tooLong := len(fields[jobID]) > maxID
	if !tooLong {
		request.ID = fields[jobID]
	}
	if err != nil {
		return request, err
	}

	// The order of the checks, and the words, are part of the contract.
	if tooLong {
		return request, fmt.Errorf("job_id must not exceed %d bytes", maxID)
	}
	if request.ID == "" {
		return request, errors.New("job_id cannot be empty")
	}
	if len(fields[hash]) != hex.EncodedLen(len(request.Header)) {
		return request, errors.New("mining_hash must be 64 hex characters")
	}
	if _, err := hex.Decode(request.Header[:], []byte(fields[hash])); err != nil {
		return request, errors.New("mining_hash must be valid hex")
	}
	if request.Threshold, err = u512.ParseDecimal(fields[threshold]); err != nil {
		return request, errors.New("distance_threshold must be a valid decimal number")
	}
	for _, name := range []string{start, end} {
		if len(fields[name]) != u512.HexDigits {
			return request, fmt.Errorf("%s must be %d hex characters", name, u512.HexDigits)
		}
	}
	if request.Range.Start, err = u512.ParseHex(fields[start]); err != nil {
		return request, errors.New("nonce_start must be valid hex")
	}
	if request.Range.End, err = u512.ParseHex(fields[end]); err != nil {
		return request, errors.New("nonce_end must be valid hex")
	}
	if request.Range.Empty() {
		return request, errors.New("nonce_start must be <= nonce_end")
	}
	return request, nil
}

// decodeStrings reads a JSON object that has each of the named fields exactly
// once, with a string as its value. Other fields are ignored. With an error,
// the fields that could be read are returned nevertheless.
func decodeStrings(body []byte, names ...string) (map[string]string, error) {
	object, err := strictjson.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("the body is %w", err)
	}
	fields := make(map[string]string, len(names))
	var problems []error
	for _, name := range names {
		values := object[name]
		if len(values) == 0 {
			problems = append(problems, fmt.Errorf("missing field `%s`", name))
			continue
		}
		var s *string // null is no error of Unmarshal's, but leaves it nil
		if err := json.Unmarshal(values[0], &s); err != nil || s == nil {
			problems = append(problems, fmt.Errorf("field `%s` must be a string", name))
			continue
		}
		fields[name] = *s
		if len(values) > 1 {
			problems = append(problems, fmt.Errorf("duplicate field `%s`", name))
		}
	}
	if len(problems) > 0 {
		return fields, problems[0]
	}
	return fields, nil
}
