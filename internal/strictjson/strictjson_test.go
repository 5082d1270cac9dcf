package strictjson

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	raw := func(values ...string) (messages []json.RawMessage) {
		for _, v := range values {
			messages = append(messages, json.RawMessage(v))
		}
		return messages
	}
	for text, want := range map[string]Object{
		`{}`:                               {},
		` {"a": "x", "A": null} `:          {"a": raw(`"x"`), "A": raw(`null`)},
		`{"a":1,"\u0061":[2,{"a":3}]}`:     {"a": raw(`1`, `[2,{"a":3}]`)},
		`{"":{"a":{}},"é":"\ud83d\ude00"}`: {"": raw(`{"a":{}}`), "é": raw(`"\ud83d\ude00"`)},
	} {
		got, err := Parse([]byte(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		``:                      "not valid JSON: unexpected end of JSON input",
		`{"a":1`:                "not valid JSON: unexpected end of JSON input",
		`{"a":1,}`:              "not valid JSON: invalid character '}' looking for beginning of object key string",
		`{"a":1}{}`:             "not valid JSON: invalid character '{' after top-level value",
		`{'a':1}`:               `not valid JSON: invalid character '\'' looking for beginning of object key string`,
		`[{"a":1}]`:             "not a JSON object",
		`null`:                  "not a JSON object",
		`"{}"`:                  "not a JSON object",
		"{\"a\":\"\xff\"}":      "not valid UTF-8",
		"\xef\xbb\xbf{\"a\":1}": "not valid JSON: invalid character 'ï' looking for beginning of value",
	} {
		if got, err := Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
}

// FuzzParse compares what is accepted with what encoding/json reads in it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":1,"a":[{}],"b":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		object, err := Parse(text)
		var want map[string]json.RawMessage
		lenient := json.Unmarshal(text, &want)
		if err != nil {
			return
		}
		if lenient != nil {
			t.Fatalf("%q is taken, but %v", text, lenient)
		}
		last := make(map[string]json.RawMessage)
		for name, values := range object {
			last[name] = values[len(values)-1]
		}
		if diff := cmp.Diff(want, last); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	})
}
