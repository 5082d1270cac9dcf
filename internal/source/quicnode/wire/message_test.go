package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// frame puts content into a frame, whatever it is.
func frame(content string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}

// header is 0x010203…20.
var header = func() (h [32]byte) {
	for i := range h {
		h[i] = byte(i + 1)
	}
	return h
}()

const headerHex = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"

// TestWire holds what is written, and what is read, to the letter.
func TestWire(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("0", n) }
	for _, c := range []struct {
		message Message
		wire    string
	}{
		{Ready{Token: "secret"}, `{"Ready":{"token":"secret"}}`},
		{Ready{Token: `<&>"\` + "\u2028é\x01"}, `{"Ready":{"token":"<&>\"\\\u2028é\u0001"}}`},
		{NewJob{"27", header, u512.From64(1)}, `{"NewJob":{"job_id":"27","mining_hash":"` + headerHex + `","difficulty":"1"}}`},
		{NewJob{"27", header, u512.Max()}, `{"NewJob":{"job_id":"27","mining_hash":"` + headerHex + `","difficulty":"` + u512.Max().String() + `"}}`},
		{
			JobResult{Completed, "27", u512.From64(0xabc), 123, 1.5},
			`{"JobResult":{"status":"completed","job_id":"27","nonce":"abc","work":"` + zeros(125) + `abc","hash_count":123,"elapsed_time":1.5}}`,
		},
		{
			JobResult{Completed, "27", u512.Uint{}, math.MaxUint64, 0},
			`{"JobResult":{"status":"completed","job_id":"27","nonce":"0","work":"` + zeros(128) + `","hash_count":18446744073709551615,"elapsed_time":0}}`,
		},
		{
			JobResult{"failed", "27", u512.Uint{}, 0, 1e-9},
			`{"JobResult":{"status":"failed","job_id":"27","nonce":null,"work":null,"hash_count":0,"elapsed_time":1e-9}}`,
		},
	} {
		var written bytes.Buffer
		if err := Write(&written, c.message); err != nil {
			t.Errorf("%+v: %v", c.message, err)
			continue
		}
		if diff := cmp.Diff(string(frame(c.wire)), written.String()); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
		got, err := Read(iotest.OneByteReader(&written))
		if diff := cmp.Diff(c.message, got); diff != "" || err != nil {
			t.Errorf("read: %v (-want +got):\n%s", err, diff)
		}
	}
}

// TestRead reads what others may write.
func TestRead(t *testing.T) {
	job := func(fields string) string { return `{"NewJob":{` + fields + `}}` }
	const id, hash, difficulty = `"job_id":"1"`, `"mining_hash":"` + headerHex + `"`, `"difficulty":"007"`
	want := NewJob{"1", header, u512.From64(7)}
	for _, wire := range []string{
		job(id + "," + hash + "," + difficulty),
		" { \"NewJob\" : {\n" + difficulty + "," + id + ",\t" + hash + "} } ",
		job(`"more":null,` + id + "," + hash + "," + difficulty + `,"JOB_ID":3,"more":{}`),
		job(id + `,"mining_hash":"` + strings.ToUpper(headerHex) + `",` + difficulty),
	} {
		got, err := Read(bytes.NewReader(frame(wire)))
		if diff := cmp.Diff(Message(want), got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", wire, err, diff)
		}
	}

	result := func(fields string) string {
		return `{"JobResult":{"job_id":"1","hash_count":1,"elapsed_time":1,` + fields + `}}`
	}
	work := `"work":"` + strings.Repeat("0", 127) + `7"`
	for wire, want := range map[string]string{
		``:                        "a frame of 0 bytes: it must have 1 to 1024",
		strings.Repeat(" ", 1025): "a frame of 1025 bytes: it must have 1 to 1024",
		`nonsense`:                "a frame is not valid JSON",
		`[]`:                      "a frame is not a JSON object",
		"{\"NewJob\":\"\xff\"}":   "a frame is not valid UTF-8",
		`{}`:                      "a frame is an object of 0 names",
		`{"NewJob":{},"x":1}`:     "a frame is an object of 2 names",
		`{"Ready":{"token":"a"},"Ready":{"token":"a"}}`: "a frame repeats the name",
		`{"newjob":{}}`:      `an unknown message: "newjob"`,
		`{"Ping":null}`:      `an unknown message: "Ping"`,
		`{"NewJob":null}`:    "NewJob is not a JSON object",
		`{"NewJob":["1"]}`:   "NewJob is not a JSON object",
		job(id + "," + hash): "NewJob: field difficulty is there 0 times",
		job(id + "," + id + "," + hash + "," + difficulty):                            "NewJob: field job_id is there 2 times",
		job(`"job_id":27,` + hash + "," + difficulty):                                 "NewJob: field job_id must be a string",
		job(`"job_id":null,` + hash + "," + difficulty):                               "NewJob: field job_id must be a string",
		job(`"job_id":"",` + hash + "," + difficulty):                                 "NewJob: job_id must not be empty",
		job(`"JOB_ID":"1",` + hash + "," + difficulty):                                "NewJob: field job_id is there 0 times",
		job(id + `,"mining_hash":"0x` + headerHex[2:] + `",` + difficulty):            "NewJob: mining_hash must be 64 hex digits",
		job(id + `,"mining_hash":"` + headerHex[1:] + `",` + difficulty):              "NewJob: mining_hash must be 64 hex digits",
		job(id + "," + hash + `,"difficulty":"0"`):                                    "NewJob: difficulty must be above 0",
		job(id + "," + hash + `,"difficulty":"000"`):                                  "NewJob: difficulty must be above 0",
		job(id + "," + hash + `,"difficulty":""`):                                     "NewJob: difficulty must be a decimal",
		job(id + "," + hash + `,"difficulty":"-1"`):                                   "NewJob: difficulty must be a decimal",
		job(id + "," + hash + `,"difficulty":7`):                                      "NewJob: field difficulty must be a string",
		job(id + "," + hash + `,"difficulty":"` + u512.Max().String() + `0"`):         "NewJob: difficulty must be a decimal",
		job(`"job_id":"` + strings.Repeat("a", 627) + `",` + hash + "," + difficulty): "NewJob: job_id is too long for a result",
		`{"Ready":{}}`:                                                                       "Ready: field token is there 0 times",
		`{"Ready":{"token":""}}`:                                                             "Ready: the token must not be empty",
		`{"Ready":{"token":" secret"}}`:                                                      "Ready: the token must not have white space around it",
		`{"Ready":{"token":7}}`:                                                              "Ready: field token must be a string",
		result(`"status":"done"`):                                                            "JobResult: status must be one of",
		result(`"status":"completed"`):                                                       "JobResult: field nonce is there 0 times",
		result(`"status":"failed","nonce":"7"`):                                              "JobResult: field nonce must be null",
		result(`"status":"completed","nonce":null,` + work):                                  "JobResult: field nonce must be a string",
		result(`"status":"completed","nonce":"07",` + work):                                  "JobResult: nonce must be lower-case hex without leading zeros",
		result(`"status":"completed","nonce":"8",` + work):                                   "JobResult: work must be the nonce",
		result(`"status":"completed","nonce":"7","work":"7"`):                                "JobResult: work must be the nonce",
		`{"JobResult":{"status":"failed","job_id":"1","hash_count":1.0,"elapsed_time":1}}`:   "JobResult: field hash_count must be a uint64",
		`{"JobResult":{"status":"failed","job_id":"1","hash_count":1,"elapsed_time":null}}`:  "JobResult: field elapsed_time must be a float64",
		`{"JobResult":{"status":"failed","job_id":"1","hash_count":1,"elapsed_time":-1}}`:    "JobResult: elapsed_time must be a time",
		`{"JobResult":{"status":"failed","job_id":"1","hash_count":-1,"elapsed_time":1}}`:    "JobResult: field hash_count must be a uint64",
		`{"JobResult":{"status":"failed","job_id":"","hash_count":1,"elapsed_time":1}}`:      "JobResult: job_id must not be empty",
		`{"JobResult":{"status":"failed","job_id":"1","hash_count":1,"elapsed_time":1e400}}`: "JobResult: field elapsed_time must be a float64",
	} {
		got, err := Read(bytes.NewReader(frame(wire)))
		if _, violation := errors.AsType[*ViolationError](err); got != nil || !violation || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %v, %v, want %s", wire, got, err, want)
		}
	}
}

// TestLength sees that a length costs nothing before it is believed, and what ends of
// streams are called.
func TestLength(t *testing.T) {
	endless := io.MultiReader(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff}), iotest.ErrReader(errors.New("read on")))
	if allocated := testing.AllocsPerRun(10, func() {
		_, _ = Read(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff}))
	}); allocated > 20 {
		t.Errorf("%v allocations", allocated)
	}
	if _, err := Read(endless); err == nil || !strings.Contains(err.Error(), "a frame of 4294967295 bytes") {
		t.Errorf("%v", err)
	}
	whole := frame(`{"Ready":{"token":"a"}}`)
	for n := range whole {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := Read(bytes.NewReader(whole[:n])); err != want {
			t.Errorf("%d bytes of a frame: %v, want %v", n, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := Read(io.MultiReader(bytes.NewReader(whole[:7]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("a stream that breaks: %v", err)
	}
}

// writes records what each call of Write was given.
type writes [][]byte

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, bytes.Clone(p))
	return len(p), nil
}

func TestWrite(t *testing.T) {
	var w writes
	if err := Write(&w, NewJob{"1", header, u512.From64(1)}); err != nil || len(w) != 1 {
		t.Errorf("%d writes, %v: want one", len(w), err)
	}
	w = nil
	for want, m := range map[string]Message{
		"the token must not be empty":                                 Ready{},
		"must not have white space around it":                         Ready{Token: "a\n"},
		"the token must be valid UTF-8":                               Ready{Token: "\xff"},
		"must not exceed 512 bytes":                                   Ready{Token: strings.Repeat("a", 513)},
		"Ready takes 1222 bytes":                                      Ready{Token: strings.Repeat("\x01", 200)},
		"difficulty must be above 0":                                  NewJob{ID: "1"},
		"job_id must not be empty":                                    NewJob{Difficulty: u512.From64(1)},
		"job_id is too long for a result: JobResult takes 1398 bytes": NewJob{ID: strings.Repeat("a", 1000), Difficulty: u512.From64(1)},
		"status must be one of the words":                             JobResult{JobID: "1"},
		"elapsed_time must be a time":                                 JobResult{Status: "failed", JobID: "1", ElapsedTime: math.NaN()},
		"of jobs that are completed alone":                            JobResult{Status: "failed", JobID: "1", Nonce: u512.From64(1)},
	} {
		if err := Write(&w, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", m, err, want)
		}
	}
	if len(w) != 0 {
		t.Errorf("wrote %q", w)
	}
	broken := errors.New("broken")
	if err := Write(failing{broken}, Ready{Token: "a"}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestParseToken(t *testing.T) {
	for text, want := range map[string]string{
		"a":                      "a",
		" a b\t\r\n":             "a b",
		strings.Repeat("a", 512): strings.Repeat("a", 512),
		strings.Repeat("<", 512): strings.Repeat("<", 512),
		strings.Repeat(`"`, 501): strings.Repeat(`"`, 501),
	} {
		if got, err := ParseToken(text); got != want || err != nil {
			t.Errorf("%.20q: %.20q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                          "must not be empty",
		" \n":                       "must not be empty",
		strings.Repeat("a", 513):    "must not exceed 512 bytes",
		strings.Repeat(`"`, 502):    "the token is too long for a frame: Ready takes 1026 bytes, and a frame has 1024 at most",
		"secret\xff":                "must be valid UTF-8",
		strings.Repeat("\x00", 400): "too long for a frame",
	} {
		got, err := ParseToken(text)
		if got != "" || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.20q: %.20q, %v, want %s", text, got, err, want)
		}
	}
}

// TestRoundTrip reads whatever can be written.
func TestRoundTrip(t *testing.T) {
	number := rapid.Custom(func(t *rapid.T) (x u512.Uint) {
		for i := range x {
			x[i] = rapid.Uint64().Draw(t, "word")
		}
		return x.Rsh(rapid.UintRange(0, 511).Draw(t, "shift"))
	})
	rapid.Check(t, func(t *rapid.T) {
		var m Message
		id := rapid.StringMatching(`.{1,40}`).Draw(t, "id")
		switch rapid.IntRange(0, 2).Draw(t, "message") {
		case 0:
			m = Ready{Token: rapid.StringMatching(`[!-~é]{1,250}`).Draw(t, "token")}
		case 1:
			job := NewJob{ID: id, Difficulty: number.Draw(t, "difficulty").AddSat(u512.From64(1))}
			copy(job.Header[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "header"))
			m = job
		default:
			m = JobResult{Completed, id, number.Draw(t, "nonce"), rapid.Uint64().Draw(t, "count"), rapid.Float64Range(0, math.MaxFloat64).Draw(t, "time")}
		}
		var written bytes.Buffer
		if err := Write(&written, m); err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		if got, err := Read(&written); got != m || err != nil {
			t.Fatalf("%+v was read as %+v, %v", m, got, err)
		}
	})
}

// FuzzRead holds what is accepted to what encoding/json reads in it, and to what we
// write.
func FuzzRead(f *testing.F) {
	f.Add(frame(`{"Ready":{"token":"secret"}}`))
	f.Add(frame(`{"NewJob":{"job_id":"27","mining_hash":"` + headerHex + `","difficulty":"10"}}`))
	f.Add(frame(`{"JobResult":{"status":"completed","job_id":"27","nonce":"7","work":"` + strings.Repeat("0", 127) + `7","hash_count":123,"elapsed_time":1.5}}`))
	f.Add(frame(`{"JobResult":{"status":"failed","job_id":"27","nonce":null,"work":null,"hash_count":0,"elapsed_time":0}}`))
	f.Add(frame(`{"NewJob":{},"NewJob":{}}`))
	f.Add([]byte{0, 0, 4, 1, '{'})
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		m, err := Read(r)
		if (m == nil) != (err != nil) {
			t.Fatalf("%v and %v", m, err)
		}
		if err != nil {
			return
		}
		content := stream[lengthSize : len(stream)-r.Len()]
		var lenient map[string]map[string]any
		if err := json.Unmarshal(content, &lenient); err != nil || len(lenient) != 1 {
			t.Fatalf("%q is taken, but %v", content, err)
		}
		switch m := m.(type) {
		case Ready:
			if lenient[ready][token] != m.Token {
				t.Errorf("%q was read as %+v", content, m)
			}
		case NewJob:
			number, _ := lenient[newJob][difficulty].(string)
			if lenient[newJob][jobID] != m.ID || strings.TrimLeft(number, "0") != m.Difficulty.String() {
				t.Errorf("%q was read as %+v", content, m)
			}
		case JobResult:
			if lenient[jobResult][jobID] != m.JobID || lenient[jobResult][elapsedTime] != m.ElapsedTime {
				t.Errorf("%q was read as %+v", content, m)
			}
		}
		var again bytes.Buffer
		if err := Write(&again, m); err != nil { // such as one that others write shorter
			return
		}
		if got, err := Read(&again); got != m || err != nil {
			t.Errorf("%+v comes back as %+v, %v", m, got, err)
		}
	})
}
