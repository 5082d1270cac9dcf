package simulate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// TestPoolRun has shares found while the pool makes all its moves.
func TestPoolRun(t *testing.T) {
	var reported []Share
	p := startPool(t, io.Discard, func(p *Pool) {
		p.Shares, p.ShareTime, p.Difficulty, p.Stay = 40, 20*time.Millisecond, 0, true
		p.pace.present = 16
		p.Report = func(s Share) { reported = append(reported, s) }
	})
	dialPool(t, p).login().mine()
	if err := p.wait(t); err != nil {
		t.Fatal(err)
	}
	got := p.Tally()
	if got.Accepted < 40 || len(reported) != 40 || got.Work < 40 || got.Jobs < 15 || got.Logins != 1 || got.Left+got.Turned+got.Unanswered != 0 || got.Answers != 2 {
		t.Errorf("the tally is %+v, and there are %d reports", got, len(reported))
	}
	if p.moves < len(poolMoves) {
		t.Errorf("there were %d moves", p.moves)
	}
	for _, s := range reported {
		if s.Refused != "" || s.Difficulty == 0 || s.Tries < s.Difficulty || s.Nonce.IsZero() || s.Hash.Cmp(u512.Max().Div64(s.Difficulty)) >= 0 {
			t.Errorf("odd share: %+v", s)
		}
	}
}

// TestPoolTLS has a miner come by TLS, which knows the pool by its CA.
func TestPoolTLS(t *testing.T) {
	p := startPool(t, io.Discard, nil)
	ca, pin, err := p.identity.WriteFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	inPEM, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(pin); err != nil || string(text) != p.identity.Pin().String()+"\n" {
		t.Errorf("the pin is %q, %v", text, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(inPEM) {
		t.Fatal("no certificate in the file")
	}
	for _, name := range []string{"127.0.0.1", "localhost"} {
		conn, err := tls.Dial("tcp", p.Address(), &tls.Config{RootCAs: roots, ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		m := newPoolMiner(t, conn).login()
		m.share()
		if told := m.hear(); told.Result == nil || told.Result.Status != "OK" {
			t.Errorf("the share is answered with %+v", told)
		}
	}
	if _, err := tls.Dial("tcp", p.Address(), &tls.Config{}); err == nil {
		t.Error("a miner that does not know the CA connects")
	}
}

// TestPoolMisbehaviour has miners do what no pool should have to bear.
func TestPoolMisbehaviour(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(m *poolMiner, p *runningPool)
		want string
	}{
		"an invalid share": {func(m *poolMiner, _ *runningPool) {
			m.submit(m.session, m.job.JobID, m.nonce(false))
		}, "INVALID SHARE"},
		"a duplicate": {func(m *poolMiner, _ *runningPool) {
			m.submit(m.session, m.job.JobID, m.share())
		}, "a second time"},
		"a duplicate in capitals": {func(m *poolMiner, _ *runningPool) {
			m.extranonce = strings.ToLower(m.extranonce)
			m.submit(m.session, m.job.JobID, strings.ToUpper(m.share()))
		}, "a second time"},
		"the same nonce under another difficulty": {func(m *poolMiner, p *runningPool) {
			nonce := m.share()
			p.locked(func() { p.changeDifficulty(8, false) })
			for m.job.Difficulty != "8" {
				m.hear()
			}
			m.submit(m.session, m.job.JobID, nonce)
		}, "a second time"},
		"another session's share": {func(m *poolMiner, p *runningPool) {
			nonce := m.share()
			m.hear()
			other := dialPool(m.t, p).login()
			other.submit(other.session, m.job.JobID, nonce)
		}, "sent in another session"},
		"another session's extranonce": {func(m *poolMiner, p *runningPool) {
			other := dialPool(m.t, p).login()
			m.extranonce = other.extranonce
			m.share()
		}, "the extranonce of another session"},
		"another session's id": {func(m *poolMiner, p *runningPool) {
			m.session = dialPool(m.t, p).login().session
			m.share()
		}, "a share of another session"},
		"a session that never was": {func(m *poolMiner, _ *runningPool) {
			m.session = "x"
			m.share()
		}, "which there never was"},
		"no extranonce": {func(m *poolMiner, _ *runningPool) {
			m.extranonce = "00000000"
			m.share()
		}, "does not begin with the extranonce"},
		"an unknown job": {func(m *poolMiner, _ *runningPool) {
			m.job.JobID = "7"
			m.share()
		}, `job "7", of which this session was not told`},
		"a job of before": {func(m *poolMiner, p *runningPool) {
			p.Change(func(*PoolTrouble) {})
			p.locked(func() { p.sessionOf(m).jobs[0].replaced = time.Now().Add(-time.Minute) })
			m.share()
		}, "which was replaced 1m"},
		"a short nonce": {func(m *poolMiner, _ *runningPool) {
			m.submit(m.session, m.job.JobID, m.nonce(true)[:127])
		}, "is not 128 hex digits"},
		"no hex": {func(m *poolMiner, _ *runningPool) {
			m.submit(m.session, m.job.JobID, m.nonce(true)[:127]+"g")
		}, "is not 128 hex digits"},
		"too many shares": {func(m *poolMiner, p *runningPool) {
			p.Change(func(t *PoolTrouble) { t.Hold = true })
			m.hear()
			for range mostAwaiting + 1 {
				m.share()
			}
		}, "more than 16 shares"},
		"two shares in one": {func(m *poolMiner, p *runningPool) {
			p.Change(func(t *PoolTrouble) { t.Hold = true })
			m.hear()
			for range 2 {
				m.share()
				m.requests--
			}
		}, "two shares with the id 101"},
		"a second login": {func(m *poolMiner, _ *runningPool) {
			m.say(`{"id":2,"method":"login","params":{"login":"%s","pass":"x","agent":"test"}}`, PoolUser)
		}, `it says "login"`},
		"no JSON":      {func(m *poolMiner, _ *runningPool) { m.say("x") }, "not valid JSON"},
		"a long line":  {func(m *poolMiner, _ *runningPool) { m.say("%s", strings.Repeat(" ", maxPoolLine)) }, "more than 16384 bytes"},
		"CR LF":        {func(m *poolMiner, _ *runningPool) { m.say("{}\r") }, "carriage return"},
		"no id":        {func(m *poolMiner, _ *runningPool) { m.say(`{"method":"keepalived","params":{"id":"x"}}`) }, "no id"},
		"a fraction":   {func(m *poolMiner, _ *runningPool) { m.say(`{"id":1.5,"method":"keepalived","params":{"id":"x"}}`) }, "no number and no string"},
		"twice a name": {func(m *poolMiner, _ *runningPool) { m.say(`{"id":1,"id":1,"method":"keepalived","params":{}}`) }, `"id", or it is repeated`},
		"another param": {func(m *poolMiner, _ *runningPool) {
			m.say(`{"id":1,"method":"keepalived","params":{"id":"x","y":"z"}}`)
		}, `param "y"`},
		"no text":         {func(m *poolMiner, _ *runningPool) { m.say(`{"id":1,"method":"keepalived","params":{"id":null}}`) }, "param id is no text"},
		"a wrong sign":    {func(m *poolMiner, _ *runningPool) { m.say(`{"id":1,"method":"keepalived","params":{"id":"x"}}`) }, "keepalived of another session"},
		"an odd answer":   {func(m *poolMiner, _ *runningPool) { m.say(`{"id":1,"error":{"code":-32601,"message":"?"}}`) }, "which was not asked"},
		"an odd method":   {func(m *poolMiner, _ *runningPool) { m.say(`{"id":1,"method":"subscribe","params":{}}`) }, `it says "subscribe"`},
		"a wrong answer":  {func(m *poolMiner, p *runningPool) { p.ask(); m.say(`{"id":7,"error":{"code":-1,"message":"?"}}`) }, "code -1"},
		"a result":        {func(m *poolMiner, p *runningPool) { p.ask(); m.say(`{"id":7,"result":{}}`) }, "neither a request nor an error"},
		"no answer":       {func(m *poolMiner, p *runningPool) { p.ask() }, "no answer to the method client.get_version"},
		"it leaves":       {func(m *poolMiner, _ *runningPool) { _ = m.conn.Close() }, "nothing was wrong"},
		"no sign of life": {func(*poolMiner, *runningPool) {}, "no keepalived for 500ms"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPool(t, io.Discard, func(p *Pool) {
				p.Stay = true
				if strings.HasPrefix(name, "no answer") || strings.HasPrefix(name, "no sign") {
					p.Keepalive, p.Grace = 300*time.Millisecond, 200*time.Millisecond
				}
			})
			m := dialPool(t, p).login()
			test.do(m, p)
			if err := p.wait(t); !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want misbehaviour: %s", err, test.want)
			}
		})
	}
}

// locked does something while nothing happens.
func (r *runningPool) locked(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
}

// ask asks miners for what they do not know.
func (r *runningPool) ask() { r.locked(func() { r.say("7", "client.get_version", "{}") }) }

// sessionOf returns a miner's session.
func (r *runningPool) sessionOf(m *poolMiner) *poolSession {
	for s := range r.sessions {
		if s.id == m.session {
			return s
		}
	}
	return nil
}

// TestPoolLogin has miners log in as nobody should.
func TestPoolLogin(t *testing.T) {
	for text, want := range map[string]string{
		`{"id":1,"method":"submit","params":{}}`:                                                                "and not with a login",
		`{"id":1,"method":"login","params":{"login":"x.y","agent":"z"}}`:                                        "not as an address",
		`{"id":1,"method":"login","params":{"login":"` + strings.Split(PoolUser, ".")[0] + `","agent":""}}`:     "not as an address",
		`{"id":1,"method":"login","params":{"login":"` + PoolUser + strings.Repeat("g", 100) + `","agent":""}}`: "128 bytes at most",
		`{"id":1,"method":"login","params":{"login":"` + PoolUser + `"}}`:                                       "no param agent",
	} {
		p := startPool(t, io.Discard, nil)
		dialPool(t, p).say("%s", text)
		if err := p.wait(t); !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestPoolWelcome looks at the ways in which logins are answered, with the same job and
// another extranonce each.
func TestPoolWelcome(t *testing.T) {
	p := startPool(t, io.Discard, nil)
	seen := make(map[string]bool)
	var first poolTestJob
	ways := make(map[string]bool)
	for range 8 {
		m := dialPool(t, p)
		m.say(`{"id":"a","method":"login","params":{"login":"%s","agent":""}}`, PoolUser)
		way := ""
		for !strings.Contains(way, "answer") || m.job.JobID == "" {
			if told := m.hear(); told.Result == nil {
				way += "job "
			} else if way += "answer "; told.Result.Job != nil {
				way += "with a job "
			}
		}
		ways[way] = true
		if seen[m.job.Extranonce] || len(m.job.Extranonce) != 8 {
			t.Errorf("another session has the extranonce %q", m.job.Extranonce)
		}
		seen[m.job.Extranonce] = true
		m.job.Extranonce, m.job.Seq = "", nil
		if first.JobID == "" {
			first = m.job
		} else if m.job != first {
			t.Errorf("the job is %+v, and was %+v", m.job, first)
		}
	}
	if len(ways) != 4 {
		t.Errorf("logins were answered in these ways: %v", ways)
	}
}

// TestPoolRefusals has logins and shares be refused, and shares not be answered.
func TestPoolRefusals(t *testing.T) {
	p := startPool(t, io.Discard, nil)
	p.Change(func(t *PoolTrouble) { t.Turn = true })
	for range 3 {
		m := dialPool(t, p)
		m.say(`{"id":1,"method":"login","params":{"login":"%s","agent":""}}`, PoolUser)
		if told := m.hear(); told.Error == nil && (told.Result == nil || told.Result.Status == "OK") {
			t.Errorf("the login is answered with %+v", told)
		}
	}
	p.Change(func(t *PoolTrouble) { *t = PoolTrouble{Refuse: true} })
	m := dialPool(t, p).login()
	for range 20 {
		m.share()
		if told := m.hear(); told.Error == nil {
			t.Errorf("the share is answered with %+v", told)
		}
	}
	p.Change(func(t *PoolTrouble) { *t = PoolTrouble{Ignore: true} })
	m.hear()
	for p.Tally().Accepted == 0 || p.Tally().Unanswered == 0 {
		m.share()
		runtime.Gosched()
	}
	got := p.Tally()
	refused := uint64(0)
	for _, n := range got.Refused {
		refused += n
	}
	if got.Turned != 3 || refused != 20 || len(got.Refused) < 2 {
		t.Errorf("the tally is %+v", got)
	}
}

// TestPoolStale has shares come of jobs that were replaced, at once and not.
func TestPoolStale(t *testing.T) {
	p := startPool(t, io.Discard, nil)
	m := dialPool(t, p).login()
	p.Change(func(t *PoolTrouble) { t.Strict = true })
	m.hear()
	for _, clean := range []bool{false, true} {
		old := m.nonce(true)
		job := m.job.JobID
		p.locked(func() { p.change(p.other(), jobForm{}, clean) })
		m.hear()
		m.submit(m.session, job, old)
		if told := m.hear(); (told.Error != nil) != clean {
			t.Errorf("clean %t: the share is answered with %+v", clean, told)
		}
	}
	if got := p.Tally(); got.Accepted != 1 || got.Late != 1 || got.Refused["stale"] != 1 {
		t.Errorf("the tally is %+v", got)
	}
}

// TestPoolPoisons sends what must end a session. A miner that leaves is well, one that stays
// is not.
func TestPoolPoisons(t *testing.T) {
	for _, poison := range poolPoisons {
		t.Run(poison.name, func(t *testing.T) {
			p := startPool(t, io.Discard, func(p *Pool) { p.Stay = true })
			for range 2 {
				m := dialPool(t, p).login()
				p.sendPoison(poison)
				before, err := m.in.ReadString('\n')
				if err != nil || !strings.Contains(before, `"seq"`) {
					t.Fatalf("before it there is %q, %v", before, err)
				}
				if _, err := m.in.ReadByte(); err != nil {
					t.Fatal(err)
				}
				_ = m.conn.Close()
				for p.Tally().Miners > 0 {
					runtime.Gosched()
				}
			}
			dialPool(t, p).login()
			p.locked(func() { p.Grace = 50 * time.Millisecond })
			p.sendPoison(poison)
			if err := p.wait(t); !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), poison.name) {
				t.Errorf("got %v", err)
			}
			if got := p.Tally(); got.Left != 0 {
				t.Errorf("the tally is %+v", got)
			}
		})
	}
}

// TestPoolFaults has a pool get over each thing that goes wrong.
func TestPoolFaults(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	end()
	for _, f := range poolFaults {
		t.Run(f.name, func(t *testing.T) {
			p := startPool(t, io.Discard, nil)
			before := dialPool(t, p).login()
			p.inject(f)
			if p.wrong() != f.lasts {
				t.Errorf("what is wrong is %+v", p.wrong())
			}
			p.InjectFaults(over, time.Hour)
			m := dialPool(t, p).login()
			if m.job.JobID == before.job.JobID && m.job.Hash == before.job.Hash {
				t.Error("the job is what it was")
			}
			m.share()
			m.hear()
			if got := p.Tally(); got.Accepted != 1 {
				t.Errorf("the tally is %+v", got)
			}
		})
	}
}

// TestPoolIdle has a miner find nothing, as if it could not.
func TestPoolIdle(t *testing.T) {
	p := startPool(t, io.Discard, func(p *Pool) {
		p.ShareTime, p.Difficulty, p.patience = time.Millisecond, 0, 100*time.Millisecond
	})
	m := dialPool(t, p).login()
	p.Change(func(t *PoolTrouble) { t.Hold = true })
	m.share() // while it waits for an answer a miner may do nothing, as far as it is concerned
	go func() { _, _ = io.Copy(io.Discard, m.in) }()
	select {
	case <-p.ended:
		t.Fatalf("the pool ended with %v", p.err)
	case <-time.After(300 * time.Millisecond):
	}
	p.Change(func(t *PoolTrouble) { t.Hold = false })
	if err := p.wait(t); !errors.Is(err, ErrMisbehaved) || !strings.Contains(err.Error(), "it found no share of") {
		t.Errorf("got %v", err)
	}
	if p.pace.present != 1 {
		t.Errorf("the difficulty came down to %d", p.pace.present)
	}
}

// TestPoolEnds restarts a pool, and ends it, which sends the answer that it owes.
func TestPoolEnds(t *testing.T) {
	p := startPool(t, io.Discard, nil)
	m := dialPool(t, p).login()
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	m.gone()
	m = dialPool(t, p).login()
	p.Change(func(t *PoolTrouble) { t.Pieces = true })
	m.hear()
	m.share()
	for p.Tally().Accepted == 0 {
		runtime.Gosched()
	}
	go p.Close()
	if told := m.hear(); told.Result == nil { // which takes its time
		t.Errorf("the share is answered with %+v", told)
	}
	m.gone()
	p.Close()
	if err := p.Restart(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", p.Address()); err == nil {
		t.Error("a pool that is closed answers")
	}
	if got := p.Tally(); got.Miners != 0 || got.Left != 0 {
		t.Errorf("the tally is %+v", got)
	}
}
