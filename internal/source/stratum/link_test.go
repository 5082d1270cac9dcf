package stratum

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantus-network/quantus-miner/internal/source/upstream"
)

const never = 1 << 62

// TestSession logs in, and sends share after share of one job, which is prepared once.
func TestSession(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		r.is(upstream.NotConnected, "a")
		c := r.answer("a")
		if c.login != (loginParams{"qzuser.a", "secret", "miner/1"}) {
			t.Errorf("the login is %+v", c.login)
		}
		c.welcome("null")
		r.is(upstream.Waiting, "a")
		r.searches(0, "", 0)
		c.notify("1", 1, 100)
		r.is(upstream.Working, "a")
		r.searches(1, c.nonce, 100)
		seen := make(map[string]bool)
		for range 50 {
			s := c.share("1", 1, 100)
			if nonce := strings.ToLower(s.Params.Nonce); seen[nonce] {
				t.Errorf("nonce %s comes twice", nonce)
			} else {
				seen[nonce] = true
			}
			<-time.After(2 * time.Millisecond)
			c.ok(s)
			c.notify("1", 1, 100) // as pools repeat their jobs
		}
		r.counted(Counts{Accepted: 50})
		s := r.link.Status()
		if s.Jobs != 1 || s.Connections != 1 || s.Failures != 0 || s.Difficulty != 100 || s.Latency != 2*time.Millisecond {
			t.Errorf("the status is %+v", s)
		}
		if got := r.settled[0]; got.Outcome != Accepted || !got.Answered || got.Latency != 2*time.Millisecond || got.Age < got.Latency || got.Search != "1#1" {
			t.Errorf("a share is told of as %+v", got)
		}
		r.says(`level=INFO msg="share accepted" pool=a job=1#1`)
	}, "a")
}

// TestJobs has jobs come one after the other, in all forms: only what is another puzzle is
// searched anew.
func TestJobs(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		job := func(id string, header byte, difficulty uint64, more string) string {
			text := c.job(id, header, difficulty)
			return text[:len(text)-1] + more + "}"
		}
		// Before the login's answer, which has none: it is kept.
		c.say(`{"method":"job","params":{"job":%s}}`, job("early", 1, never, `,"seq":7`))
		r.searches(0, "", 0)
		c.welcome("null")
		r.searches(1, c.nonce, never)
		for i, step := range []struct {
			line       string
			header     byte
			difficulty uint64
			search     int
		}{
			{`{"id":null,"method":"job","params":{"clean_jobs":false,"job":%s}}`, 2, never, 2},
			{`{"method":"job","params":{"job":%s,"clean_jobs":true}}`, 2, never, 2},              // the same
			{`{"method":"job","params":{"job":%s,"clean_jobs":true}}`, 2, never - 1, 3},          // another difficulty
			{` {"params" : {"job":%s, "x":[{}]}, "method":"\u006aob", "y":1e400} `, 3, never, 4}, // odd, and legal
		} {
			c.say(step.line, job(fmt.Sprint(i), step.header, step.difficulty, fmt.Sprintf(`,"seq":%d`, 7+i)))
			r.searches(step.header, c.nonce, step.difficulty)
			if name := r.miner.Current().Jobs[0].Job.ID(); !strings.HasSuffix(name, fmt.Sprint("#", step.search)) {
				t.Errorf("step %d: %s is searched, want search %d", i, name, step.search)
			}
		}
		// The same puzzle changes nothing, whatever its seq, and a job without one may come at any
		// time.
		c.say(`{"method":"job","params":{"job":%s}}`, job("3b", 3, never, `,"seq":2`))
		c.say(`{"method":"job","params":{"job":%s}}`, job("4", 4, never, ``))
		r.searches(4, c.nonce, never)
		// A session's extranonce stays the same; if it does not, the job's own counts.
		c.nonce = "fffffff0"
		c.notify("4", 4, never)
		r.searches(4, "fffffff0", never)
		c.say(`{"method":"job","params":{"job":null}}`)
		r.is(upstream.Waiting, "a")
		r.searches(0, "", 0)
		c.notify("5", 5, never)
		r.searches(5, c.nonce, never)
		r.counted(Counts{})
	}, "a")
}

// TestRenamed has a job repeated under another name: its shares get the newest name, and the
// search goes on.
func TestRenamed(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		c.welcome(c.job("1", 1, 1000))
		c.ok(c.share("1", 1, 1000))
		c.notify("2", 1, 1000)
		synctest.Wait()
		c.ok(c.share("2", 1, 1000))
		if jobs := r.link.Status().Jobs; jobs != 1 {
			t.Errorf("%d jobs are counted", jobs)
		}
	}, "a")
}

// TestEarly has a newer job overtake the login's answer, which has an older one.
func TestEarly(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		counted := func(id string, header byte, seq int) string {
			return strings.Replace(c.job(id, header, never), "{", fmt.Sprintf(`{"seq":%d,`, seq), 1)
		}
		c.say(`{"method":"job","params":{"job":%s}}`, counted("2", 2, 2))
		c.welcome(counted("1", 1, 1))
		r.searches(2, c.nonce, never)
		c.say(`{"method":"job","params":{"job":%s}}`, counted("3", 3, 3))
		r.searches(3, c.nonce, never)
	}, "a")
}

// TestNewSession loses a connection: nothing is searched, shares are settled, and the next
// session has another extranonce for what looks like the same job.
func TestNewSession(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		c.welcome(c.job("1", 1, 100))
		c.share("1", 1, 100)
		c.share("1", 1, 100)
		c.Close()
		r.searches(0, "", 0)
		r.counted(Counts{Unacknowledged: 2})
		r.is(upstream.NotConnected, "a")
		before := time.Now()
		next := r.answer("a")
		if wait := time.Since(before); wait < 800*time.Millisecond || wait > 1200*time.Millisecond {
			t.Errorf("the miner comes again after %s", wait)
		}
		next.welcome(next.job("1", 1, 100))
		r.searches(1, next.nonce, 100)
		for range 10 {
			next.ok(next.share("1", 1, 100)) // which begins with the new extranonce
		}
		r.counted(Counts{Accepted: 10, Unacknowledged: 2})
	}, "a")
}

// TestTarget has the target change alone: what was found for the easier one is sent only if it
// meets the one in force, under the new name.
func TestTarget(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		c.welcome(c.job("1", 1, 10))
		var first []said
		for range maxUnanswered {
			first = append(first, c.share("1", 1, 10))
		}
		<-time.After(5 * time.Second) // more than 64 wait
		evaluated := r.miner.Current().Evaluated
		<-time.After(time.Second)
		if now := r.miner.Current().Evaluated; now != evaluated {
			t.Errorf("%d nonces are evaluated while nobody wants more shares", now-evaluated)
		}
		c.notify("2", 1, 40)
		synctest.Wait()
		c.ok(first[0])
		for range 30 {
			c.ok(c.share("2", 1, 40))
		}
		synctest.Wait()
		got := r.link.Status().Shares
		if got[Stale] < 20 || got[Accepted] != 31 || got[Unacknowledged]+got[Other] != 0 {
			t.Errorf("the shares are %v", got)
		}
	}, "a")
}

// TestReplaced has a job replaced while shares wait: with clean_jobs they are dropped, without
// they are sent yet.
func TestReplaced(t *testing.T) {
	for _, clean := range []bool{true, false} {
		t.Run(fmt.Sprint("clean ", clean), func(t *testing.T) {
			bubble(t, newSHA(), func(r *rig) {
				c := r.answer("a")
				c.welcome(c.job("1", 1, 10))
				var first []said
				for range maxUnanswered {
					first = append(first, c.share("1", 1, 10))
				}
				<-time.After(200 * time.Millisecond) // some wait
				c.say(`{"method":"job","params":{"clean_jobs":%t,"job":%s}}`, clean, c.job("2", 2, 10))
				synctest.Wait()
				c.ok(first[0])
				if clean {
					c.share("2", 2, 10)
				} else {
					c.share("1", 1, 10)
				}
				synctest.Wait()
				if stale := r.link.Status().Shares[Stale]; clean != (stale > 5) {
					t.Errorf("%d shares are stale", stale)
				}
			}, "a")
		})
	}
}

// TestRefused has shares refused for all reasons, and not answered.
func TestRefused(t *testing.T) {
	for _, row := range []struct {
		answer string
		want   Outcome
	}{
		{`{"id":%s,"error":"Stale share"}`, Stale},
		{`{"id":"%s","error":{"code":21,"message":"nope"}}`, Stale},
		{`{"id":%s,"error":{"code":-1,"message":"Duplicate share"},"result":null}`, Duplicate},
		{`{"id":%s,"error":[22,"no",null]}`, Duplicate},
		{`{"id":%s,"error":{"code":23}}`, LowDifficulty},
		{`{"id":%s,"error":"low difficulty share of 12"}`, LowDifficulty},
		{`{"id":%s,"error":"above target","result":{"status":"OK"}}`, LowDifficulty},
		{`{"id":%s,"error":"I do not like you"}`, Other},
		{`{"id":%s,"result":{"status":"REJECTED"}}`, Other},
		{`{"id":%s,"result":{"status":"stale"},"error":null}`, Stale},
		{`{"id":%s,"result":false}`, Other},
		{`{"id":%s}`, Other},
		{`{"id":%s,"result":true,"error":null}`, Accepted},
		{`{"id":%s,"result":"OK"}`, Accepted},
		{`{"id":"%s","result":{"status":"ok"}}`, Accepted},
		{`{"id":9%s,"result":{"status":"OK"}}`, Unacknowledged}, // of nobody's
	} {
		t.Run(row.answer, func(t *testing.T) {
			bubble(t, newSHA(), func(r *rig) {
				c := r.answer("a")
				c.welcome(c.job("1", 1, 100))
				s := c.share("1", 1, 100)
				c.notify("1", 1, never)
				c.say(row.answer, s.ID)
				if row.want == Unacknowledged {
					r.counted(Counts{})
					<-time.After(answerTimeout)
				}
				var want Counts
				want[row.want] = 1
				got := func() Counts { synctest.Wait(); return r.link.Status().Shares }()
				if got[row.want] != 1 {
					t.Errorf("the shares are %v, want %v", got, want)
				}
				if row.want == Unacknowledged { // an answer that is late counts no more
					c.ok(s)
					if now := r.link.Status().Shares; now != got {
						t.Errorf("the shares are %v after a late answer, were %v", now, got)
					}
				}
			}, "a")
		})
	}
	t.Run("replaced meanwhile", func(t *testing.T) {
		bubble(t, newSHA(), func(r *rig) {
			c := r.answer("a")
			c.welcome(c.job("1", 1, 100))
			s := c.share("1", 1, 100)
			c.notify("2", 2, never)
			c.say(`{"id":%s,"error":"unknown words"}`, s.ID)
			synctest.Wait()
			if got := r.link.Status().Shares; got[Stale] == 0 || got[Other] > 0 {
				t.Errorf("the shares are %v", got)
			}
		}, "a")
	})
}

// TestLoginRefused ends the miner, or has it work for another pool.
func TestLoginRefused(t *testing.T) {
	for answer, words := range map[string]string{
		`{"id":1,"error":"address is banned, password secret"}`:        "address is banned, password …",
		`{"id":1,"error":{"code":-1,"message":"no such user"}}`:        "no such user",
		`{"id":1,"result":{"id":"x","status":"BANNED"}}`:               "BANNED",
		`{"id":1,"result":null,"error":null}`:                          "no reason was given",
		`{"id":1,"result":{"id":"x","status":"OK"},"error":["24",24]}`: `["24",24]`,
	} {
		bubble(t, newSHA(), func(r *rig) {
			c := r.answer("a")
			c.say("%s", answer)
			err := <-r.done
			refused, ok := errors.AsType[*RefusedError](err)
			wrong, isPool := errors.AsType[*PoolError](err)
			if !ok || refused.Words != words || !isPool || wrong.Pool != "a" {
				t.Errorf("%s: Run returns %v", answer, err)
			}
			r.is(upstream.Refused, "a")
			c.ended()
		}, "a")
	}
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		c.say(`{"id":1,"error":"no"}`)
		c.ended()
		b := r.answer("b")
		b.welcome(b.job("1", 1, never))
		r.is(upstream.Working, "b")
		r.answer("a").say(`{"id":1,"error":"no"}`)
		r.is(upstream.Working, "b")
		b.Close()
		r.answer("b").say(`{"id":1,"error":"nor do I"}`) // so there is none, for now
		r.says(`level=ERROR msg="cannot connect to the pool" pool=b reason="the pool refuses the login: nor do I" mining=false`)
		b = r.answer("b")
		b.welcome(b.job("2", 2, never))
		r.is(upstream.Working, "b")
	}, "a", "b")
}

// TestFallback turns to the next pool, and returns to the first.
func TestFallback(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		r.set("a", errors.New("nobody is there"))
		b := r.answer("b")
		b.welcome(b.job("1", 1, never))
		r.is(upstream.Working, "b")
		if !r.link.Status().Fallback {
			t.Error("it is no fallback")
		}
		r.set("a", nil)
		a := r.answer("a")
		a.welcome("null")
		r.is(upstream.Working, "b") // to be connected is not enough
		a.notify("2", 2, never)
		r.is(upstream.Working, "a")
		r.searches(2, a.nonce, never)
		b.ended()
	}, "a", "b")
	bubble(t, newSHA(), func(r *rig) { // a pool without a job
		a := r.answer("a")
		began := time.Now()
		a.say(`{"id":1,"result":{"id":"x","status":"OK"}}`)
		b := r.answer("b")
		if took := time.Since(began); took != jobTimeout {
			t.Errorf("turned to after %s", took)
		}
		b.welcome(b.job("1", 1, 100))
		for range 3 {
			b.share("1", 1, 100)
		}
		a.notify("2", 2, never)
		r.searches(2, a.nonce, never)
		synctest.Wait()
		if got := r.link.Status().Shares; got[Unacknowledged] < 3 { // and what it had not read
			t.Errorf("the shares are %v", got)
		}
		b.ended()
	}, "a", "b")
}

// TestForeign has the first pool come back while shares wait for the second: they are no business
// of the first one, whatever it says of shares of the job before.
func TestForeign(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		r.set("a", errors.New("nobody is there"))
		b := r.answer("b")
		b.welcome(b.job("1", 1, 10))
		for range maxUnanswered {
			b.share("1", 1, 10)
		}
		r.set("a", nil)
		a := r.answer("a")
		a.welcome("null")
		a.say(`{"method":"job","params":{"clean_jobs":false,"job":%s}}`, a.job("1", 1, 10))
		for range 40 {
			a.ok(a.share("1", 1, 10)) // with its own extranonce
		}
		got := r.link.Status().Shares
		if got[Unacknowledged] < maxUnanswered || got[Stale] < 20 {
			t.Errorf("the shares are %v", got)
		}
		b.ended()
	}, "a", "b")
}

// TestKeepAlive tells a pool that the miner is there if it wants that, and takes any answer.
func TestKeepAlive(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		c.welcome(c.job("1", 1, never))
		began := time.Now()
		for i := range 40 {
			s := c.hear("keepalived")
			if s.Params.ID != c.token {
				t.Errorf("it is of session %q", s.Params.ID)
			}
			if took := time.Since(began); took != time.Duration(i+1)*30*time.Second {
				t.Errorf("sign of life %d comes after %s", i, took)
			}
			c.say([]string{`{"id":%s,"result":{"status":"KEEPALIVED"}}`, `{"id":%s,"result":{"status":"OK"}}`, `{"id":%s,"error":"what?"}`}[i%3], s.ID)
		}
		r.is(upstream.Working, "a")
		if s := r.link.Status(); s.Failures > 0 {
			t.Errorf("%d failures", s.Failures)
		}
	}, "a")
	bubble(t, newSHA(), func(r *rig) { // one that does not want it, and says nothing
		c := r.answer("a")
		began := time.Now()
		c.say(`{"id":1,"result":{"id":7,"status":"OK","job":%s}}`, c.job("1", 1, never))
		c.ended()
		if took := time.Since(began); took != silenceTimeout {
			t.Errorf("the connection is dead after %s", took)
		}
		r.says("the pool has said nothing for 5m0s")
	}, "a")
	bubble(t, newSHA(), func(r *rig) { // one that never answers the login
		c := r.answer("a")
		began := time.Now()
		c.ended()
		if took := time.Since(began); took != loginTimeout {
			t.Errorf("the connection is dead after %s", took)
		}
	}, "a")
	bubble(t, newSHA(), func(r *rig) { // one that reads nothing
		c := r.answer("a")
		c.welcome(c.job("1", 1, 100))
		<-time.After(writeTimeout + time.Second)
		r.says("the pool has read nothing for 15s")
		c.ended()
	}, "a")
}

// TestStrange has a pool say what nobody knows.
func TestStrange(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		c.welcome(c.job("1", 1, never))
		c.say(`{"id":"q1","method":"client.get_version","params":[]}`)
		if s, err := c.read(); err != nil || string(s.ID) != `"q1"` || s.Error == nil || s.Error.Code != -32601 {
			t.Errorf("the miner answers %+v, %v", s, err)
		}
		for range 5 {
			c.say(`{"method":"client.reconnect","params":["evil.example",1]}`)
		}
		for i := range 100 {
			c.say(`{"method":"show.%d"}`, i)
		}
		c.say(`{"id":null,"method":"x","params":{}}`)
		c.say(`{"hello":"world"}`)
		c.say(`{"id":{},"result":[]}`)
		r.is(upstream.Working, "a")
		if n := strings.Count(r.log.String(), "does not know"); n != maxStrange {
			t.Errorf("%d lines about what is strange", n)
		}
	}, "a")
}

// TestViolations end the session: the miner stops, says what was wrong, and comes again.
func TestViolations(t *testing.T) {
	job := func(from, to string) string {
		text := `{"method":"job","params":{"clean_jobs":true,"job":` + jobText("2", 2, "00040145", 10) + `}}`
		if !strings.Contains(text, from) {
			panic(from)
		}
		return strings.Replace(text, from, to, 1)
	}
	target := `"target":"1999`
	for line, want := range map[string]string{
		job(target, `"target":"2999`):                               "target is not that of its difficulty 10",
		job(`"difficulty":10`, `"difficulty":11`):                   "target is not that of its difficulty 11",
		job(`"difficulty":10`, `"difficulty":0`):                    "difficulty is no whole number",
		job(`"difficulty":10`, `"difficulty":-10`):                  "difficulty is no whole number",
		job(`"difficulty":10`, `"difficulty":10.5`):                 "difficulty is no whole number",
		job(`"difficulty":10`, `"difficulty":18446744073709551616`): "difficulty is no whole number",
		job(`"difficulty":10`, `"difficulty":true`):                 "difficulty is no whole number",
		job(target, `"target":"199`):                                "target is no text of 128 hex digits",
		job(target, `"target":"19990`):                              "target is no text of 128 hex digits",
		job(`qpow-poseidon2`, `sha256d`):                            "algo is",
		job(`"00040145"`, `"0004014"`):                              "extranonce is no text of 8 hex digits",
		job(`"00040145"`, `"000401454"`):                            "extranonce is no text of 8 hex digits",
		job(`"00040145"`, `null`):                                   "extranonce is missing",
		job(`0200`, `020`):                                          "mining_hash is no text of 64 hex digits",
		job(`0200`, `0x00`):                                         "mining_hash is no text of 64 hex digits",
		job(`"job_id":"2"`, `"job_id":""`):                          "job_id is no text",
		job(`"job_id":"2"`, `"job_id":["2"]`):                       "job_id is no text",
		job(`"algo"`, `"seq":4,"algo"`):                             "seq goes down, from 5 to 4",
		job(`"algo"`, `"seq":"x","algo"`):                           "seq is no whole number",
		`{"method":"job","params":{}}`:                              "has none",
		`{"method":"job","params":[]}`:                              "the parameters of a job",
		`{"method":"mining.set_difficulty","params":[5]}`:           "notifies of",
		`{"method":"Set_Target"}`:                                   "notifies of",
		`{"method":"mining.set_extranonce"}`:                        "notifies of",
		`{"method":5}`:                                              "no text",
		``:                                                          "not valid JSON",
		`hello`:                                                     "not valid JSON",
		`[]`:                                                        "not a JSON object",
		`{"a":1}{"b":2}`:                                            "not valid JSON",
		"{\"a\":\"\xff\"}":                                          "not valid UTF-8",
		"\x15\x03\x01":                                              "say stratum+ssl://",
		`{"a":"` + strings.Repeat("x", maxLine-7) + `"}`:            "longer than 16384 bytes",
	} {
		t.Run(want, func(t *testing.T) {
			bubble(t, newSHA(), func(r *rig) {
				c := r.answer("a")
				c.welcome(`{"seq":5,` + c.job("1", 1, never)[1:])
				r.is(upstream.Working, "a")
				c.say("{\"a\":\"%s\"}", strings.Repeat("x", maxLine-8)) // as long as may be
				r.is(upstream.Working, "a")
				c.Conn.SetWriteDeadline(time.Now().Add(time.Second))
				fmt.Fprintf(c, "%s\n", line) // of which not all is read
				r.searches(0, "", 0)
				r.is(upstream.NotConnected, "a")
				if reason := fmt.Sprint(r.link.Status().Reason); !strings.Contains(reason, "the pool breaks the protocol: ") || !strings.Contains(reason, want) {
					t.Errorf("%q: the reason is %q", line, reason)
				}
				c.ended()
				again := r.answer("a")
				again.welcome(again.job("1", 1, never))
				r.searches(1, again.nonce, never)
			}, "a")
		})
	}
}

// TestCut ends a line in the middle.
func TestCut(t *testing.T) {
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		c.welcome(c.job("1", 1, never))
		fmt.Fprint(c, `{"method":"job","params":{"job":`+c.job("2", 2, never)+`}}`) // but for its end
		r.searches(1, c.nonce, never)
		c.Close()
		r.searches(0, "", 0)
		r.says("the pool has closed the connection")
	}, "a")
}

// TestRate has twenty shares found a second, each of them answered after a while: the miner
// searches all the time, and every share is accepted.
func TestRate(t *testing.T) {
	const perSecond, difficulty, latency = 2000, 100, 200 * time.Millisecond // about four wait for an answer
	bubble(t, newSHA(), func(r *rig) {
		c := r.answer("a")
		c.welcome(c.job("1", 1, difficulty))
		const span = 25 * time.Second // and no sign of life
		sent := 0
		for began := time.Now(); time.Since(began) < span; sent++ {
			s := c.share("1", 1, difficulty)
			time.AfterFunc(latency, func() { c.ok(s) })
		}
		if n := r.miner.Current().Evaluated; float64(n) < 0.97*perSecond*span.Seconds() {
			t.Errorf("%d nonces are evaluated in %s, of %d a second", n, span, perSecond)
		}
		<-time.After(2 * latency)
		if got := r.link.Status().Shares; got[Accepted] < uint64(sent) || got[Accepted] < 20*uint64(span.Seconds())*9/10 || got.Refused()+got[Unacknowledged] > 0 {
			t.Errorf("%d shares were sent, and are %v", sent, got)
		}
		go func() { // what is found until the end
			for {
				if _, err := c.read(); err != nil {
					return
				}
			}
		}()
	}, "a")
}
