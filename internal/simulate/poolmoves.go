package simulate

import "fmt"

// poolMove is something that a pool may do, and that miners must bear without losing a share.
type poolMove struct {
	name  string
	makes func(p *Pool) // mu is held
}

// poolMoves are made one after the other.
var poolMoves = []poolMove{
	{"a new block", func(p *Pool) { p.newBlock(jobForm{}) }},
	{"the same job, twice", func(p *Pool) { p.announce(false); p.announce(true) }},
	{"a higher difficulty", func(p *Pool) { p.changeDifficulty(min(p.job.difficulty, 1<<62)*2, false) }},
	{"a lower difficulty", func(p *Pool) { p.changeDifficulty(p.job.difficulty/4, false) }},
	{"the difficulty as a text", func(p *Pool) { p.newBlock(jobForm{Quoted: true}) }},
	{"other transactions, after which old shares count", func(p *Pool) { p.otherHeader() }},
	{"a difficulty without a target", func(p *Pool) { p.newBlock(jobForm{NoTarget: true}) }},
	{"a target without a difficulty", func(p *Pool) { p.newBlock(jobForm{NoDifficulty: true}) }},
	{"no seq", func(p *Pool) { p.newBlock(jobForm{NoSeq: true}) }},
	{"odd JSON", func(p *Pool) { p.newBlock(jobForm{Odd: true}) }},
	{"the job under another name", func(p *Pool) {
		p.job.id += "-again"
		p.announce(true)
	}},
	{"a difficulty beyond what a float holds, and back", func(p *Pool) {
		before := p.job.difficulty
		p.changeDifficulty(1<<63+12345, false)
		p.changeDifficulty(before, true)
	}},
	{"notifications that nobody knows", func(p *Pool) {
		p.say("", "client.show_message", `{"message":"hello"}`)
		p.say("", "pool.stats", `null`)
		p.newBlock(jobForm{})
	}},
	{"methods that nobody knows", func(p *Pool) {
		// Of other ids each time: the answers to the last ones may be on their way.
		p.say(fmt.Sprint(p.moves), "client.get_version", `{}`)
		p.say(fmt.Sprintf(`"\u0041sked %d"`, p.moves), "mining.ping", `[]`)
	}},
}

// play makes the next move; mu is held.
func (p *Pool) play() {
	move := poolMoves[p.moves%len(poolMoves)]
	p.moves++
	p.log.Debug("the pool makes a move", "move", move.name)
	move.makes(p)
}

// changeDifficulty leaves the header as it is; mu is held.
func (p *Pool) changeDifficulty(difficulty uint64, clean bool) {
	next := p.job
	next.difficulty = max(difficulty, 1)
	p.change(next, p.form, clean)
}

// otherHeader has the block be another one of the same height; mu is held.
func (p *Pool) otherHeader() {
	next := p.job
	next.header[0]++
	next.version++
	next.difficulty = p.difficulty()
	p.change(next, p.form, false)
}

// say sends all miners a method, with an id in JSON, which is to be answered, or without
// one; mu is held.
func (p *Pool) say(id, method, params string) {
	for s := range p.sessions {
		if !s.open() {
			continue
		}
		if id == "" {
			s.send(notice(p.oddly(), method, params))
			continue
		}
		p.owes(s, "answer "+canonical(id), p.Grace, "no answer to the method %s with the id %s", method, id)
		s.send(line(p.oddly(), member{"id", id}, member{"method", fmt.Sprintf("%q", method)}, member{"params", params}))
	}
}
