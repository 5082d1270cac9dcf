package simulate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/u512"
)

// PoolTrouble is what is wrong with a [Pool]. The zero value is a pool that is well.
type PoolTrouble struct {
	// Turn has logins be refused.
	Turn bool
	// Mute has logins not be answered, nor anything that follows.
	Mute bool
	// Quiet has miners wait for a job.
	Quiet bool
	// Refuse has valid shares be refused, for one reason or another.
	Refuse bool
	// Strict has shares be refused that were on their way when their job was replaced at once.
	Strict bool
	// Ignore has every other share not be answered.
	Ignore bool
	// Impossible has miners search for what is not to be found.
	Impossible bool
	// Easy has shares be 256 times as many as they should.
	Easy bool
	// Hold has shares not be answered before the trouble is over.
	Hold bool
	// Repeat is how many times too often each job is sent.
	Repeat int
	// Pieces has lines arrive byte by byte.
	Pieces bool
	// Odd has all JSON be odd.
	Odd bool
}

// pieces returns a line as it is sent, part by part.
func (t PoolTrouble) pieces(text []byte) [][]byte { return Trouble{Pieces: t.Pieces}.pieces(text) }

// poolFault is something that goes wrong with a pool, and from which miners that know it by
// two names recover by themselves.
type poolFault struct {
	name  string
	lasts PoolTrouble   // until the next one
	once  func(p *Pool) // nil for nothing else
}

// poolFaults has no fault that the miner meets with a timeout of minutes only: silence lasts
// until the next fault, which ends the connections that are silent.
var poolFaults = append([]poolFault{
	{name: "connections are cut", once: (*Pool).Drop},
	{name: "connections are cut in the middle of a line", once: func(p *Pool) { p.halfLine(true) }},
	{name: "the pool falls silent in the middle of a line", once: func(p *Pool) { p.halfLine(false) }},
	{name: "the pool falls silent", once: (*Pool).silence},
	{name: "the pool is restarted", once: func(p *Pool) {
		if err := p.Restart(); err != nil {
			p.fail(err)
		}
	}},
	{name: "logins are refused", lasts: PoolTrouble{Turn: true}, once: (*Pool).Drop},
	{name: "logins are not answered", lasts: PoolTrouble{Mute: true}, once: (*Pool).Drop},
	{name: "the pool has no job", lasts: PoolTrouble{Quiet: true}, once: (*Pool).Drop},
	{name: "shares are refused", lasts: PoolTrouble{Refuse: true}},
	{name: "late shares are refused", lasts: PoolTrouble{Strict: true}},
	{name: "shares are not answered", lasts: PoolTrouble{Ignore: true}},
	{name: "shares are easy", lasts: PoolTrouble{Easy: true}},
	{name: "shares are easy, and answered late", lasts: PoolTrouble{Easy: true, Hold: true}},
	{name: "each job is sent three times", lasts: PoolTrouble{Repeat: 2}},
	{name: "lines arrive byte by byte", lasts: PoolTrouble{Pieces: true}},
	{name: "all JSON is odd", lasts: PoolTrouble{Odd: true}},
	{name: "two hundred jobs at once", once: func(p *Pool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for range 200 {
			p.newBlock(jobForm{})
		}
	}},
}, endings()...)

// endings are faults each of which must end a session.
func endings() (faults []poolFault) {
	for _, e := range poolPoisons {
		faults = append(faults, poolFault{name: e.name, once: func(p *Pool) { p.sendPoison(e) }})
	}
	return faults
}

// poolPoison is a line that must end a session.
type poolPoison struct {
	name string
	text func(p *Pool, s *poolSession) string // mu is held
}

var poolPoisons = []poolPoison{
	{"a target that is not that of the difficulty", withJob("target", func(j poolJob, _ uint64) string {
		return `"` + j.target().AddWrap(u512.From64(1)).PaddedHex() + `"`
	})},
	{"an algorithm that nobody knows", withJob("algo", func(poolJob, uint64) string { return `"qpow-poseidon3"` })},
	{"a hash of 31 bytes", withJob("mining_hash", func(j poolJob, _ uint64) string { return fmt.Sprintf(`"%x"`, j.header[1:]) })},
	{"a target of 65 bytes", withJob("target", func(j poolJob, _ uint64) string { return `"00` + j.target().PaddedHex() + `"` })},
	{"an extranonce of 3 bytes", withJob("extranonce", func(poolJob, uint64) string { return `"0004ee"` })},
	{"a hash that is no hex", withJob("mining_hash", func(poolJob, uint64) string { return `"` + strings.Repeat("0g", 32) + `"` })},
	{"a seq that goes down", withJob("seq", func(_ poolJob, seq uint64) string { return fmt.Sprint(seq - 1) })},
	{"difficulty 0", withDifficulty("0")},
	{"a negative difficulty", withDifficulty("-5")},
	{"a difficulty with a fraction", withDifficulty("1000.5")},
	{"a difficulty of 2^64", withDifficulty("18446744073709551616")},
	{"neither target nor difficulty", func(p *Pool, s *poolSession) string {
		return string(jobNotice(p.other().object(s.extranonce, p.seq, jobForm{NoTarget: true, NoDifficulty: true}), true, false))
	}},
	{"a change of the difficulty", said(`{"method":"mining.set_difficulty","params":{"value":7}}`)},
	{"a change of the target", said(`{"jsonrpc":"2.0","method":"mining.set_target","params":["00"]}`)},
	{"a change of the extranonce", said(`{"method":"mining.set_extranonce","params":["00000000",4]}`)},
	{"no JSON", said(`{"method":"job",`)},
	{"invalid UTF-8", said("{\"method\":\"hello\",\"params\":\"\xff\"}")},
	{"a line of more than 16 KiB", said(`{"method":"hello","params":"` + strings.Repeat("x", maxPoolLine) + `"}`)},
	{"a line without an end", func(*Pool, *poolSession) string { return strings.Repeat(" ", 1<<20) }},
}

// said returns a line, whatever the session.
func said(text string) func(*Pool, *poolSession) string {
	return func(*Pool, *poolSession) string { return text + "\n" }
}

// withJob returns a job in which one value is wrong.
func withJob(name string, value func(j poolJob, seq uint64) string) func(*Pool, *poolSession) string {
	return func(p *Pool, s *poolSession) string {
		job := p.other()
		members := job.members(s.extranonce, p.seq, jobForm{})
		for i := range members {
			if members[i].name == name {
				members[i].value = value(job, p.seq)
			}
		}
		return string(jobNotice(object(false, members...), true, false))
	}
}

// withDifficulty returns a job without a target, whose difficulty is wrong.
func withDifficulty(wrong string) func(*Pool, *poolSession) string {
	return func(p *Pool, s *poolSession) string {
		members := p.other().members(s.extranonce, p.seq, jobForm{NoTarget: true, NoDifficulty: true})
		return string(jobNotice(object(false, append(members, member{"difficulty", wrong})...), true, false))
	}
}

// other returns a job that might be the next; mu is held.
func (p *Pool) other() poolJob {
	next := p.job
	next.header[31]++
	next.version++
	next.id += "-wrong"
	return next
}

// sendPoison sends all miners a line that must end their sessions.
func (p *Pool) sendPoison(e poolPoison) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.form = jobForm{}
	p.announce(true) // with a seq
	for s := range p.sessions {
		p.poison(s, e.name, []byte(e.text(p, s)))
	}
}

// halfLine sends half a line, after which connections are cut, or silent.
func (p *Pool) halfLine(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sessions {
		if !s.open() {
			continue
		}
		text := jobNotice(p.other().object(s.extranonce, p.seq+1, jobForm{}), true, false)
		s.send(text[:len(text)/2])
		s.mute = true
		if cut {
			s.ours = true
			s.send(nil)
		}
	}
}

// silence has nothing be sent any more on the connections that there are.
func (p *Pool) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sessions {
		s.mute = true
	}
}

// InjectFaults injects one fault after the other, in random order, until ctx is done, and
// waits before each. The log says which.
func (p *Pool) InjectFaults(ctx context.Context, every time.Duration) {
	again(ctx, every, poolFaults, p.inject)
	p.Change(func(t *PoolTrouble) { *t = PoolTrouble{} })
}

// inject has a fault begin, and ends the one before.
func (p *Pool) inject(f poolFault) {
	p.log.Warn("trouble: " + f.name)
	p.Change(func(t *PoolTrouble) { *t = f.lasts })
	if f.once != nil {
		f.once(p)
	}
}
