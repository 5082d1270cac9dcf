package stratum

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// TestTargetOfDifficulty holds difficulty and target to each other, exactly.
func TestTargetOfDifficulty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.OneOf(rapid.Uint64Min(1), rapid.SampledFrom([]uint64{1, 2, 3, 1<<53 + 1, math.MaxUint64 - 1, math.MaxUint64})).Draw(t, "difficulty")
		want := u512.Max().Div64(d)
		number, _ := json.Marshal(d)
		target, _ := json.Marshal(want.PaddedHex())
		for _, pair := range [][2]json.RawMessage{
			{number, target},
			{json.RawMessage(`"` + string(number) + `"`), json.RawMessage(strings.ToUpper(string(target)))},
			{number, nil},
			{nil, target},
		} {
			if got, same, err := parseTarget(pair[0], pair[1]); err != nil || got != d || same != want {
				t.Errorf("difficulty %s and target %s are %d and %s, %v", pair[0], pair[1], got, same.Hex(), err)
			}
		}
		other, _ := json.Marshal(want.SubWrap(u512.From64(1)).PaddedHex())
		if _, _, err := parseTarget(number, other); err == nil {
			t.Errorf("difficulty %d has the target %s", d, other)
		}
	})
	for _, target := range []string{strings.Repeat("0", 128), strings.Repeat("0", 127) + "1", strings.Repeat("f", 127) + "e"} {
		if d, _, err := parseTarget(nil, json.RawMessage(`"`+target+`"`)); err == nil {
			t.Errorf("target %s is that of difficulty %d", target, d)
		}
	}
	if _, _, err := parseTarget(nil, nil); err == nil {
		t.Error("a job needs neither difficulty nor target")
	}
}

// TestRequests holds what we write, byte for byte.
func TestRequests(t *testing.T) {
	for want, v := range map[string]any{
		`{"id":1,"method":"login","params":{"login":"qz<1>.rig1","pass":"x","agent":"quantus-miner/1.0"}}`: request{1, "login", loginParams{"qz<1>.rig1", "x", "quantus-miner/1.0"}},
		`{"id":2,"method":"submit","params":{"id":"s","job_id":5,"nonce":"00"}}`:                           request{2, "submit", submitParams{label{raw: `"s"`}, label{raw: `5`}, "00"}},
		`{"id":3,"method":"keepalived","params":{"id":"s"}}`:                                               request{3, "keepalived", keepAliveParams{label{raw: `"s"`}}},
		`{"id":"q","error":{"code":-32601,"message":"Method not found"}}`:                                  newUnknownMethod(json.RawMessage(`"q"`)),
	} {
		if line, err := formatLine(v); err != nil || string(line) != want+"\n" {
			t.Errorf("%s, %v, want %s", line, err, want)
		}
	}
}

// FuzzLine has lines of any kind read as all that they could be.
func FuzzLine(f *testing.F) {
	job := jobText("22729-10000000000", 1, "0004ee45", 10_000_000_000)
	for _, seed := range []string{
		`{"id":1,"result":{"id":"s","status":"OK","extensions":["keepalive"],"job":` + job + `}}`,
		`{"jsonrpc":"2.0","method":"job","params":{"clean_jobs":true,"job":` + job + `}}`,
		`{"id":2,"error":{"code":-1,"message":"Stale"}}`, `{"id":2,"error":[21,"x",null]}`, `{"id":"3","result":{"status":"KEEPALIVED"}}`,
		job, `{"seq":18446744073709551615,"difficulty":"1"}`, `{"method":null,"id":null}`, "\x16\x03", "[1]", "{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := parseLine(line)
		if err != nil {
			if _, ok := errors.AsType[*ViolationError](err); !ok {
				t.Fatalf("%v is no violation", err)
			}
			return
		}
		if refused := m.verdict(); refused != nil {
			if words := []rune(refused.words); len(words) > maxWords+1 {
				t.Errorf("%d characters of a refusal", len(words))
			}
			_ = reasonOf(*refused, false)
		}
		m.number()
		hasKeepAlive(m.params)
		w, err := parseWork(line)
		if err != nil {
			return
		}
		if w.difficulty == 0 || w.target != u512.Max().Div64(w.difficulty) || w.target.IsZero() {
			t.Errorf("difficulty %d has the target %s", w.difficulty, w.target.Hex())
		}
		if text, err := json.Marshal(w.id); err != nil || len(text) > maxLabel {
			t.Errorf("the job's name is %s, %v", text, err)
		}
	})
}
