package simulate

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"sync"
)

// users are what miners log in as: an address and the name of a rig.
var users = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^qz[1-9A-HJ-NP-Za-km-z]{40,60}\.[^.]+$`)
})

// login opens a session. If it does not, it returns what is to be answered.
func (p *Pool) login(s *poolSession, m poolMessage) (refusal []byte, err error) {
	if m.method != "login" {
		return nil, misbehaviour("it begins with %q and not with a login", m.method)
	}
	params, err := m.texts([]string{"login", "agent"}, "pass")
	if err != nil {
		return nil, err
	}
	if user := params["login"]; len(user) > 128 || !users().MatchString(user) {
		return nil, misbehaviour("it logs in as %q: not as an address, a dot, and the name of a rig, of 128 bytes at most", user)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trouble.Turn {
		p.tally.Turned++
		forms := []member{
			{"error", `{"code":-1,"message":"the stand-in takes no logins at the moment"}`},
			{"error", `"the stand-in takes no logins at the moment"`},
			{"result", `{"status":"the stand-in takes no logins at the moment"}`},
		}
		return line(p.trouble.Odd, forms[p.tally.Turned%3], member{"id", m.id}), nil
	}
	s.loggedIn = true
	p.tally.Logins++
	p.naming(s)
	if p.trouble.Mute {
		s.mute = true
		return nil, nil
	}
	p.welcome(s, m.id)
	return nil, nil
}

// naming gives a session its id and its extranonce; mu is held.
func (p *Pool) naming(s *poolSession) {
	s.id = rand.Text()
	if p.tally.Logins%2 == 0 {
		s.id = `<"` + s.id + `\é/>`
	}
	p.ids[s.id] = true
	for s.extranonce == "" || p.used[s.extranonce] {
		var extranonce [4]byte
		_, _ = rand.Read(extranonce[:]) // which does not fail
		s.extranonce = hex.EncodeToString(extranonce[:])
	}
	p.used[s.extranonce] = true
}

// welcome answers a login, by turns in all ways that there are; mu is held.
func (p *Pool) welcome(s *poolSession, id string) {
	extensions, job := `["algo","keepalive"]`, "null"
	way := p.tally.Logins % 4
	if s.keepsAlive = way != 3; !s.keepsAlive {
		extensions = `[]`
	}
	some := p.job.header != ([32]byte{}) && !p.trouble.Quiet
	odd := p.oddly()
	if some && (way == 0 || way == 2) { // before the answer
		s.send(jobNotice(p.give(s, true), true, odd))
	}
	if some && (way == 1 || way == 2) {
		job = p.give(s, true)
	}
	s.send(line(odd, member{"id", id}, member{"result", object(odd,
		member{"id", text(odd, s.id)}, member{"status", text(odd, "OK")}, member{"extensions", extensions}, member{"job", job})}))
	if some && way == 3 { // after it
		s.send(jobNotice(p.give(s, true), true, odd))
	}
	p.keptAlive(s)
}
