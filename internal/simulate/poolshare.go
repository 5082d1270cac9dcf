package simulate

import (
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/quantus-network/quantus-miner/internal/pow/poseidon2"
	"github.com/quantus-network/quantus-miner/internal/u512"
)

const (
	// mostAwaiting is how many shares of a miner's may wait for an answer.
	mostAwaiting = 16
	// answerTimeout is the time after which a miner may no longer count on an answer: its 30 s,
	// less what a share may take to get here.
	answerTimeout = 25 * time.Second
)

// givenJob is a job that a session was told of.
type givenJob struct {
	poolJob
	replaced time.Time // zero while it is in force
	clean    bool      // it was replaced at once
}

// givenJobs are the jobs that a session was told of, the latest last.
type givenJobs []*givenJob

// add has a job be in force, in place of others.
func (js *givenJobs) add(job poolJob, clean bool) {
	for _, j := range *js {
		if !j.same(job) && j.replaced.IsZero() {
			j.replaced, j.clean = time.Now(), clean
		}
	}
	*js = append(*js, &givenJob{poolJob: job})
	if len(*js) > keptJobs {
		*js = (*js)[1:]
	}
}

// named returns the latest job of a name, or nil.
func (js givenJobs) named(id string) *givenJob {
	for i := len(js) - 1; i >= 0; i-- {
		if js[i].id == id {
			return js[i]
		}
	}
	return nil
}

// recent knows the nonces of the latest shares, some 100,000 at least.
type recent struct{ now, before map[u512.Uint]bool }

// add adds a nonce, and reports whether it was there.
func (r *recent) add(nonce u512.Uint) (known bool) {
	if r.now[nonce] || r.before[nonce] {
		return true
	}
	if r.now == nil || len(r.now) == 100_000 {
		r.now, r.before = make(map[u512.Uint]bool), r.now
	}
	r.now[nonce] = true
	return false
}

// pace is how fast shares come.
type pace struct {
	work    float64   // tries that shares took on average, those long ago counting less
	took    float64   // the seconds for that
	since   time.Time // that nothing was added to either; zero before the first session
	shares  int       // since then
	tries   float64   // that these took
	present uint64    // difficulty
}

// begin begins to measure, unless it has begun.
func (p *pace) begin() {
	if p.since.IsZero() {
		p.since = time.Now()
	}
}

// add adds a share.
func (p *pace) add(difficulty uint64) {
	p.shares++
	p.tries += float64(difficulty)
}

// difficulty returns the difficulty at which a share takes a certain time, as far as that is
// known.
func (p *pace) difficulty(shareTime time.Duration) uint64 {
	switch {
	case p.present == 0:
		p.present = firstDifficulty.Sat64()
	case p.shares == 0: // nothing new is known
	default:
		p.work, p.took = p.work/2+p.tries, p.took/2+time.Since(p.since).Seconds()
		p.present = uint64(min(max(p.work/max(p.took, 1e-6)*shareTime.Seconds(), 1), 1<<60))
	}
	if p.shares > 0 {
		p.since, p.shares, p.tries = time.Now(), 0, 0
	}
	return p.present
}

// lower is for when no share comes: the miners are slower than it was thought, or have no
// luck.
func (p *pace) lower() { p.present = max(p.present/2, 1) }

// submit judges a share, and answers it; mu is held.
func (p *Pool) submit(s *poolSession, m poolMessage) error {
	params, err := m.texts([]string{"id", "job_id", "nonce"})
	if err != nil {
		return err
	}
	job := s.jobs.named(params["job_id"])
	digits := params["nonce"]
	nonce, err := u512.ParseHex(digits)
	switch {
	case params["id"] != s.id && p.ids[params["id"]]:
		return misbehaviour("a share of another session, %q", params["id"])
	case params["id"] != s.id:
		return misbehaviour("a share of a session %q, which there never was", params["id"])
	case job == nil:
		return misbehaviour("a share of job %q, of which this session was not told", params["job_id"])
	case len(digits) != 2*u512.Size || err != nil:
		return misbehaviour("job %s: the nonce %q is not 128 hex digits", job.id, digits)
	}
	prefix := strings.ToLower(digits[:len(s.extranonce)])
	known := p.nonces.add(nonce)
	switch {
	case prefix != s.extranonce && known:
		return misbehaviour("job %s: nonce %s was sent in another session", job.id, digits)
	case prefix != s.extranonce && p.used[prefix]:
		return misbehaviour("job %s: nonce %s has the extranonce of another session; that of this one is %s", job.id, digits, s.extranonce)
	case prefix != s.extranonce:
		return misbehaviour("job %s: nonce %s does not begin with the extranonce, %s", job.id, digits, s.extranonce)
	case known:
		return misbehaviour("job %s: nonce %s a second time", job.id, digits)
	}
	rule, err := poseidon2.NewReference(job.header, u512.From64(job.difficulty))
	if err != nil {
		return err
	}
	hash, valid := rule.Verify(nonce)
	late := !job.replaced.IsZero()
	switch {
	case !valid:
		return misbehaviour("INVALID SHARE: job %s, header %x, difficulty %d, nonce %s has the hash %s",
			job.id, job.header, job.difficulty, digits, hash.PaddedHex())
	case late && time.Since(job.replaced) > p.Grace:
		return misbehaviour("a share of job %s, which was replaced %s ago", job.id, time.Since(job.replaced))
	}
	if err := s.awaits(m.id); err != nil {
		return err
	}
	share := Share{Nonce: nonce, Hash: hash, Difficulty: job.difficulty}
	switch refused := refusals[rand.IntN(len(refusals))]; {
	case s.mute, s.poisoned, p.trouble.Ignore && rand.IntN(2) == 0:
		p.tally.Unanswered++
	case late && job.clean && p.trouble.Strict:
		p.refuseShare(s, m.id, share, refusals[0])
	case p.trouble.Refuse:
		p.refuseShare(s, m.id, share, refused)
	default:
		p.acceptShare(s, m.id, share, late)
	}
	return nil
}

// awaits notes that a share waits for its answer, and reports whether those are too many.
func (s *poolSession) awaits(id string) error {
	n := 0
	for waiting, since := range s.awaiting {
		if time.Since(since) < answerTimeout {
			n++
		} else if time.Since(since) > 2*answerTimeout { // it comes no more
			delete(s.awaiting, waiting)
		}
	}
	if _, twice := s.awaiting[id]; twice {
		return misbehaviour("two shares with the id %s", id)
	}
	if n == mostAwaiting {
		return misbehaviour("more than %d shares that wait for an answer", mostAwaiting)
	}
	s.awaiting[id] = time.Now()
	return nil
}

// refusal is a form in which pools refuse shares: an error in JSON, and what it means.
type refusal struct{ reason, inJSON string }

var refusals = []refusal{
	{"stale", `{"code":21,"message":"Stale share"}`},
	{"stale", `"Job not found (stale)"`},
	{"duplicate", `{"code":22,"message":"Duplicate share"}`},
	{"low difficulty", `{"code":23,"message":"Low difficulty share"}`},
	{"low difficulty", `"low difficulty share"`},
	{"other", `{"code":-1,"message":"Unauthenticated"}`},
	{"other", `{"message":null}`},
	{"other", `"\u2603"`},
}

// refuseShare answers a share with an error; mu is held.
func (p *Pool) refuseShare(s *poolSession, id string, share Share, why refusal) {
	p.tally.Refused[why.reason]++
	share.Refused = why.reason
	p.answer(s, id, share, true, member{"error", why.inJSON})
}

// acceptShare answers a share with OK; mu is held.
func (p *Pool) acceptShare(s *poolSession, id string, share Share, late bool) {
	if late {
		p.tally.Late++
	}
	p.tally.Accepted++
	p.tally.Work += float64(share.Difficulty)
	p.pace.add(share.Difficulty)
	p.work += min(share.Difficulty, math.MaxUint64-p.work)
	share.Tries, share.Elapsed = p.work, time.Since(p.last)
	counts := p.counted < sharesPerMove && (p.Shares == 0 || p.total < p.Shares)
	if counts {
		p.counted, p.total, p.work, p.last = p.counted+1, p.total+1, 0, time.Now()
	}
	select {
	case p.progress <- struct{}{}:
	default: // it is known
	}
	members := []member{{"result", object(p.oddly(), member{"status", text(p.oddly(), "OK")})}}
	if p.oddly() {
		members = append(members, member{"error", "null"})
	}
	p.answer(s, id, share, counts, members...)
}

// answer answers a share, and reports it if that is wanted; mu is held.
func (p *Pool) answer(s *poolSession, id string, share Share, report bool, members ...member) {
	if report && p.Report != nil {
		p.Report(share)
	}
	s.held = append(s.held, heldAnswer{id, line(p.oddly(), append(members, member{"id", id})...)})
	if !p.trouble.Hold {
		s.release()
	}
}

// heldAnswer is the answer to a share of some id that is yet to be sent.
type heldAnswer struct {
	id   string
	line []byte
}

// release sends the answers that were held; the pool's mu is held.
func (s *poolSession) release() {
	for _, h := range s.held {
		delete(s.awaiting, h.id)
		s.send(h.line)
	}
	s.held = nil
}
