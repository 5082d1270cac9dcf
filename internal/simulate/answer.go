package simulate

import (
	"encoding/json"
	"fmt"

	"github.com/quantus-network/quantus-miner/internal/strictjson"
)

// answer is an answer of the miner's, decoded as strictly as the node does:
// names have a case, none may be repeated, and null is no string and no number.
// The first thing that is wrong with it is kept.
type answer struct {
	request string // for messages
	object  strictjson.Object
	problem error
}

// newAnswer reads an answer to a request.
func newAnswer(request string, raw []byte) *answer {
	object, err := strictjson.Parse(raw)
	a := &answer{request: request, object: object}
	if err != nil {
		a.complain("the answer is %v", err)
	}
	for name, values := range object {
		if len(values) > 1 {
			a.complain("field %q is repeated", name)
		}
	}
	return a
}

// complain keeps a problem, unless there is one already.
func (a *answer) complain(format string, args ...any) {
	if a.problem == nil {
		a.problem = misbehaviour("%s: %s", a.request, fmt.Sprintf(format, args...))
	}
}

// field returns a field that the answer must have. Only a pointer may be null.
func field[T any](a *answer, name string) T {
	var value *T
	if values := a.object[name]; len(values) == 0 {
		a.complain("the answer lacks %s", name)
	} else if err := json.Unmarshal(values[0], &value); err != nil {
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
