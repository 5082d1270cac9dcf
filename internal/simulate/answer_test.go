package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// says is a miner that gives every request the same answer.
type says []byte

func (s says) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(s))}, nil
}

// FuzzAnswer has a miner say anything. Either that is misbehaviour, or a refusal, or
// any other decoder reads the same in it.
func FuzzAnswer(f *testing.F) {
	work := u512.From64(10).PaddedHex()
	for _, s := range []string{
		"", "null", "[]", `{}`, `{"status":"accepted","job_id":"x"}`, `{"status":"cancelled","job_id":"x","message":null}`,
		`{"status":"error","job_id":"x","message":"no"}`, `{"status":"error","job_id":"","message":"no"}`,
		`{"status":"running","job_id":"x","nonce":null,"work":null,"hash_count":0,"elapsed_time":0.0}`,
		`{"status":"running","job_id":"x","nonce":null,"work":null,"hash_count":1,"elapsed_time":1e300}`,
		`{"status":"completed","job_id":"x","nonce":"a","work":"` + work + `","hash_count":18446744073709551615,"elapsed_time":2}`,
		`{"status":"completed","job_id":"x","nonce":"A","work":"` + strings.ToUpper(work) + `","hash_count":1,"elapsed_time":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		miner := client{"http://miner", &http.Client{Transport: says(raw)}}
		// Not a struct, whose fields would be found in capitals, too.
		var lenient map[string]any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		broken := d.Decode(&lenient)
		check := func(what string, err error, sound func() bool) {
			t.Helper()
			if err != nil {
				refused := lenient["status"] == "error" && lenient["job_id"] == ""
				if !errors.Is(err, ErrMisbehaved) && !refused {
					t.Errorf("%s: %q is met with %v", what, raw, err)
				}
			} else if broken != nil || lenient["job_id"] != "x" || !sound() {
				t.Errorf("%s: %q is taken, which reads %v, %v", what, raw, lenient, broken)
			}
		}
		check("mine", miner.mine(t.Context(), "x", [32]byte{}, u512.Max()), func() bool { return lenient["status"] == "accepted" })
		check("cancel", miner.cancel(t.Context(), "x"), func() bool { return lenient["status"] == "cancelled" })
		j, err := miner.result(t.Context(), "x")
		check("result", err, func() bool {
			elapsed, err := lenient["elapsed_time"].(json.Number).Float64()
			if err != nil || math.Abs(j.elapsed.Seconds()-elapsed) > 1e-6 || j.elapsed < 0 ||
				lenient["hash_count"] != json.Number(strconv.FormatUint(j.hashCount, 10)) || lenient["status"] != j.status {
				return false
			}
			if j.status == "completed" {
				return lenient["nonce"] == j.nonce.Hex() && lenient["work"] == j.nonce.PaddedHex()
			}
			return lenient["nonce"] == nil && lenient["work"] == nil && j.nonce.IsZero()
		})
	})
}
