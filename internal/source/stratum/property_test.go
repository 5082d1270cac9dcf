package stratum

import (
	"fmt"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// step is something that a pool does.
type step struct {
	Kind            string
	Hash, ID, Ahead byte
	Easier          uint64
	Form            string
	Clean, WithAJob bool
	Noise           string
}

// steps are any legal sequence of what a pool does.
func steps() *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			Kind:     rapid.SampledFrom([]string{"job", "job", "job", "no job", "login", "login", "noise", "new session"}).Draw(t, "kind"),
			Hash:     rapid.ByteRange(1, 3).Draw(t, "hash"),
			ID:       rapid.ByteRange(0, 9).Draw(t, "id"),
			Ahead:    rapid.ByteRange(0, 3).Draw(t, "ahead"),
			Easier:   rapid.Uint64Range(0, 2).Draw(t, "easier"),
			Form:     rapid.SampledFrom([]string{"plain", "counted", "unknown fields", "quoted"}).Draw(t, "form"),
			Clean:    rapid.Bool().Draw(t, "clean"),
			WithAJob: rapid.Bool().Draw(t, "with a job"),
			Noise:    rapid.SampledFrom([]string{`{"id":99,"error":"what?"}`, `{"method":"hello"}`, `{}`, `{"id":null,"result":null}`}).Draw(t, "noise"),
		}
	}), 1, 40)
}

// TestAnySequence has a pool say anything that is legal, in any order: what is searched is
// always what it last asked for, with the extranonce of the session.
func TestAnySequence(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := steps().Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			r := start(t, newSHA(), "a")
			defer r.stop()
			var c *call
			// What the pool has last asked for in this session, and whether the login was answered.
			hash, difficulty, seq, loggedIn := byte(0), uint64(0), 0, false
			connect := func() {
				c = r.answer("a")
				hash, difficulty, seq, loggedIn = 0, 0, 0, false
			}
			connect()
			job := func(s step) string {
				hash, difficulty = s.Hash, never-s.Easier
				text := jobText(fmt.Sprint("job ", s.ID), hash, c.nonce, difficulty)
				switch s.Form {
				case "counted":
					seq += int(s.Ahead)
					text = fmt.Sprintf(`{"seq":%d,%s`, seq, text[1:])
				case "unknown fields":
					text = fmt.Sprintf(`{"unknown":{"target":"0"},"Difficulty":1,%s`, text[1:])
				case "quoted":
					text = fmt.Sprintf(`%s,"difficulty":"%d"}`, text[:len(text)-1], difficulty)
				}
				return text
			}
			for i, s := range all {
				switch s.Kind {
				case "job":
					c.say(`{"method":"job","params":{"clean_jobs":%t,"job":%s}}`, s.Clean, job(s))
				case "no job":
					c.say(`{"method":"job","params":{"job":null}}`)
					hash, difficulty = 0, 0
				case "login":
					if loggedIn {
						continue
					}
					first := "null"
					if s.WithAJob {
						first = job(s)
					}
					c.welcome(first)
					loggedIn = true
				case "noise":
					c.say("%s", s.Noise)
				case "new session":
					c.Close()
					connect()
				}
				if loggedIn {
					r.searches(hash, c.nonce, difficulty)
				} else {
					r.searches(0, "", 0)
				}
				if t.Failed() {
					t.Errorf("at step %d of %+v", i, all)
					break
				}
			}
			c.Close()
		})
	})
}
