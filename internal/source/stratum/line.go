package stratum

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/quantus-network/quantus-miner/internal/strictjson"
)

// maxLine is the length of the longest line that a pool may send, without its end.
const maxLine = 16 << 10

// ViolationError says how a pool has broken the protocol.
type ViolationError struct{ Err error }

// Error implements the error interface.
func (e *ViolationError) Error() string { return "the pool breaks the protocol: " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *ViolationError) Unwrap() error { return e.Err }

// violation returns a ViolationError.
func violation(format string, args ...any) error {
	return &ViolationError{fmt.Errorf(format, args...)}
}

// message is what a pool says in a line: a request or notification if there is a method, and
// an answer otherwise. What is null counts as missing.
type message struct {
	id             json.RawMessage // nil if there is none
	method         string
	params, result json.RawMessage
	refused        *refusal // the answer's error
}

// refusal is why a pool refuses something, in its own words.
type refusal struct {
	code  string // a number, or empty
	words string
}

// parseLine reads a line. Members that nobody knows are passed over. Its error is a
// [ViolationError].
func parseLine(line []byte) (m message, err error) {
	if len(line) > maxLine {
		return m, violation("a line is longer than %d bytes", maxLine)
	}
	if len(line) > 0 && (line[0] == 0x15 || line[0] == 0x16) { // records of TLS (RFC 8446, section 5.1)
		return m, violation("it speaks TLS at this port: say stratum+ssl:// instead of stratum+tcp://")
	}
	o, err := strictjson.Parse(line)
	if err != nil {
		return m, &ViolationError{err}
	}
	m = message{id: member(o, "id"), params: member(o, "params"), result: member(o, "result")}
	if method := member(o, "method"); method != nil {
		if json.Unmarshal(method, &m.method) != nil || m.method == "" {
			return m, violation("a method's name is no text")
		}
	}
	if e := member(o, "error"); e != nil && string(e) != "false" {
		m.refused = parseRefusal(e)
	}
	return m, nil
}

// number returns the message's ID if it is one of ours.
func (m message) number() (uint64, bool) {
	n, err := strconv.ParseUint(digits(m.id), 10, 64)
	return n, err == nil
}

// status returns what the answer's result says, such as OK, and nothing if it says nothing.
func (m message) status() string {
	var plain string
	if bytes.Equal(m.result, []byte("true")) {
		return statusOK
	}
	if json.Unmarshal(m.result, &plain) == nil {
		return tidy(plain)
	}
	o, err := strictjson.Parse(m.result)
	if err != nil || json.Unmarshal(member(o, "status"), &plain) != nil {
		return ""
	}
	return tidy(plain)
}

// statusOK is the status of what is accepted.
const statusOK = "OK"

// verdict returns why the answer refuses what it answers, or nil if it accepts it.
func (m message) verdict() *refusal {
	switch status := m.status(); {
	case m.refused != nil:
		return m.refused
	case strings.EqualFold(status, statusOK):
		return nil
	case status == "":
		return &refusal{words: "no reason was given"}
	default:
		return &refusal{words: status}
	}
}

// parseRefusal reads an error: a text, an object with a code and a message, or a list of both.
func parseRefusal(raw json.RawMessage) *refusal {
	var words string
	var list []json.RawMessage
	r := &refusal{words: tidy(string(raw))}
	code, text := json.RawMessage(nil), raw
	if o, err := strictjson.Parse(raw); err == nil {
		code, text = member(o, "code"), member(o, "message")
	} else if json.Unmarshal(raw, &list) == nil && len(list) >= 2 {
		code, text = list[0], list[1]
	}
	if json.Unmarshal(text, &words) == nil {
		r.words = tidy(words)
	}
	if _, err := strconv.ParseInt(string(code), 10, 64); err == nil {
		r.code = string(code)
	}
	return r
}

// member returns a member's value, the last one if there are several, and nil if it is missing
// or null.
func member(o strictjson.Object, name string) json.RawMessage {
	values := o[name]
	if len(values) == 0 || string(values[len(values)-1]) == "null" {
		return nil
	}
	return values[len(values)-1]
}

// digits returns a number as it is written, quoted or not.
func digits(raw json.RawMessage) string {
	var quoted string
	if json.Unmarshal(raw, &quoted) == nil {
		return quoted
	}
	return string(raw)
}

// maxWords bounds what is shown of a pool's words.
const maxWords = 200

// tidy returns a pool's words as they may be shown.
func tidy(words string) string {
	words = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, words)
	if runes := []rune(words); len(runes) > maxWords {
		words = string(runes[:maxWords]) + "…"
	}
	return strings.TrimSpace(words)
}

// label is a name that a pool has given something, a text or a number. We give it back as it
// is.
type label struct {
	raw  string // in JSON
	text string
}

// maxLabel bounds the length of a label, in bytes of JSON.
const maxLabel = 256

// MarshalJSON implements [json.Marshaler].
func (l label) MarshalJSON() ([]byte, error) { return []byte(l.raw), nil }

// parseLabel reads a label. What it is of is named in its error.
func parseLabel(raw json.RawMessage, what string) (l label, err error) {
	if raw == nil {
		return l, violation("%s is missing", what)
	}
	l.raw = string(raw)
	if raw[0] == '"' {
		err = json.Unmarshal(raw, &l.text)
	} else {
		l.text = l.raw
		err = json.Unmarshal(raw, new(json.Number))
	}
	if err != nil || l.text == "" || len(raw) > maxLabel {
		return label{}, violation("%s is no text of 1 to %d bytes", what, maxLabel)
	}
	l.text = tidy(l.text)
	return l, nil
}

// request is what we ask of a pool.
type request struct {
	ID     uint64 `json:"id"`
	Method string `json:"method"`
	Params any    `json:"params"`
}

// The parameters of our requests.
type (
	loginParams struct {
		Login string `json:"login"`
		Pass  string `json:"pass"`
		Agent string `json:"agent"`
	}
	submitParams struct {
		ID    label  `json:"id"`
		JobID label  `json:"job_id"`
		Nonce string `json:"nonce"`
	}
	keepAliveParams struct {
		ID label `json:"id"`
	}
)

// unknownMethod is our answer to a request that we do not know (JSON-RPC 2.0, section 5.1).
type unknownMethod struct {
	ID    json.RawMessage `json:"id"`
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func newUnknownMethod(id json.RawMessage) unknownMethod {
	m := unknownMethod{ID: id}
	m.Error.Code, m.Error.Message = -32601, "Method not found"
	return m
}

// formatLine writes a line.
func formatLine(v any) ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line) // which ends the line
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("writing a line: %w", err)
	}
	if line.Len() > maxLine {
		return nil, errors.New("writing a line: it is too long")
	}
	return line.Bytes(), nil
}
