package simulate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// jobForm is how a job is put in JSON. The zero value is the usual one.
type jobForm struct {
	// Quoted has the difficulty be a text.
	Quoted bool
	// NoDifficulty, NoTarget and NoSeq leave out what a job need not have.
	NoDifficulty, NoTarget, NoSeq bool
	// Odd has white space, escapes, names that nobody knows, hex in capitals, and members in
	// any order: all that JSON allows.
	Odd bool
}

// member is one of a JSON object's, its value in JSON.
type member struct{ name, value string }

// line returns the text of an object, with the end of the line.
func line(odd bool, members ...member) []byte { return []byte(object(odd, members...) + "\n") }

// object returns the text of an object.
func object(odd bool, members ...member) string {
	if odd {
		members = append(members, member{"colour", `"green"`}, member{"chain", `{"name":null,"job_id":["0"]}`},
			member{"Target", `"00"`}, member{"JOB_ID", "7"}) // as names have a case
		rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	}
	texts := make([]string, len(members))
	for i, m := range members {
		texts[i] = space(odd) + text(odd, m.name) + space(odd) + ":" + space(odd) + m.value + space(odd)
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// space returns white space, if it is to be odd.
func space(odd bool) string {
	if !odd {
		return ""
	}
	return []string{"", " ", "\t", "\r", " \t  "}[rand.IntN(5)]
}

// text returns a text in JSON: an odd one has a letter or a digit escaped.
func text(odd bool, s string) string {
	if odd && s != "" {
		if i := rand.IntN(len(s)); s[i] >= '0' && s[i] <= 'z' && s[i] != '\\' {
			return quoted(s[:i], fmt.Sprintf(`\u%04X`, s[i]), s[i+1:])
		}
	}
	return quoted(s, "", "")
}

// quoted returns two texts in JSON as one, with JSON in between.
func quoted(before, between, behind string) string {
	escape := func(s string) string {
		inJSON, _ := json.Marshal(s) // a text always has one
		return string(inJSON[1 : len(inJSON)-1])
	}
	return `"` + escape(before) + between + escape(behind) + `"`
}

// hexText returns hex in JSON: odd in capitals.
func hexText(odd bool, digits string) string {
	if odd {
		digits = strings.ToUpper(digits)
	}
	return text(odd, digits)
}

// object returns a job as a session is told of it.
func (j poolJob) object(extranonce string, seq uint64, form jobForm) string {
	return object(form.Odd, j.members(extranonce, seq, form)...)
}

func (j poolJob) members(extranonce string, seq uint64, form jobForm) []member {
	members := []member{
		{"algo", text(form.Odd, "qpow-poseidon2")},
		{"job_id", text(form.Odd, j.id)},
		{"mining_hash", hexText(form.Odd, fmt.Sprintf("%x", j.header))},
		{"extranonce", hexText(form.Odd, extranonce)},
	}
	if !form.NoTarget {
		members = append(members, member{"target", hexText(form.Odd, j.target().PaddedHex())})
	}
	if !form.NoDifficulty {
		difficulty := strconv.FormatUint(j.difficulty, 10)
		if form.Quoted {
			difficulty = `"` + difficulty + `"`
		}
		members = append(members, member{"difficulty", difficulty})
	}
	if !form.NoSeq {
		members = append(members, member{"seq", strconv.FormatUint(seq, 10)})
	}
	return members
}

// notice returns the line of a notification.
func notice(odd bool, method, params string) []byte {
	return line(odd, member{"jsonrpc", `"2.0"`}, member{"method", text(odd, method)}, member{"params", params})
}

// jobNotice returns the line that tells a session of a job.
func jobNotice(job string, clean, odd bool) []byte {
	return notice(odd, "job", object(odd, member{"clean_jobs", strconv.FormatBool(clean)}, member{"job", job}))
}
