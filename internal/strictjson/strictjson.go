// Package strictjson reads JSON objects without the leniency of encoding/json,
// which takes "JOB_ID" for job_id, the last of two values for the value, and
// repairs text that is not UTF-8. Both sides of the node's API need that: the
// node's decoder is strict, and so must be whoever stands in for it.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Object holds the members of a JSON object: all the values that each name was
// given, in their order. What a repeated name means is for the caller to say.
type Object map[string][]json.RawMessage

// Parse reads text that consists of one JSON object.
func Parse(text []byte) (Object, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("not valid UTF-8")
	}
	// The decoder below would not mind what follows the object.
	if err := json.Unmarshal(text, new(json.RawMessage)); err != nil {
		return nil, fmt.Errorf("not valid JSON: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	object := make(Object)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("reading a name: %w", err)
		}
		name, _ := token.(string) // in an object the decoder sees to that
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("reading the value of %q: %w", name, err)
		}
		object[name] = append(object[name], value)
	}
	return object, nil
}
