package httpapi

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/quantus-network/quantus-miner/internal/mining"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// decodeMine reads the body of POST /mine. With an error, the request still has
// the job's ID if that could be read, for the answer to name it.
func decodeMine(body []byte) (mining.Request, error) {
	const (
		jobID     = "job_id"
		hash      = "mining_hash"
		threshold = "distance_threshold"
		start     = "nonce_start"
		end       = "nonce_end"
	)
	fields, err := decodeStrings(body, jobID, hash, threshold, start, end)
	request := mining.Request{ID: fields[jobID]}
	if err != nil {
		return request, err
	}

	// The order of the checks, and the words, are part of the contract.
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
//
// Decoding into a struct would be too lenient for a contract: it takes "JOB_ID"
// for job_id, null for an empty string, and the last of two values.
func decodeStrings(body []byte, names ...string) (map[string]string, error) {
	fields := make(map[string]string, len(names))
	// The decoder below would not mind what follows the object.
	if err := json.Unmarshal(body, new(json.RawMessage)); err != nil {
		return fields, fmt.Errorf("the body must be a JSON object: %w", err)
	}
	if !utf8.Valid(body) {
		return fields, errors.New("the body must be a JSON object: it is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return fields, errors.New("the body must be a JSON object")
	}
	problems := make(map[string]string)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fields, fmt.Errorf("reading the body: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fields, fmt.Errorf("reading the body: %w", err)
		}
		name, _ := token.(string)
		if _, repeated := fields[name]; repeated {
			problems[name] = "duplicate field `" + name + "`"
		} else if value[0] != '"' {
			problems[name] = "field `" + name + "` must be a string"
		} else {
			var s string
			if err := json.Unmarshal(value, &s); err != nil {
				return fields, fmt.Errorf("reading field `%s`: %w", name, err)
			}
			fields[name] = s
		}
	}
	for _, name := range names {
		if problem, ok := problems[name]; ok {
			return fields, errors.New(problem)
		}
		if _, ok := fields[name]; !ok {
			return fields, fmt.Errorf("missing field `%s`", name)
		}
	}
	return fields, nil
}
