package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// answer is an answer of the miner's, decoded as strictly as the node does:
// names have a case, none may be repeated, and null is no string and no number.
// The first thing that is wrong with it is kept.
type answer struct {
	request string // for messages
	fields  map[string]json.RawMessage
	problem error
}

// complain keeps a problem, unless there is one already.
func (a *answer) complain(format string, args ...any) {
	if a.problem == nil {
		a.problem = misbehaviour("%s: %s", a.request, fmt.Sprintf(format, args...))
	}
}

// decode reads the fields of a JSON object.
func (a *answer) decode(raw []byte) {
	a.fields = make(map[string]json.RawMessage)
	if err := json.Unmarshal(raw, new(json.RawMessage)); err != nil {
		a.complain("the answer does not decode: %v", err)
		return
	}
	if !utf8.Valid(raw) {
		a.complain("the answer does not decode: it is not valid UTF-8")
		return
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		a.complain("the answer does not decode: it is no object")
		return
	}
	for d.More() {
		token, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			a.complain("the answer does not decode: %v", err)
			return
		}
		name, _ := token.(string)
		if _, repeated := a.fields[name]; repeated {
			a.complain("field %q is repeated", name)
		}
		a.fields[name] = value
	}
}

// field returns a field that the answer must have. Only a pointer may be null.
func field[T any](a *answer, name string) T {
	var value *T
	raw, ok := a.fields[name]
	if !ok {
		a.complain("the answer lacks %s", name)
	} else if err := json.Unmarshal(raw, &value); err != nil {
		a.complain("field %s does not decode: %v", name, err)
	} else if value == nil {
		if _, nullable := any(*new(T)).(*string); !nullable {
			a.complain("field %s is null", name)
		}
	}
	if value == nil {
		value = new(T)
	}
	return *value
}
