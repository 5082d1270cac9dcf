package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quantus-network/quantus-miner/internal/strictjson"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

// TestOddText reads odd texts, which must be what they are without being odd.
func TestOddText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		for _, odd := range []bool{false, true} {
			var got string
			if err := json.Unmarshal([]byte(text(odd, s)), &got); err != nil || got != s {
				t.Errorf("%q is written %s, and read %q, %v", s, text(odd, s), got, err)
			}
		}
	})
}

// TestJobForms reads jobs in all forms, which differ in what is left out alone.
func TestJobForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		job := poolJob{
			id:         rapid.String().Draw(t, "id"),
			header:     [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "header")),
			difficulty: rapid.Uint64Min(1).Draw(t, "difficulty"),
		}
		form := jobForm{
			Quoted: rapid.Bool().Draw(t, "quoted"), NoDifficulty: rapid.Bool().Draw(t, "no difficulty"),
			NoTarget: rapid.Bool().Draw(t, "no target"), NoSeq: rapid.Bool().Draw(t, "no seq"), Odd: rapid.Bool().Draw(t, "odd"),
		}
		got, err := strictjson.Parse([]byte(job.object("0004ee45", 7, form)))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"algo": "qpow-poseidon2", "job_id": job.id, "mining_hash": fmt.Sprintf("%x", job.header), "extranonce": "0004ee45",
			"target": u512.Max().Div64(job.difficulty).PaddedHex(), "difficulty": fmt.Sprint(job.difficulty), "seq": "7",
		}
		for name, left := range map[string]bool{"target": form.NoTarget, "difficulty": form.NoDifficulty, "seq": form.NoSeq} {
			if left {
				delete(want, name)
			}
		}
		read := make(map[string]string)
		for name := range got {
			if _, ok := want[name]; !ok && !form.Odd {
				t.Errorf("there is %q", name)
			} else if !ok {
				continue
			}
			value := string(got[name][0])
			_ = json.Unmarshal([]byte(value), &value) // unless it is a number
			if name != "job_id" {
				value = strings.ToLower(value)
			}
			read[name] = value
		}
		if diff := cmp.Diff(want, read); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if quotes := bytes.HasPrefix(first(got["difficulty"]), []byte(`"`)); quotes != (form.Quoted && !form.NoDifficulty) {
			t.Errorf("the difficulty is %s", got["difficulty"])
		}
	})
}

func first(values []json.RawMessage) []byte {
	if len(values) == 0 {
		return nil
	}
	return values[0]
}
