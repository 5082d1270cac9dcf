package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/quantus-network/quantus-miner/internal/strictjson"
)

// poolMessage is a line of a miner's: a request, or the answer to one of the pool's.
type poolMessage struct {
	id     string // as the JSON has it: a number or a string
	method string // empty for an answer
	params strictjson.Object
	code   int // of an answer's error
}

// readPoolMessage reads a line, without its end. The errors wrap ErrMisbehaved.
func readPoolMessage(line []byte) (m poolMessage, err error) {
	if bytes.ContainsRune(line, '\r') {
		return m, misbehaviour("a line with a carriage return: %q", line)
	}
	object, err := strictjson.Parse(line)
	if err != nil {
		return m, misbehaviour("a line that is %v: %q", err, line)
	}
	wrong := func(format string, args ...any) (poolMessage, error) {
		return poolMessage{}, misbehaviour("%s: %q", fmt.Sprintf(format, args...), line)
	}
	if name, ok := unexpected(object, "id", "jsonrpc", "method", "params", "result", "error"); ok {
		return wrong("field %q, or it is repeated", name)
	}
	if version, ok := object["jsonrpc"]; ok && string(version[0]) != `"2.0"` {
		return wrong("jsonrpc is not 2.0")
	}
	if !has(object, "id") {
		return wrong("no id")
	}
	m.id = string(object["id"][0])
	var number uint64
	var text string
	if json.Unmarshal(object["id"][0], &number) != nil && json.Unmarshal(object["id"][0], &text) != nil || m.id == "null" {
		return wrong("the id is no number and no string")
	}
	if !has(object, "method") {
		if has(object, "params") || has(object, "result") && string(object["result"][0]) != "null" {
			return wrong("neither a request nor an error")
		}
		var told struct {
			Code    *int
			Message *string
		}
		if !has(object, "error") || json.Unmarshal(object["error"][0], &told) != nil || told.Code == nil || told.Message == nil {
			return wrong("an answer without an error's code and message")
		}
		m.code = *told.Code
		return m, nil
	}
	if has(object, "result") || has(object, "error") {
		return wrong("a request and an answer in one")
	}
	if json.Unmarshal(object["method"][0], &m.method) != nil || m.method == "" {
		return wrong("the method is no name")
	}
	if !has(object, "params") {
		return wrong("no params")
	}
	if m.params, err = strictjson.Parse(object["params"][0]); err != nil {
		return wrong("the params are %v", err)
	}
	return m, nil
}

// canonical returns an id as Go writes it, whatever was escaped.
func canonical(id string) string {
	var text string
	if json.Unmarshal([]byte(id), &text) == nil {
		return strconv.Quote(text)
	}
	return id
}

func has(object strictjson.Object, name string) bool { return len(object[name]) > 0 }

// unexpected returns a name in an object that is not one of those that may be there, or is
// there twice.
func unexpected(object strictjson.Object, names ...string) (name string, ok bool) {
	for name, values := range object {
		if len(values) > 1 || !slices.Contains(names, name) {
			return name, true
		}
	}
	return "", false
}

// texts returns the params of a request, which must be texts of these names, all of them
// but those that are optional.
func (m poolMessage) texts(required []string, optional ...string) (map[string]string, error) {
	if name, ok := unexpected(m.params, slices.Concat(required, optional)...); ok {
		return nil, misbehaviour("%s: param %q, or it is repeated", m.method, name)
	}
	for _, name := range required {
		if !has(m.params, name) {
			return nil, misbehaviour("%s: no param %s", m.method, name)
		}
	}
	texts := make(map[string]string)
	for name, values := range m.params {
		var text *string
		if err := json.Unmarshal(values[0], &text); err != nil || text == nil {
			return nil, misbehaviour("%s: param %s is no text, but %s", m.method, name, values[0])
		}
		texts[name] = *text
	}
	return texts, nil
}
